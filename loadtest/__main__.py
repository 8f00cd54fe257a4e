"""``python -m loadtest``: send an audience into a room, and judge what it wrote down."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import uvloop
from rich.console import Console

from loadtest import replay
from loadtest.audience import night, plan
from loadtest.audience.world import Options
from loadtest.bench import arguments as bench_arguments
from loadtest.journal import EXITS, JournalError, JournalWriter
from loadtest.verdict import judge, load
from loadtest.verdict.table import show

EPILOG = """\
examples:
  python -m loadtest verdict journal/                 judge what an audience wrote down
  python -m loadtest verdict journal/ --report r.json     and write {"ok", "checks"} to a file
  python -m loadtest audience --url ws://127.0.0.1:8080/v1/live --token-file tokens.json --room r1 \\
      --store unix:///run/live/valkey.sock --viewers 300 --seconds 30 --journal journal/
                                                      send an audience, and write down what it sees

  python -m loadtest bench stock --json figures.json   measure the stock counter on this machine

exit codes: 0 the verdict holds (the audience went to its end), 1 it does not, 2 there is nothing to judge
"""

TOKENS = """\
The token file is one JSON object: {"streamer": token, "service": token, "viewers": [token, ...]}, for the
users streamer, service, v0, v1, ... of the room; "names": [name, ...] of the viewers, if it is there, is what
their gifts are shown under. Progress comes on standard output, one JSON object a line;
the last has {"phase": "over", "figures": ...}. SIGINT and SIGTERM end the night early: the journal then says
that it is partial, and the exit code is 1.
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest",
        description="An audience for a live-shopping room, and the verdict on what it saw.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="verdict | audience | bench")
    verdict = verbs.add_parser("verdict", help="judge a journal; exit 0 only if every check holds")
    verdict.add_argument("directory", type=Path, metavar="DIR", help="the journal")
    verdict.add_argument("--report", type=Path, metavar="FILE", help='write {"ok", "checks"} as JSON')
    verdict.add_argument("--quiet", action="store_true", help="print nothing, only exit 0 or 1")
    audience = verbs.add_parser(
        "audience",
        help="send an audience into a room",
        epilog=TOKENS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    audience.add_argument("--url", required=True, help="ws://host:port/v1/live")
    audience.add_argument("--token-file", required=True, type=Path, metavar="FILE", help="JSON, see below")
    audience.add_argument("--room", required=True, help="the room's id")
    audience.add_argument(
        "--store", required=True, metavar="URL", help="redis:// or unix://, read at the end"
    )
    audience.add_argument("--viewers", type=int, default=300)
    audience.add_argument("--seconds", type=float, default=30)
    audience.add_argument("--seed", type=int, default=1, help="same seed, same plan")
    audience.add_argument("--replay", type=Path, metavar="FILE", help="a recording (.jsonl or .jsonl.gz)")
    audience.add_argument("--journal", required=True, type=Path, metavar="DIR", help="a new directory")
    audience.add_argument(
        "--guests", action="store_true", help="others may be in the room: the verdict allows it"
    )
    measure = verbs.add_parser("bench", help="measure the server on this machine")
    bench_arguments.add_arguments(measure)
    given = parser.parse_args(argv)
    if given.verb == "bench":
        return _bench(given, measure)
    return _audience(given, audience) if given.verb == "audience" else _verdict(given)


def _verdict(given: argparse.Namespace) -> int:
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


def _audience(given: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    if given.journal.exists() and any(given.journal.iterdir()):
        parser.error(f"{given.journal} is not empty: a journal is written into a new directory")
    try:
        tokens = orjson.loads(given.token_file.read_bytes())
        plan.make(given.seconds, given.viewers, given.seed)
        replay.read(given.replay or replay.DEFAULT)
        if len(tokens["viewers"]) < given.viewers:
            raise ValueError(f"{given.token_file} has tokens for {len(tokens['viewers'])} viewers only")
    except replay.BadRecordingError as error:
        print(f"--replay can't be played: {error}", file=sys.stderr)
        return 2
    except (OSError, ValueError, KeyError, TypeError) as error:
        parser.error(str(error))
    options = Options(
        url=given.url,
        room=given.room,
        store=given.store,
        tokens=tokens,
        viewers=given.viewers,
        seconds=given.seconds,
        seed=given.seed,
        journal=given.journal,
        replay=given.replay,
        guests=given.guests,
    )
    code = 0 if uvloop.run(night.run(options, _print_line, _on_signals)) else 1
    with JournalWriter(given.journal, EXITS) as exits:
        exits.write("exit", name="audience", code=code)
    return code


def _bench(given: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from loadtest.bench import command  # it runs the server, which the other verbs do without

    return command.run(given, parser)


def _print_line(progress: dict[str, Any]) -> None:
    try:
        sys.stdout.buffer.write(orjson.dumps(progress) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        pass  # nobody watches any more; whoever started us says when to stop


def _on_signals(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop)


if __name__ == "__main__":
    sys.exit(main())
