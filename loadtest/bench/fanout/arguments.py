"""The arguments of ``python -m loadtest bench fanout``."""

from __future__ import annotations

import argparse
from typing import Final

HELP: Final = "one message to everybody: CPU, bytes and delay, beside a C loop and other servers"
PEERS: Final = ("c", "ours", "ours_python", "bun", "nchan", "ws", "websockets", "nats", "centrifugo")
PARTS: Final = ("frames", "busy", "quiet", "lag")
SOCKETS_MAX: Final = 19_000


EPILOG: Final = """\
examples:
  python -m loadtest bench fanout --quick                       a minute, 200 sockets: does it all run here?
  python -m loadtest bench fanout --json fanout.json            the whole, at 2,000 and 10,000 sockets
  python -m loadtest bench fanout --sockets 5000 --parts frames --peers c,bun     one question, two controls

It needs two cores and a C compiler. Bun and ws are fetched by npm on first use, into the user's cache; NATS
(nats-server) and Nchan (nginx with its module) are taken from PATH. What is missing is NOT COMPARED, with
the reason, and nothing is claimed against it.
"""


def add(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, EPILOG
    parser.add_argument(
        "--sockets",
        type=_counts,
        action="extend",
        metavar="N[,N]",
        help="how many listen (2000,10000; quick: 200); the first is the one whose figures are named plainly",
    )
    parser.add_argument(
        "--peers",
        type=lambda text: _names(text, PEERS),
        default=list(PEERS),
        metavar="NAME[,NAME]",
        help=f"which of {', '.join(PEERS)}; ours is always there (all)",
    )
    parser.add_argument(
        "--parts",
        type=lambda text: _names(text, PARTS),
        default=list(PARTS),
        metavar="NAME[,NAME]",
        help=f"which of {', '.join(PARTS)} (all)",
    )
    parser.add_argument("--no-install", action="store_true", help="fetch no peer that is not here already")


def _counts(text: str) -> list[int]:
    counts = [int(part) for part in text.split(",")]
    if not all(1 <= count <= SOCKETS_MAX for count in counts):
        raise argparse.ArgumentTypeError(f"from 1 to {SOCKETS_MAX} sockets")
    return counts


def _names(text: str, known: tuple[str, ...]) -> list[str]:
    names = text.split(",")
    if strange := set(names) - set(known):
        raise argparse.ArgumentTypeError(
            f"{', '.join(sorted(strange))} is not known; there are {', '.join(known)}"
        )
    return [name for name in known if name in names]
