"""A benchmark's report, put together and shown to a person."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import msgspec
from rich.console import Console
from rich.table import Table

from loadtest import machine
from loadtest.bench.figures import Figure
from loadtest.report.model import Grid, Mark, Report

WIDTH = 110  # also where it is written to a file


class Begun(msgspec.Struct, frozen=True):
    """When a run began, by both clocks."""

    at_s: float
    at_ms: int
    load_average: float

    @classmethod
    def now(cls) -> Begun:
        return cls(time.monotonic(), time.time_ns() // 1_000_000, round(os.getloadavg()[0], 2))


def report(
    name: str,
    *,
    prose: str,
    command: str,
    seed: int,
    begun: Begun,
    figures: Mapping[str, Figure],
    unit: str,
    notes: list[str],
) -> Report:
    """Figures with a target are marks, and all of them a table."""
    marks = [_mark(name, figure, unit) for name, figure in figures.items() if figure.target is not None]
    return Report(
        kind="bench",
        name=name,
        prose=prose,
        command=command,
        commit=machine.commit(),
        seed=seed,
        machine={**machine.facts(machine.cores()), "load_average": begun.load_average},
        began_ms=begun.at_ms,
        seconds=round(time.monotonic() - begun.at_s, 1),
        ok=all(mark.met for mark in marks),
        marks=marks,
        figures={name: msgspec.to_builtins(figure) for name, figure in figures.items()},
        grids=[_grid(figures, unit)],
        notes=notes,
    )


def show(report: Report, console: Console) -> None:
    console.print(report.prose, highlight=False, soft_wrap=True)
    for grid in report.grids:
        table = Table(title=grid.title)
        for column in grid.columns:
            table.add_column(column, justify="left" if column == "figure" else "right", no_wrap=True)
        for row in grid.rows:
            table.add_row(*row)
        console.print(table)
    for note in report.notes:
        console.print(note, highlight=False)
    console.print(
        f"{report.machine['cpu']}, Python {report.machine['python']}, {report.commit or 'no commit'};"
        f" {report.seconds} s; load average before {report.machine['load_average']}",
        highlight=False,
    )


def _mark(name: str, figure: Figure, unit: str) -> Mark:
    assert figure.target is not None
    return Mark(
        name=name,
        value=figure.value,
        unit=unit,
        mark_is="at most" if figure.target_is == "at most" else "at least",
        mark=figure.target,
        met=figure.met,
        low=figure.low,
        high=figure.high,
    )


def _grid(figures: Mapping[str, Figure], unit: str) -> Grid:
    rows = [
        [name, _number(figure.value), f"{_number(figure.low)} to {_number(figure.high)}", _judged(figure)]
        for name, figure in figures.items()
    ]
    return Grid(title=unit, columns=["figure", "median", "rounds", "target"], rows=rows)


def _judged(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"{figure.target_is} {_number(figure.target)}: {'yes' if figure.met else 'MISSED'}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
