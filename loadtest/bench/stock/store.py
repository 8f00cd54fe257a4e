"""A private Valkey on a core of its own, and the adapter on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import SaleItem, SaleSpec
from liveserver.stock.scripts import keys_of
from liveserver.store.embedded import EmbeddedValkey
from liveserver.store.server_clock import ServerClock
from liveserver.valkey.connect import call_client
from loadtest import machine

HOLD_MS: Final = 1_800_000  # nothing falls due while we measure
SALE_MS: Final = 3_600_000
STOCK: Final = 10**9
BUYERS: Final = 1  # its place among the keys of a sale
REWRITE_S_MAX: Final = 60.0


class Store(msgspec.Struct):
    name: str  # "memory" or "fsynced"
    url: str
    pid: int
    client: Redis
    clock: ServerClock
    ledger: ValkeyLedger

    async def open(self, sale_id: str, stock: int = STOCK) -> None:
        now_ms = self.clock.now_ms()
        spec = SaleSpec(sale_id, (SaleItem("i0", stock),), 5, now_ms, now_ms + SALE_MS, HOLD_MS)
        await self.ledger.open(spec, command_id=f"open-{sale_id}")

    async def drop(self, *sales: str) -> None:
        await self.client.unlink(*(key for sale_id in sales for key in keys_of(sale_id)))

    async def sale_bytes(self, sale_id: str) -> int:
        """All keys of the sale, as MEMORY USAGE counts every entry of them."""
        return sum([int(await self.client.memory_usage(key, 0) or 0) for key in keys_of(sale_id)])

    async def buyers_bytes(self, sale_id: str) -> int:
        """Of the one key in which a purchase's command id stays remembered, with what it asked for."""
        return int(await self.client.memory_usage(keys_of(sale_id)[BUYERS], 0) or 0)

    async def cpu_s(self) -> float:
        """CPU the store's command thread has used."""
        info: dict[str, Any] = await self.client.info("cpu")
        return float(info["used_cpu_user_main_thread"]) + float(info["used_cpu_sys_main_thread"])

    async def persist_always(self, orders: int) -> None:
        """From here on no write is answered before it is on disk. ``orders``: about how many are there."""
        await self.client.config_set("appendfsync", "always")
        await self.client.config_set("appendonly", "yes")
        async with asyncio.timeout(REWRITE_S_MAX * max(1.0, orders / 1_000_000)):
            while (await self.client.info("persistence"))["aof_rewrite_in_progress"]:  # noqa: ASYNC110  the store tells nobody
                await asyncio.sleep(0.05)
        self.ledger = ValkeyLedger(self.client, self.clock)  # one that knows it, and proves it in each call


@asynccontextmanager
async def store(name: str, core: int) -> AsyncIterator[Store]:
    """Without any persistence, until ``persist_always``."""
    embedded = await EmbeddedValkey.start(fsync="no")
    try:
        machine.pin(embedded.pid, core)
        client = call_client(embedded.url)
        try:
            await client.config_set("appendonly", "no")
            clock = ServerClock()
            await clock.sync(client)
            yield Store(name, embedded.url, embedded.pid, client, clock, ValkeyLedger(client, clock))
        finally:
            await client.aclose()
    finally:
        await embedded.stop()
