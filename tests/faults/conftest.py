"""Clients and ledgers on a store, closed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from liveserver.stock.durability import Promise
from liveserver.stock.ledger import PROMISE_NOTHING, ValkeyLedger
from liveserver.store.binary import ServerBinary
from liveserver.store.embedded import EmbeddedValkey, Fsync
from liveserver.valkey.connect import call_client
from tests.clock import ManualClock
from tests.conftest import StartValkey
from tests.faults.disk import Disk, compiler
from tests.faults.rush import WallClock
from tests.stock.conftest import ValkeyBench


class Clients:
    def __init__(self) -> None:
        self.made: list[Redis] = []

    def client(self, url: str) -> Redis:
        client = call_client(url)
        self.made.append(client)
        return client

    def ledger(
        self, url: str, *, act_within_ms: int = 2_000, promise: Promise = PROMISE_NOTHING
    ) -> ValkeyLedger:
        return ValkeyLedger(self.client(url), WallClock(), act_within_ms=act_within_ms, promise=promise)


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    made = Clients()
    yield made
    for client in made.made:
        await client.aclose()


@pytest.fixture
async def valkey_bench(valkey: Redis, valkey_url: str, clients: Clients) -> ValkeyBench:
    """A ledger whose time, and whose store's time, only the test moves."""
    return ValkeyBench(ManualClock(), clients.client(valkey_url))


@pytest.fixture
def disk(tmp_path: Path, valkey_binary: ServerBinary) -> Disk:
    if compiler() is None:
        pytest.skip("needs a C compiler (Debian: apt-get install gcc libc6-dev)")
    return Disk(tmp_path / "disk", valkey_binary)


@pytest.fixture
async def disk_valkey(disk: Disk) -> AsyncIterator[StartValkey]:
    """As ``durable_valkey``, on the test's own ``disk``."""
    started: list[EmbeddedValkey] = []

    async def start(data_dir: Path | None = None, *, fsync: Fsync = "always") -> EmbeddedValkey:
        store = await EmbeddedValkey.start(data_dir, binary=disk.binary, fsync=fsync)
        started.append(store)
        return store

    yield start
    disk.release()
    for store in started:
        store.kill()
