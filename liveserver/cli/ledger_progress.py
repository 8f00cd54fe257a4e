"""How far an audit has come, on stderr: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from liveserver.stock.audit import Progress

LINE_EVERY_S = 5.0


class Show(Protocol):
    def __call__(self, sale_id: str, progress: Progress) -> None: ...


@contextmanager
def shown() -> Iterator[Show]:
    if not sys.stderr.isatty():
        yield _Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda sale_id, progress: bar.update(
            task,
            description=f"{sale_id} {progress.part}",
            completed=progress.done,
            total=progress.total,
        )


class _Lines:
    def __init__(self) -> None:
        self._said_s = time.monotonic()

    def __call__(self, sale_id: str, progress: Progress) -> None:
        if time.monotonic() - self._said_s < LINE_EVERY_S:
            return
        self._said_s = time.monotonic()
        typer.echo(f"{sale_id}: {progress.part} {progress.done} of {progress.total}", err=True)
