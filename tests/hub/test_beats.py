"""Rooms beating, on a clock that is moved by hand and a store that is away when a test says so."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from redis.exceptions import ConnectionError as StoreAwayError

from liveserver.hub.beats import BEAT_MS, BEATS_AT_ONCE, STEPS, Beats
from liveserver.hub.live_room import LiveRoom
from liveserver.store.port import Beat, RoomStore
from tests.clock import ManualClock

STEP_MS = BEAT_MS // STEPS


class LateClock(ManualClock):
    """Wakes whoever sleeps next ``late_ms`` after his time, as a loop that stood still does."""

    late_ms = 0

    async def sleep_ms(self, delay_ms: float) -> None:
        late_ms, self.late_ms = self.late_ms, 0
        await super().sleep_ms(delay_ms + late_ms)


class Store:
    """Answers, fails, or leaves calls waiting until it is told to go on."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.away = False
        self.answering = asyncio.Event()
        self.answering.set()
        self.asked: list[tuple[int, str]] = []
        self.pings: list[int] = []

    async def beat(self, room: str, **told: object) -> Beat:
        self.asked.append((self.clock.now_ms(), room))
        await self.answering.wait()
        if self.away:
            raise StoreAwayError("away")
        return Beat(epoch=1, head=2, viewers=3, likes=4, demand=5, processes=1, sales=["s1"])

    async def ping(self) -> None:
        self.pings.append(self.clock.now_ms())
        if self.away:
            raise StoreAwayError("away")


class Room:
    def __init__(self, room_id: str) -> None:
        self.room_id = room_id
        self.holding = "p.1"
        self.seats = ()
        self.likes = 0
        self.heard: list[tuple[int, ...]] = []
        self.sharing = SimpleNamespace(demand=lambda now_ms: 0, beat=lambda demand, beat: None)
        self.others = SimpleNamespace(beat=lambda processes: None)

    def heal(self, epoch: int, head: int) -> None:
        self.heard.append((epoch, head))

    def set_counts(self, viewers: int, likes: int) -> None:
        self.heard.append((viewers, likes))


class World:
    def __init__(self) -> None:
        self.clock = LateClock()
        self.store = Store(self.clock)
        self.sales: list[tuple[str, str]] = []
        self.beaten: list[str] = []
        self.beats = Beats(
            cast(RoomStore, self.store),
            self.clock,
            on_sale=lambda room, sale_id: self.sales.append((room, sale_id)),
            beaten=lambda live: self.beaten.append(live.room_id),
        )

    def answers(self) -> bool:
        return self.beats.store_answers

    def hold(self, count: int) -> list[LiveRoom]:
        rooms = [cast(LiveRoom, Room(f"r{k}")) for k in range(count)]
        for live in rooms:
            self.beats.add(live)
        return rooms


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    beating = asyncio.create_task(world.beats.forever())
    await world.clock.settle()
    yield world
    beating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beating


async def test_each_room_beats_once_a_second_and_the_second_is_used_evenly(world: World) -> None:
    world.hold(3 * STEPS)
    await world.clock.advance(BEAT_MS)
    first = {room: at_ms for at_ms, room in world.store.asked}
    assert len(world.store.asked) == len(first) == 3 * STEPS
    moments = Counter(at_ms for at_ms, _ in world.store.asked)
    assert sorted(moments.values()) == [3] * STEPS
    world.store.asked.clear()
    await world.clock.advance(BEAT_MS)
    assert {room: at_ms - BEAT_MS for at_ms, room in world.store.asked} == first
    assert len(world.store.asked) == 3 * STEPS


async def test_what_a_beat_brings_home(world: World) -> None:
    (live,) = world.hold(1)
    await world.clock.advance(BEAT_MS)
    assert cast(Any, live).heard == [(1, 2), (3, 4)]
    assert (world.sales, world.beaten) == ([("r0", "s1")], ["r0"])


async def test_a_room_let_go_beats_no_more(world: World) -> None:
    kept, gone = world.hold(2)
    await world.clock.advance(BEAT_MS)
    world.beats.remove(gone)
    await world.clock.advance(BEAT_MS)
    assert Counter(room for _, room in world.store.asked) == {kept.room_id: 2, gone.room_id: 1}


@pytest.mark.parametrize("count", [1, 3, 3 * BEATS_AT_ONCE])
async def test_a_store_that_is_away_is_noticed_within_a_second_and_so_is_that_it_is_back(
    world: World, count: int
) -> None:
    world.hold(count)
    await world.clock.advance(BEAT_MS)
    assert world.answers()
    world.store.away = True
    await world.clock.advance(BEAT_MS)
    assert not world.answers()
    assert Counter(world.beaten) == {f"r{k}": 2 for k in range(count)}, "over, if not answered"
    world.store.away = False
    await world.clock.advance(BEAT_MS)
    assert world.answers()


async def test_one_failure_is_not_the_stores(world: World) -> None:
    one, _ = world.hold(2)
    world.store.away = True
    await world.beats.beat(one)
    assert world.answers()


async def test_a_store_that_does_not_answer_is_asked_once_by_each_room_and_stops_no_other(
    world: World,
) -> None:
    world.hold(3)
    world.store.answering.clear()
    await world.clock.advance(3 * BEAT_MS)
    assert Counter(room for _, room in world.store.asked) == {"r0": 1, "r1": 1, "r2": 1}
    assert world.beaten == []
    world.store.away = True
    world.store.answering.set()
    await world.clock.settle()
    assert not world.answers()


async def test_no_more_than_a_few_ask_at_once(world: World) -> None:
    world.hold(2 * BEATS_AT_ONCE)
    world.store.answering.clear()
    await world.clock.advance(BEAT_MS)
    assert len(world.store.asked) == BEATS_AT_ONCE
    world.store.answering.set()
    await world.clock.settle()
    assert len(world.store.asked) == 2 * BEATS_AT_ONCE


async def test_time_that_was_lost_is_not_made_up_for_in_a_burst(world: World) -> None:
    world.hold(STEPS)
    world.clock.late_ms = 10 * BEAT_MS
    await world.clock.advance(10 * BEAT_MS)
    world.store.asked.clear()
    await world.clock.advance(BEAT_MS)
    moments = [at_ms for at_ms, _ in world.store.asked]
    assert len(moments) >= STEPS - 2
    assert max(Counter(moments).values()) <= 2


async def test_without_rooms_the_store_is_asked_once_a_second(world: World) -> None:
    await world.clock.advance(3 * BEAT_MS)
    assert len(world.store.pings) == 3
    world.store.away = True
    await world.clock.advance(BEAT_MS)
    assert not world.answers()
    world.store.away = False
    await world.clock.advance(BEAT_MS)
    assert world.answers()
