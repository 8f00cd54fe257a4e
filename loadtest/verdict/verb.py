"""``python -m loadtest verdict``: the verb."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

import orjson
from rich.console import Console

from loadtest.journal import JournalError
from loadtest.verdict import judge, load
from loadtest.verdict.table import show

HELP: Final = "judge a journal; exit 0 only if every check holds"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="the journal")
    parser.add_argument("--report", type=Path, metavar="FILE", help='write {"ok", "checks"} as JSON')
    parser.add_argument("--quiet", action="store_true", help="print nothing, only exit 0 or 1")


def run(given: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    try:
        verdict = judge(load(given.directory))
    except JournalError as error:
        print(error, file=sys.stderr)
        return 2
    if given.report is not None:
        try:
            given.report.write_bytes(orjson.dumps(verdict, option=orjson.OPT_INDENT_2))
        except OSError as error:
            print(f"--report can't be written: {error.filename}: {error.strerror}", file=sys.stderr)
            return 2
    if not given.quiet:
        show(verdict, Console())
    return 0 if verdict["ok"] else 1
