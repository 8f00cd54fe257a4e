"""``python -m loadtest audience``: the verb."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson
import uvloop

from loadtest import replay
from loadtest.audience import night, plan
from loadtest.audience.world import Options
from loadtest.journal import EXITS, JournalWriter

HELP: Final = "send an audience into a room"
EPILOG: Final = """\
The token file is one JSON object: {"streamer": token, "service": token, "viewers": [token, ...]}, for the
users streamer, service, v0, v1, ... of the room; "names": [name, ...] of the viewers, if it is there, is what
their gifts are shown under. Progress comes on standard output, one JSON object a line;
the last has {"phase": "over", "figures": ...}. SIGINT and SIGTERM end the night early: the journal then says
that it is partial, and the exit code is 1.
"""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", required=True, help="ws://host:port/v1/live")
    parser.add_argument("--token-file", required=True, type=Path, metavar="FILE", help="JSON, see below")
    parser.add_argument("--room", required=True, help="the room's id")
    parser.add_argument("--store", required=True, metavar="URL", help="redis:// or unix://, read at the end")
    parser.add_argument("--viewers", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1, help="same seed, same plan")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="a recording (.jsonl or .jsonl.gz)")
    parser.add_argument("--journal", required=True, type=Path, metavar="DIR", help="a new directory")
    parser.add_argument(
        "--guests", action="store_true", help="others may be in the room: the verdict allows it"
    )


def run(given: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
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
