"""The arguments of ``python -m loadtest bench memory``."""

from __future__ import annotations

import argparse
from typing import Final

HELP: Final = "memory of a viewer who listens, in all processes, beside controls and other servers"
SOCKETS_MAX: Final = 15_000


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sockets",
        type=int,
        metavar="N",
        help=f"that are there when memory is read (6000; quick: 400; up to {SOCKETS_MAX})",
    )
    parser.add_argument("--no-install", action="store_true", help="fetch no peer that is not here already")
