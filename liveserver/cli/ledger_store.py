"""The store a ledger tool looks into: a server's address, or a data directory whose server runs or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import msgspec
import typer
from redis.asyncio import Redis
from redis.exceptions import RedisError

from liveserver.cli.serve import DATA_DIR
from liveserver.store.binary import NoStoreError
from liveserver.store.datadir import DataDirInUseError, has_store, socket_in_use
from liveserver.store.embedded import EmbeddedValkey, StoreStartError
from liveserver.valkey.connect import call_client

ANSWER_MS_MAX = 30_000
CANNOT_LOOK = (NoStoreError, DataDirInUseError, StoreStartError, RedisError, OSError)

RedisUrlOption = Annotated[
    str,
    typer.Option(envvar="LIVESERVER_REDIS_URL", help="The Valkey or Redis that holds the sales."),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        envvar="LIVESERVER_DATA_DIR",
        file_okay=False,
        help="Or the data directory of a server: a running one is asked, a stopped one's store is started.",
        show_default=str(DATA_DIR),
    ),
]


class Place(msgspec.Struct, frozen=True):
    """``redis_url``, or where that is empty, ``data_dir``."""

    redis_url: str
    data_dir: Path


def place(ctx: typer.Context) -> Place:
    """What was typed beats the environment; within it, as for the server, an address beats a directory.
    Raises ``typer.BadParameter``."""
    redis_url, data_dir = ctx.params["redis_url"], ctx.params["data_dir"]
    typed = {name for name in ("redis_url", "data_dir") if _is_typed(ctx, name)}
    if len(typed) == 2:
        raise typer.BadParameter("give one of --redis-url and --data-dir")
    return Place("" if "data_dir" in typed else redis_url, data_dir or DATA_DIR)


def _is_typed(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


@asynccontextmanager
async def store_of(where: Place, on_loading: Callable[[float], None]) -> AsyncIterator[Redis]:
    """A client on it. Raises ``typer.BadParameter`` and ``CANNOT_LOOK``. A store started here ends here."""
    if where.redis_url:
        async with _client(where.redis_url) as client:
            yield client
        return
    folder = where.data_dir
    running = socket_in_use(folder)
    if running is not None:
        async with _client(f"unix://{quote(str(running))}") as client:
            yield client
        return
    if not has_store(folder):
        raise typer.BadParameter(f"{folder} holds no store", param_hint="--data-dir")
    started = await EmbeddedValkey.start(folder, on_loading=on_loading)
    async with started, _client(started.url) as client:
        yield client


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[Redis]:
    client = call_client(url, timeout_ms=ANSWER_MS_MAX)
    try:
        yield client
    finally:
        await client.aclose()
