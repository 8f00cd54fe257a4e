"""The arguments of ``python -m loadtest bench flood``."""

from __future__ import annotations

import argparse
from typing import Final

HELP: Final = "replies and critical events while a room is flooded with comments, beside a quiet room"
SOCKETS: Final = 2_000
OFFERED: Final = 10_000


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sockets", type=int, default=SOCKETS, metavar="N", help=f"viewers in the room ({SOCKETS})"
    )
    parser.add_argument(
        "--offered", type=int, default=OFFERED, metavar="N", help=f"comments a second ({OFFERED})"
    )
