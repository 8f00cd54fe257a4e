"""How a delivery goes, on stderr: one line that changes on a terminal, else a line every few seconds."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import typer
from rich.console import Console
from rich.status import Status

from liveserver.orders.deliverer import Deliverer

ON_A_TERMINAL_S = 0.5
LINE_EVERY_S = 10.0


@asynccontextmanager
async def shown(deliverer: Deliverer) -> AsyncIterator[None]:
    telling = asyncio.create_task(_on_terminal(deliverer) if sys.stderr.isatty() else _in_lines(deliverer))
    try:
        yield
    finally:
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling


def words(deliverer: Deliverer) -> str:
    totals = deliverer.totals
    return (
        f"{totals.delivered} rows delivered, {totals.failed} attempts failed, {totals.dead} dead letters, "
        f"{deliverer.working} sales under way"
    )


async def _on_terminal(deliverer: Deliverer) -> None:
    with Status(words(deliverer), console=Console(stderr=True)) as line:
        while True:
            await asyncio.sleep(ON_A_TERMINAL_S)
            line.update(words(deliverer))


async def _in_lines(deliverer: Deliverer) -> None:
    said = ""
    while True:
        await asyncio.sleep(LINE_EVERY_S)
        if words(deliverer) != said:
            said = words(deliverer)
            typer.echo(said, err=True)
