"""A benchmark's report for a person."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table

from loadtest.report.model import Grid, Mark, Report

WIDTH: Final = 130  # also where it is written to a file


def show(report: Report, console: Console) -> None:
    for grid in report.grids:
        _grid(grid, console)
    if report.marks:
        _marks(report.marks, console)
    for note in report.notes:
        console.print(note, highlight=False)
    on = report.machine
    console.print(
        f"{on['cpu']}, {on['cores']} cores, Python {on['python']}; commit {report.commit or 'none'},"
        f" seed {report.seed}; {report.seconds:.0f} s",
        highlight=False,
    )


def _grid(grid: Grid, console: Console) -> None:
    table = Table(title=grid.title, caption=grid.note)
    for number, heading in enumerate(grid.columns):
        table.add_column(heading, justify="right" if number else "left")
    for row in grid.rows:
        table.add_row(*row)
    console.print(table)


def _marks(marks: list[Mark], console: Console) -> None:
    table = Table(title="marks")
    for heading in ("figure", "median", "rounds", "mark", "met", "beside"):
        table.add_column(heading, justify="left" if heading in ("figure", "beside") else "right")
    for mark in marks:
        spread = "" if mark.low is None or mark.high is None else f"{mark.low:.3g} to {mark.high:.3g}"
        met = {True: "yes", False: "MISSED", None: "-"}[mark.met]
        wanted = f"{mark.mark_is} {mark.mark:g} {mark.unit}".strip()
        table.add_row(mark.name, f"{mark.value:.3g}", spread, wanted, met, mark.control or mark.note)
    console.print(table)
