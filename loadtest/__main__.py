"""``python -m loadtest``: send an audience into a room, judge what it wrote down, measure the server."""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType, ModuleType
from typing import Final

from loadtest.audience import verb as audience
from loadtest.bench import verb as bench
from loadtest.report import verb as report
from loadtest.scenarios import verb as scenario
from loadtest.verdict import verb as verdict

VERBS: Final[dict[str, ModuleType]] = {
    "verdict": verdict,
    "audience": audience,
    "scenario": scenario,
    "bench": bench,
    "report": report,
}

EPILOG = """\
examples:
  python -m loadtest verdict journal/                 judge what an audience wrote down
  python -m loadtest verdict journal/ --report r.json     and write {"ok", "checks"} to a file
  python -m loadtest audience --url ws://127.0.0.1:8080/v1/live --token-file tokens.json --room r1 \\
      --store unix:///run/live/valkey.sock --viewers 300 --seconds 30 --journal journal/
                                                      send an audience, and write down what it sees

  python -m loadtest scenario flash_sale               ten thousand buyers in one second, and the marks of it
  python -m loadtest bench stock --json figures.json   measure the stock counter on this machine

exit codes: 0 the verdict holds (the audience went to its end), 1 it does not, 2 there is nothing to judge
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest",
        description="An audience for a live-shopping room, and the verdict on what it saw.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar=" | ".join(VERBS))
    parsers = {}
    for name, verb in VERBS.items():
        parsers[name] = verbs.add_parser(
            name,
            help=verb.HELP,
            description=verb.HELP,
            epilog=getattr(verb, "EPILOG", None),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        verb.add(parsers[name])
    given = parser.parse_args(argv)
    code: int = VERBS[given.verb].run(given, parsers[given.verb])
    return code


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    """SIGTERM: whatever was started is ended and cleared away, as by Ctrl-C; also in the background, where
    the shell has Ctrl-C ignored."""
    of_ctrl_c = signal.getsignal(signal.SIGINT)
    if not callable(of_ctrl_c):
        raise KeyboardInterrupt
    of_ctrl_c(signal.SIGINT, frame)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _as_ctrl_c)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("stopped before the end", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
