"""``python -m loadtest scenario``: the verb."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

import msgspec

from loadtest import machine
from loadtest.report import model
from loadtest.scenarios import NAMES
from loadtest.scenarios.marks import table
from loadtest.scenarios.stage import Size, Stage
from loadtest.swarm.swarm import Progress

HELP: Final = "play a scenario against the real server, and judge it by its marks"
EPILOG: Final = """\
examples:
  python -m loadtest scenario --list                    what there is
  python -m loadtest scenario flash_sale                the long form: every mark is judged
  python -m loadtest scenario danmaku_flood --short     the short form: laws and counts only
  python -m loadtest scenario soak --minutes 240 --report out/

exit codes: 0 every mark that was judged is met, 1 one is not, 2 it could not be played
"""
WORKERS_MAX: Final = 64
VIEWERS_MAX: Final = 14_000  # of a server process: it lets 15,000 sessions in, staff among them
VIEWERS_MAX_IN_ALL: Final = 25_000  # one address has 28,000 ports to call from


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--list", action="store_true", help="say what each scenario is, and end")
    parser.add_argument("--short", action="store_true", help="a few seconds, a few viewers; no mark on speed")
    parser.add_argument("--viewers", type=int, metavar="N", help="instead of the scenario's own number")
    parser.add_argument("--seconds", type=float, metavar="S", help="of one phase")
    parser.add_argument("--minutes", type=float, metavar="M", help="the same, for long ones: soak")
    parser.add_argument("--rounds", type=int, metavar="N", help="of its phases")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same load")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes of the server")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write NAME.json there, and NAME.html")


def run(given: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    if given.list:
        for name in NAMES:
            print(f"{name}\n    {_prose(_module(name)).splitlines()[0]}")
        return 0
    if given.name not in NAMES:
        wrong = "name a scenario" if given.name is None else f"there is no scenario {given.name}"
        parser.error(f"{wrong}; there are {', '.join(NAMES)} (--list says what they are)")
    module = _module(given.name)
    size = _size(module, given, parser)
    if given.report is not None:
        try:
            given.report.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = "it is a file" if given.report.is_file() else error.strerror
            parser.error(f"--report {given.report} can't be a folder: {reason}")
    try:
        report = asyncio.run(_played(given, module, size))
    except KeyboardInterrupt:
        print(f"{given.name}: stopped before the end, nothing is judged", file=sys.stderr)
        return 2
    except Exception as error:
        print(f"{given.name} could not be played: {error!r}", file=sys.stderr)
        return 2
    _print(report)
    if given.report is not None:
        from loadtest.report import page  # the template engine, which no other run needs

        file = given.report / f"{given.name}.json"
        model.write(report, file)
        page.write([report], file.with_suffix(".html"))
        print(f"report: {file}, {file.with_suffix('.html')}")
    return 0 if report.ok else 1


async def _played(given: argparse.Namespace, module: ModuleType, size: Size) -> model.Report:
    began_ms, began_s = int(time.time() * 1_000), time.monotonic()
    cores = machine.cores()
    commit = machine.commit()
    print(f"{given.name}: {_prose(module)}\n", flush=True)
    facts = machine.facts(cores)
    form = "short form" if given.short else "long form"
    print(f"seed {given.seed}, commit {commit or 'unknown'}, {facts['cpu']}, {len(cores)} cores; {form}: "
          f"{size.viewers} viewers, {size.rounds} × {size.seconds:g} s", flush=True)  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="scenario-") as folder:
        stage = Stage(
            size,
            short=given.short,
            seed=given.seed,
            workers=given.workers,
            folder=Path(folder),
            on_progress=_printer(began_s),
        )
        try:
            await module.play(stage)
        finally:
            await stage.abandon()
    return model.Report(
        kind="scenario",
        name=given.name,
        prose=_prose(module),
        command=_command(given),
        commit=commit,
        seed=given.seed,
        machine=facts,
        began_ms=began_ms,
        seconds=round(time.monotonic() - began_s, 1),
        ok=stage.marks.ok,
        marks=stage.marks.all,
        figures=stage.figures,
        plots=stage.plots,
        grids=stage.grids,
        notes=stage.notes,
    )


def _size(module: ModuleType, given: argparse.Namespace, parser: argparse.ArgumentParser) -> Size:
    size: Size = module.SHORT if given.short else module.LONG
    for name in ("viewers", "seconds", "minutes", "rounds"):
        value = getattr(given, name)
        if value is not None and value <= 0:
            parser.error(f"--{name} must be more than 0")
    if not 1 <= given.workers <= WORKERS_MAX:
        parser.error(f"--workers is 1 … {WORKERS_MAX}")
    viewers_max = min(VIEWERS_MAX * given.workers, VIEWERS_MAX_IN_ALL)
    if given.viewers is not None and given.viewers > viewers_max:
        more = "; more with more --workers" if viewers_max < VIEWERS_MAX_IN_ALL else ""
        parser.error(f"--viewers is at most {viewers_max}{more}")
    seconds = given.minutes * 60 if given.minutes is not None else given.seconds
    changed = {"viewers": given.viewers, "seconds": seconds, "rounds": given.rounds}
    return msgspec.structs.replace(size, **{k: v for k, v in changed.items() if v is not None})


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"loadtest.scenarios.{name}")


def _prose(module: ModuleType) -> str:
    return inspect.cleandoc(module.__doc__ or "")


def _command(given: argparse.Namespace) -> str:
    words = ["python", "-m", "loadtest", "scenario", given.name]
    words += ["--short"] if given.short else []
    for name in ("viewers", "seconds", "minutes", "rounds", "seed", "workers"):
        value = getattr(given, name)
        if value is not None:
            words += [f"--{name}", f"{value:g}"]
    return shlex.join(words)


def _printer(began_s: float) -> Progress:
    last_s = began_s

    def say(progress: dict[str, int]) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if now_s - last_s < 1:
            return
        last_s = now_s
        words = ", ".join(f"{name} {value}" for name, value in progress.items())
        print(f"  {now_s - began_s:6.1f} s  {words}", flush=True)

    return say


def _print(report: model.Report) -> None:
    for grid in (*report.grids, table(report.marks)):
        print(f"\n{grid.title}")
        _print_rows([grid.columns, *grid.rows])
    for note in report.notes:
        print(f"note: {note}")
    judged = [mark for mark in report.marks if mark.met is not None]
    missed = [mark.name for mark in judged if not mark.met]
    print(f"\n{len(judged)} marks judged, {len(report.marks) - len(judged)} not judged in short form"
          if len(judged) < len(report.marks) else f"\n{len(judged)} marks judged")  # fmt: skip
    print(
        f"{report.name}: "
        + (f"FAILED: {', '.join(missed)}" if missed else "passed" if report.ok else "FAILED")
    )


def _print_rows(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
