"""Who reads a sale's feed while it is written, and checks that its rows join: a process of its own, as an
order service is. ``python -m loadtest.bench.stock.reader CORE STORE_URL SALE``.

Its input is lines of JSON: ``{"read": true}`` and it reads from the feed's end on, ``{"read": false}`` and it
reads to the end and answers what it read since. It ends when its input does.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
import uvloop
from redis.asyncio import Redis

from liveserver.stock.scripts import feed_key
from liveserver.valkey.connect import call_client
from loadtest import machine
from loadtest.bench.child import Child
from loadtest.bench.stock.store import Store

PAGE_ROWS: Final = 200
POLL_S: Final = 0.02


class FeedBrokenError(Exception):
    pass


class Reader:
    def __init__(self, client: Redis, sale_id: str) -> None:
        self._client = client
        self._key = feed_key(sale_id)
        self.after = b"0-0"
        self.rows = 0
        self.seq = 0

    async def begin(self) -> None:
        """At the feed's end, as one who has kept up."""
        self.rows = 0
        last: Any = await self._client.xrevrange(self._key, count=1)
        if last:
            self._reach(last[0][0])

    async def page(self) -> int:
        entries: Any = await self._client.xrange(self._key, min=b"(" + self.after, count=PAGE_ROWS)
        for entry_id, row in entries:
            if int(row[b"first"]) != self.seq + 1:
                raise FeedBrokenError(f"{self._key} has {row[b'first']!r} after {self.seq}")
            self._reach(entry_id)
        self.rows += len(entries)
        return len(entries)

    async def follow(self, stop: asyncio.Event) -> None:
        """Until ``stop``, and then to the feed's end. Not to be cancelled: where a call swallows that, it
        would go on for ever."""
        while not stop.is_set():
            if await self.page() < PAGE_ROWS:
                await asyncio.sleep(POLL_S)
        while await self.page():
            pass

    def _reach(self, entry_id: bytes) -> None:
        self.after, self.seq = entry_id, int(entry_id.partition(b"-")[2])


class FeedReader:
    """The process, as the benchmark holds it."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self.rows = 0  # in all

    async def begin(self) -> None:
        await self._child.ask({"read": True})

    async def end(self) -> int:
        """Rows read since ``begin``, up to the feed's end."""
        read = int((await self._child.ask({"read": False}))["rows"])
        self.rows += read
        return read


@asynccontextmanager
async def feed_reader(store: Store, sale_id: str, core: int) -> AsyncIterator[FeedReader]:
    child = await Child.start("loadtest.bench.stock.reader", str(core), store.url, sale_id)
    try:
        yield FeedReader(child)
    finally:
        await child.end()


async def main(core: int, url: str, sale_id: str) -> None:
    machine.pin(0, core)
    client = call_client(url)
    reader, stop, follows = Reader(client, sale_id), asyncio.Event(), None
    loop = asyncio.get_running_loop()
    try:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            if orjson.loads(line)["read"]:
                await reader.begin()
                stop.clear()
                follows = asyncio.create_task(reader.follow(stop))
            elif follows is not None:
                stop.set()
                await follows
            sys.stdout.buffer.write(orjson.dumps({"rows": reader.rows}) + b"\n")
            sys.stdout.buffer.flush()
    finally:
        await client.aclose()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
