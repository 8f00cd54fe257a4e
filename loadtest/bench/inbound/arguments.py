"""The arguments of ``python -m loadtest bench inbound``."""

from __future__ import annotations

import argparse
from typing import Final

HELP: Final = (
    "small commands a second and core: read, decoded, validated, answered; beside websockets' server"
)
SOCKETS: Final = 1_000


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sockets", type=int, default=SOCKETS, metavar="N", help=f"who send ({SOCKETS}; at least 10)"
    )
