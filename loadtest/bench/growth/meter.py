"""What servers and their store did between two looks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, Protocol

from redis.asyncio import Redis

from liveserver.valkey.connect import call_client
from loadtest.bench.peers.port import Server
from loadtest.bench.sink import Heard

QUIET_S_MAX: Final = 60.0
REST_TRIES: Final = 8
OURS: Final = (
    "cmdstat_info",
    "cmdstat_ping",
    "cmdstat_hello",
    "cmdstat_client|setinfo",
)  # asked by who looks


class Listening(Protocol):
    async def quiet(self, seconds_max: float) -> Heard: ...


class Look(NamedTuple):
    cpu_s: float  # of all the servers
    frames: int
    bytes: int
    store_calls: int
    at_s: float


class Between(NamedTuple):
    cpu_s: float
    frames: int
    bytes: int
    store_calls: int
    seconds: float

    @property
    def store_calls_per_s(self) -> float:
        return self.store_calls / self.seconds


class Meter:
    def __init__(self, servers: Sequence[Server], crowds: Sequence[Listening], store: Redis | None) -> None:
        self._servers = servers
        self._crowds = crowds
        self._store = store

    async def look(self) -> Look:
        """Once nothing more is coming."""
        heard = [await one.quiet(QUIET_S_MAX) for one in self._crowds]
        calls = 0 if self._store is None else await _calls(self._store)
        return Look(
            sum(one.cpu_s() for one in self._servers),
            sum(one.frames for one in heard),
            sum(one.bytes for one in heard),
            calls,
            time.monotonic(),
        )

    async def since(self, before: Look) -> Between:
        now = await self.look()
        return Between(
            now.cpu_s - before.cpu_s,
            now.frames - before.frames,
            now.bytes - before.bytes,
            now.store_calls - before.store_calls,
            now.at_s - before.at_s,
        )

    async def rest(self, seconds: float) -> Between:
        """So many in which nothing was said to anybody: a room tells its counts once more after the last
        one has come. Raises ``RestlessError``."""
        for _ in range(REST_TRIES):
            before = await self.look()
            await asyncio.sleep(seconds)
            rest = await self.since(before)
            if not rest.frames:
                return rest
        raise RestlessError(f"frames came in each of {REST_TRIES} looks at a server at rest")


class RestlessError(Exception):
    pass


async def _calls(store: Redis) -> int:
    """Commands the store has run, those inside scripts too."""
    stats: dict[str, Any] = await store.info("commandstats")
    return sum(int(one["calls"]) for name, one in stats.items() if name not in OURS)


@asynccontextmanager
async def client(store_url: str) -> AsyncIterator[Redis]:
    made = call_client(store_url)
    try:
        yield made
    finally:
        await made.aclose()
