"""``liveserver serve``: one process of the server, or several under a supervisor."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from liveserver.app import running
from liveserver.cli import collector
from liveserver.cli.logs import configure_logging
from liveserver.cli.serve_faults import CANNOT_SERVE, why
from liveserver.cli.serve_workers import loading, serve_workers
from liveserver.cli.settings import settings
from liveserver.config import Settings
from liveserver.stock.port import Durability
from liveserver.workers.supervisor import WORKERS_MAX

DATA_DIR = Path("live-data")


def serve(
    host: Annotated[str, typer.Option(envvar="LIVESERVER_HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(envvar="LIVESERVER_PORT", min=0, max=65_535, help="Port; 0 takes any free one."),
    ] = 8080,
    data_dir: Annotated[
        Path,
        typer.Option(
            envvar="LIVESERVER_DATA_DIR",
            file_okay=False,
            help="Where the embedded store and the token secret live.",
        ),
    ] = DATA_DIR,
    redis_url: Annotated[
        str,
        typer.Option(
            envvar="LIVESERVER_REDIS_URL", help="A Valkey or Redis >= 7 instead of the embedded one."
        ),
    ] = "",
    journal_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="LIVESERVER_JOURNAL_DIR",
            help="Where what buyers are told is noted, for `ledger rebuild`.",
            show_default="DATA_DIR/journal",
        ),
    ] = None,
    durability: Annotated[
        Durability | None,
        typer.Option(
            envvar="LIVESERVER_DURABILITY",
            help="The least a purchase must have reached before it is answered; a store that can't is "
            "refused. Default: what the store offers.",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            envvar="LIVESERVER_WORKERS",
            min=0,
            max=WORKERS_MAX,
            help="So many processes behind one address, one a core, watched over by this one; 0: this "
            "process serves alone.",
        ),
    ] = 0,
    drain_seconds: Annotated[
        float,
        typer.Option(
            envvar="LIVESERVER_DRAIN_SECONDS",
            min=1,
            max=600,
            help="From being told to end to having ended: replies that are owed go out, viewers are told "
            "to come back and go in waves; who is left is cut.",
        ),
    ] = 10,
    log_json: Annotated[bool, typer.Option(envvar="LIVESERVER_LOG_JSON", help="Log JSON lines.")] = False,
) -> None:
    """Run the server until Ctrl-C or SIGTERM, which drain it; a second one ends it at once.

    With --workers this process owns the address and the store, and keeps that many others serving: one that
    crashes is replaced behind the same socket, and its viewers resume at another. SIGHUP replaces them one by
    one (new code is picked up; settings are those of the start), with nobody refused. Whichever is asked,
    /metrics has the numbers of all of them.

    Every other setting is an environment variable LIVESERVER_…: see README.md.

    Example:  liveserver serve --port 8080 --data-dir ./live-data

    Example:  liveserver serve --workers 4 --drain-seconds 30
    """
    configure_logging(json=log_json)
    chosen = settings(
        host=host,
        port=port,
        data_dir=data_dir,
        redis_url=redis_url,
        journal_dir=journal_dir,
        durability=durability,
        drain_seconds=drain_seconds,
        log_json=log_json,
    )
    try:
        uvloop.run(serve_workers(chosen, workers) if workers else _serve(chosen))
    except CANNOT_SERVE as error:
        typer.echo(f"cannot serve: {why(error, host, port)}", err=True)
        raise typer.Exit(1) from None


async def _serve(settings: Settings) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def stopped() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped)
    async with running(settings, on_loading=loading, hurry=hurry) as server:
        collector.settle()
        typer.echo(f"liveserver listens on {server.http_url} (clients: {server.url})")
        stopping = asyncio.create_task(stop.wait())
        ended = asyncio.create_task(server.wait())
        await asyncio.wait({stopping, ended}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if ended.done():
            ended.result()
        ended.cancel()
        typer.echo("draining …")
