"""Which store a process uses: one that is named, or its own, started here and stopped last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import msgspec

from liveserver.config import Settings
from liveserver.stock.port import Durability
from liveserver.store.binary import ExternalStore, choose_store
from liveserver.store.embedded import EmbeddedValkey, Fsync

STORE_LOOK_S = 0.5  # how often we look whether our own store still runs


class StoreUnfitError(Exception):
    """The store is set up in a way that would lose sales, or can't keep what was asked of it."""


class StoreLostError(Exception):
    """The embedded store ended by itself: its disk is full, or somebody ended it."""


class Store(msgspec.Struct, frozen=True):
    """Where the rooms and the stock are."""

    url: str
    embedded: EmbeddedValkey | None = None

    async def lost(self) -> None:
        """Returns never; raises ``StoreLostError`` when our own store has ended."""
        while self.embedded is None or self.embedded.alive:  # noqa: ASYNC110  a process's end is no event
            await asyncio.sleep(STORE_LOOK_S)
        raise StoreLostError(f"the embedded store has ended; its log: {self.embedded.log_path}")


async def open_store(
    settings: Settings, stack: AsyncExitStack, on_loading: Callable[[float], None] | None
) -> Store:
    """The store to use; an embedded one is started, and stopped last."""
    environ = {"LIVESERVER_REDIS_URL": settings.redis_url, "LIVESERVER_VALKEY_BIN": settings.valkey_bin}
    chosen = choose_store(environ)
    if isinstance(chosen, ExternalStore):
        return Store(chosen.url)
    # Who asks for no more than memory doesn't wait for a disk.
    fsync: Fsync = "everysec" if settings.durability is Durability.MEMORY else "always"
    embedded = await EmbeddedValkey.start(
        settings.data_dir, binary=chosen, fsync=fsync, on_loading=on_loading
    )
    stack.push_async_callback(embedded.stop)
    return Store(embedded.url, embedded)
