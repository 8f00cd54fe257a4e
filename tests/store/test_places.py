"""Where a sale is shown, on the real store: kept, bounded, and gone some days after its close."""

from __future__ import annotations

import time

import pytest
from redis.asyncio import Redis

from liveserver.stock.scripts import places_key
from liveserver.store.limits import PLACES_KEPT_MS
from liveserver.store.places import ValkeyPlaces
from liveserver.store.port import SHELF, Place
from protocol.limits import ROOMS_PER_SALE_MAX
from protocol.types import Item, Listing

CARD = Listing(listing_id="oil", number=0, title="辣椒油", items=[Item(item_id="jar", price_fen=990)])


@pytest.fixture
def places(valkey: Redis) -> ValkeyPlaces:
    return ValkeyPlaces(valkey)


async def put(places: ValkeyPlaces, place: str, *, closes_at_ms: int = 0, **shown: bool) -> bool:
    closes = closes_at_ms or int(time.time() * 1000)
    return await places.put("s1", place, Place(CARD, **shown), closes_at_ms=closes)


async def test_rooms_and_the_shelf(places: ValkeyPlaces) -> None:
    assert await places.of("s1") == {} and await places.shelf("s1") is None
    await put(places, "r1", home=True)
    await put(places, "r2")
    assert await places.shelf("s1") is None
    await put(places, SHELF)
    await put(places, "r2", selling=False)
    assert await places.of("s1") == {
        "r1": Place(CARD, home=True),
        "r2": Place(CARD, selling=False),
        SHELF: Place(CARD),
    }
    assert await places.shelf("s1") == Place(CARD)


async def test_a_sale_is_in_so_many_rooms_and_no_more(places: ValkeyPlaces) -> None:
    await put(places, SHELF)
    for number in range(ROOMS_PER_SALE_MAX):
        assert await put(places, f"r{number}")
    assert not await put(places, "one-more")
    assert await put(places, "r7", home=True), "one it is in already may change"
    assert await put(places, SHELF, home=True), "the shelf is no room"
    assert len(await places.of("s1")) == ROOMS_PER_SALE_MAX + 1


async def test_it_goes_by_itself(places: ValkeyPlaces, valkey: Redis) -> None:
    closes_at_ms = int(time.time() * 1000) + 60_000
    await put(places, "r1", closes_at_ms=closes_at_ms)
    assert await valkey.pexpiretime(places_key("s1")) == closes_at_ms + PLACES_KEPT_MS
