"""The arguments of ``python -m loadtest bench handshake``."""

from __future__ import annotations

import argparse
from typing import Final

HELP: Final = "letting viewers in: the server's CPU, beside controls and other servers"
SOCKETS_MAX: Final = 5_000


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sockets",
        type=int,
        metavar="N",
        help=f"opened one after the other for each figure of a round (1000; quick: 150; up to {SOCKETS_MAX})",
    )
    parser.add_argument("--no-install", action="store_true", help="fetch no peer that is not here already")
