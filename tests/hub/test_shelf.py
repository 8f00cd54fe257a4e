"""A sale as pages see it: never older than what this process has already heard. On a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from liveserver.hub.places import KnownPlaces
from liveserver.hub.shelf import LOOK_EVERY_MS, Shelf
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import SaleSpec
from liveserver.store.places import ValkeyPlaces
from liveserver.valkey.connect import call_client
from tests.clock import ManualClock
from tests.stock.conftest import ValkeyBench, order


class SlowTerms(ValkeyLedger):
    """Whoever asks for the terms waits, its view of the sale in hand."""

    asked: asyncio.Event
    may_go: asyncio.Event

    async def terms(self, sale_id: str) -> SaleSpec:
        self.asked.set()
        await self.may_go.wait()
        return await super().terms(sale_id)


@pytest.fixture
async def bench(valkey: Redis, valkey_url: str) -> AsyncIterator[ValkeyBench]:
    client = call_client(valkey_url)
    yield ValkeyBench(ManualClock(), client)
    await client.aclose()


async def test_a_look_that_took_long_does_not_take_back_what_was_heard_since(bench: ValkeyBench) -> None:
    clock = bench.clock
    ledger = SlowTerms(bench.client, clock)
    ledger.asked, ledger.may_go = asyncio.Event(), asyncio.Event()
    shelf = Shelf(ledger, KnownPlaces(ValkeyPlaces(bench.client), clock), clock, on_look=lambda _: None)
    await bench.open(bench.spec((5,)))
    ledger.may_go.set()
    first = await shelf.view("s1", trusted=True)
    assert first is not None and first.available == {"i0": 5}

    await bench.advance(LOOK_EVERY_MS)
    ledger.may_go.clear()
    ledger.asked.clear()
    looking = asyncio.create_task(shelf.view("s1", trusted=True))
    async with asyncio.timeout(5):
        await ledger.asked.wait()
        _, sold = await bench.ledger.reserve("s1", [order("ann", "c1")])
        shelf.observe(sold)
        ledger.may_go.set()
        seen = await looking
    assert seen is not None
    assert (seen.seq, seen.available) == (sold.seq, {"i0": 4})
    kept = await shelf.view("s1", trusted=True)
    assert kept is not None and kept.seq == sold.seq


async def test_a_sale_that_the_clock_has_opened_is_seen_open_though_no_row_says_so(
    bench: ValkeyBench,
) -> None:
    clock = bench.clock
    places = KnownPlaces(ValkeyPlaces(bench.client), clock)
    shelf = Shelf(bench.ledger, places, clock, on_look=lambda _: None)
    await bench.open(bench.spec((5,), opens_in_ms=LOOK_EVERY_MS))
    for status in ("scheduled", "open"):
        seen = await shelf.view("s1", trusted=True)
        assert seen is not None and (seen.seq, seen.status) == (1, status)
        await bench.advance(LOOK_EVERY_MS)
