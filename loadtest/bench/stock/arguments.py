"""The arguments of ``python -m loadtest bench stock``."""

from __future__ import annotations

import argparse
from typing import Final

HELP: Final = "the stock counter: orders a second, beside a bare floor"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--remembered",
        type=int,
        metavar="N",
        help="orders there before (10^6; quick: 10^5); the long form is 3000000",
    )
