"""``liveserver serve``: one process of the server."""

from __future__ import annotations

import asyncio
import errno
import signal
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from redis.exceptions import RedisError

from liveserver.app import StoreLostError, StoreUnfitError, running
from liveserver.cli import collector
from liveserver.cli.faults import in_words
from liveserver.cli.logs import configure_logging
from liveserver.cli.settings import settings
from liveserver.config import Settings
from liveserver.stock.port import Durability
from liveserver.store.binary import NoStoreError
from liveserver.store.datadir import DataDirInUseError
from liveserver.store.embedded import StoreStartError
from liveserver.valkey.server import ServerTooOldError

DATA_DIR = Path("live-data")
CANNOT_SERVE = (
    NoStoreError,
    DataDirInUseError,
    StoreStartError,
    StoreUnfitError,
    StoreLostError,
    ServerTooOldError,
    RedisError,
    OSError,
    ValueError,
)


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
    log_json: Annotated[bool, typer.Option(envvar="LIVESERVER_LOG_JSON", help="Log JSON lines.")] = False,
) -> None:
    """Run the server until Ctrl-C.

    Every other setting is an environment variable LIVESERVER_…: see README.md.

    Example:  liveserver serve --port 8080 --data-dir ./live-data
    """
    configure_logging(json=log_json)
    chosen = settings(
        host=host,
        port=port,
        data_dir=data_dir,
        redis_url=redis_url,
        journal_dir=journal_dir,
        durability=durability,
        log_json=log_json,
    )
    try:
        uvloop.run(_serve(chosen))
    except CANNOT_SERVE as error:
        typer.echo(f"cannot serve: {why(error, host, port)}", err=True)
        raise typer.Exit(1) from None


def why(error: Exception, host: str, port: int) -> str:
    """The error, and for an address that can't be had also which, and what to do."""
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"{host}:{port} is in use: stop what listens there, or give another --port (0: any free one)"
    if isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: give another --host"
    return in_words(error)


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    async with running(settings, on_loading=_loading) as server:
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


def _loading(percent: float) -> None:
    typer.echo(f"the store reads its log: {percent:.0f} %", err=True)
