"""Clients and ledgers on a store, closed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from liveserver.stock.ledger import ValkeyLedger
from liveserver.valkey.connect import call_client
from tests.clock import ManualClock
from tests.faults.rush import WallClock
from tests.stock.conftest import ValkeyBench


class Clients:
    def __init__(self) -> None:
        self.made: list[Redis] = []

    def client(self, url: str) -> Redis:
        client = call_client(url)
        self.made.append(client)
        return client

    def ledger(self, url: str, *, act_within_ms: int = 2_000) -> ValkeyLedger:
        return ValkeyLedger(self.client(url), WallClock(), act_within_ms=act_within_ms)


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
