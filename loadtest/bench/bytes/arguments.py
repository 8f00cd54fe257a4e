"""The arguments of ``python -m loadtest bench bytes``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from loadtest import replay

HELP: Final = "bytes of a delivered comment, by codec and compression, on a recorded room"
PER_S: Final = 70
PER_S_MAX: Final = 1_000

EPILOG: Final = """\
examples:
  python -m loadtest bench bytes                                the room that comes with the project
  python -m loadtest bench bytes --replay room.jsonl.gz --json bytes.json
  python -m loadtest bench bytes --per-s 10                     a quieter room: fewer comments share a frame

Nothing is timed and no server is started: frames are made as the hub makes them, and their bytes counted.
"""


def add(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, EPILOG
    parser.add_argument(
        "--replay",
        type=Path,
        default=replay.DEFAULT,
        metavar="FILE",
        help="a recording (JSON lines, .gz too)",
    )
    parser.add_argument(
        "--per-s",
        type=_per_s,
        default=PER_S,
        metavar="N",
        help=f"comments a second that shifted copies of it are superposed to ({PER_S})",
    )


def _per_s(text: str) -> int:
    if not 1 <= (number := int(text)) <= PER_S_MAX:
        raise argparse.ArgumentTypeError(f"from 1 to {PER_S_MAX} comments a second")
    return number
