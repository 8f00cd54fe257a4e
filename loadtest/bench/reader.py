"""Somebody who reads a sale's feed while it is written, and checks that its rows join."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from liveserver.stock.scripts import feed_key
from loadtest.bench.store import Store

PAGE_ROWS: Final = 200
POLL_S: Final = 0.02


class FeedBrokenError(Exception):
    pass


class Reader:
    def __init__(self, store: Store, sale_id: str) -> None:
        self._client = store.client
        self._key = feed_key(sale_id)
        self.after = b"0-0"
        self.rows = 0
        self.seq = 0

    async def page(self) -> int:
        entries: Any = await self._client.xrange(self._key, min=b"(" + self.after, count=PAGE_ROWS)
        for entry_id, row in entries:
            if int(row[b"first"]) != self.seq + 1:
                raise FeedBrokenError(f"{self._key} has {row[b'first']!r} after {self.seq}")
            self.after, self.seq = entry_id, int(entry_id.partition(b"-")[2])
        self.rows += len(entries)
        return len(entries)

    async def follow(self) -> None:
        while True:
            if await self.page() < PAGE_ROWS:
                await asyncio.sleep(POLL_S)

    async def to_the_end(self) -> None:
        while await self.page():
            pass


@asynccontextmanager
async def reading(store: Store, sale_id: str) -> AsyncIterator[Reader]:
    """Starts at the feed's end, as a reader does who has kept up."""
    reader = Reader(store, sale_id)
    last: Any = await store.client.xrevrange(reader._key, count=1)
    if last:
        reader.after = last[0][0]
        reader.seq = int(reader.after.partition(b"-")[2])
    follows = asyncio.create_task(reader.follow())
    try:
        yield reader
    finally:
        follows.cancel()
        await asyncio.gather(follows, return_exceptions=True)
    await reader.to_the_end()
