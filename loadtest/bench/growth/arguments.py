"""The arguments of ``python -m loadtest bench growth``."""

from __future__ import annotations

import argparse
from typing import Final

HELP: Final = "cost against viewers, rooms, messages a second and processes; and what the store is asked"
SERIES: Final = ("viewers", "rooms", "messages", "workers")
SOCKETS_MAX: Final = 18_000


EPILOG: Final = """\
examples:
  python -m loadtest bench growth --quick                       half a minute: does it all run here?
  python -m loadtest bench growth --json growth.json            the whole, up to 18,000 viewers of a process
  python -m loadtest bench growth --series viewers --sockets 8000

It needs two cores and a C compiler, and open files for as many sockets as there are viewers (ulimit -n).
"""


def add(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, EPILOG
    parser.add_argument(
        "--sockets",
        type=_sockets,
        metavar="N",
        help=f"viewers of one process at the most ({SOCKETS_MAX}; quick: 120)",
    )
    parser.add_argument(
        "--series",
        type=_names,
        default=list(SERIES),
        metavar="NAME[,NAME]",
        help=f"which of {', '.join(SERIES)} (all)",
    )


def _sockets(text: str) -> int:
    count = int(text)
    if not 20 <= count <= SOCKETS_MAX:
        raise argparse.ArgumentTypeError(f"from 20 to {SOCKETS_MAX} sockets")
    return count


def _names(text: str) -> list[str]:
    names = text.split(",")
    if strange := set(names) - set(SERIES):
        raise argparse.ArgumentTypeError(
            f"{', '.join(sorted(strange))} is not known; there are {', '.join(SERIES)}"
        )
    return [name for name in SERIES if name in names]
