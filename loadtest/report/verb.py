"""``python -m loadtest report``: the verb."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from loadtest.report.model import Report, read

HELP: Final = "draw the reports of runs as one HTML page"
EPILOG: Final = """\
The page needs nothing but itself: open it from disk, mail it, put it on any web server. Each RUN.json is what
a benchmark wrote with --json, or a scenario with --report. Several runs make one page with an index.

examples:
  python -m loadtest bench fanout --json fanout.json
  python -m loadtest report fanout.json --html fanout.html
  python -m loadtest report runs/*.json --html all.html

exit codes: 0 the page is written (also where marks are missed: the page says so), 2 it is not
"""
REPORTS_MAX: Final = 200
FILE_BYTES_MAX: Final = 32 * 1024 * 1024


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN.json", help="the report of one run")
    parser.add_argument("--html", required=True, type=Path, metavar="FILE", help="the page to write")


def run(given: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from loadtest.report import page  # the template engine, which no other verb needs

    if len(given.runs) > REPORTS_MAX:
        parser.error(
            f"a page shows {REPORTS_MAX} runs at most, {len(given.runs)} were given: make several pages"
        )
    reports: list[Report] = []
    for path in given.runs:
        try:
            if path.stat().st_size > FILE_BYTES_MAX:
                raise ValueError(f"it has more than {FILE_BYTES_MAX} bytes")
            reports.append(read(path))
        except OSError as error:
            print(f"{path} can't be read: {error.strerror}", file=sys.stderr)
            return 2
        except ValueError as error:
            print(f"{path} is no report of a run: {error}", file=sys.stderr)
            return 2
    try:
        page.write(reports, given.html)
    except OSError as error:
        print(f"--html can't be written: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    print(f"{given.html}: {', '.join(f'{report.name} ({page.tally(report)})' for report in reports)}")
    return 0
