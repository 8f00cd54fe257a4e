"""The arguments of ``python -m loadtest bench``: apart, so that the other verbs need no server."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["stock"], help="what is measured")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there")
    parser.add_argument("--quick", action="store_true", help="the short form: less of everything")
    parser.add_argument(
        "--remembered",
        type=int,
        metavar="N",
        help="orders there before (10^6; quick: 10^5); the long form is 3000000",
    )
    parser.add_argument("--rounds", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same ids")
