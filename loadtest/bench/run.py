"""One run of a benchmark: it says how far it is, and ends in a report, shown and (if asked to) written."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec
import uvloop
from rich.console import Console

from loadtest import machine
from loadtest.bench.native.build import NotBuiltError
from loadtest.bench.show import WIDTH, show
from loadtest.report.model import Grid, Mark, Plot, Report, write

T = TypeVar("T")
Say = Callable[[str], None]


class Found(msgspec.Struct):
    """What a benchmark has to report."""

    figures: dict[str, Any]
    marks: list[Mark]
    plots: list[Plot]
    grids: list[Grid]
    notes: list[str]


def run_bench(
    name: str,
    prose: str,
    command: str,
    given: argparse.Namespace,
    measure: Callable[[Say], Coroutine[Any, Any, T]],
    find: Callable[[T], Found],
) -> int:
    """0 when measured, also where a mark is missed: the report says so. 2 where nothing can be measured,
    since the sink in front of all servers can't be built."""
    console, began_s, began_ms = Console(width=WIDTH), time.monotonic(), time.time_ns() // 1_000_000
    busy_before, cores = os.getloadavg()[0], machine.cores()

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - began_s:6.1f} s  {text}", highlight=False)

    try:
        found = find(uvloop.run(measure(say)))
    except NotBuiltError as error:
        print(
            f"nothing measured: the sink that listens to every server needs a C compiler: {error}",
            file=sys.stderr,
        )
        return 2
    report = Report(
        kind="bench",
        name=name,
        prose=prose,
        command=command,
        commit=machine.commit(),
        seed=given.seed,
        machine=machine.facts(cores),
        began_ms=began_ms,
        seconds=round(time.monotonic() - began_s, 1),
        ok=all(mark.met is not False for mark in found.marks),
        marks=found.marks,
        figures=found.figures,
        plots=found.plots,
        grids=found.grids,
        notes=[*found.notes, f"load average before: {busy_before:.2f}"],
    )
    if given.json is not None:
        write(report, given.json)
    show(report, console)
    return 0
