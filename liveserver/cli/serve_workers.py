"""``serve --workers N``: the supervisor, its signals, and what it says.

SIGTERM and SIGINT drain all workers and end; a second one doesn't wait. SIGHUP relieves them one by one.
"""

from __future__ import annotations

import asyncio
import signal

import typer

from liveserver.cli.worker import COMMAND
from liveserver.config import Settings
from liveserver.workers.supervisor import Supervisor, supervised


async def serve_workers(settings: Settings, workers: int) -> None:
    """Until a signal. Raises what ``supervised`` and ``Supervisor.wait`` raise."""
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def stopped() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # until there is something to relieve
    async with supervised(settings, workers, COMMAND, on_loading=loading) as supervisor:
        rolling: set[asyncio.Task[None]] = set()

        def relieve() -> None:
            task = asyncio.create_task(_roll(supervisor))
            rolling.add(task)
            task.add_done_callback(rolling.discard)

        loop.add_signal_handler(signal.SIGHUP, relieve)
        typer.echo(
            f"liveserver listens on {supervisor.http_url} (clients: {supervisor.url}), {workers} workers"
        )
        failed = asyncio.create_task(supervisor.wait())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({failed, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (stopping, *rolling):
            task.cancel()
        if failed.done():
            failed.result()
        failed.cancel()
        typer.echo("draining …")
        await _ended_or(hurry, supervisor)


async def _roll(supervisor: Supervisor) -> None:
    typer.echo("relieving the workers, one by one …")
    done = await supervisor.roll()
    if done is None:
        typer.echo("they are being relieved already; this changes nothing")
    else:
        typer.echo("every worker is relieved" if done else "not every worker could be relieved: see the log")


async def _ended_or(hurry: asyncio.Event, supervisor: Supervisor) -> None:
    """Until all have ended, or somebody is in a hurry: then they are killed."""
    ending = asyncio.create_task(supervisor.end())
    hurrying = asyncio.create_task(hurry.wait())
    await asyncio.wait({ending, hurrying}, return_when=asyncio.FIRST_COMPLETED)
    hurrying.cancel()
    if not ending.done():
        for worker in supervisor.workers():
            worker.kill()
    await ending


def loading(percent: float) -> None:
    typer.echo(f"the store reads its log: {percent:.0f} %", err=True)
