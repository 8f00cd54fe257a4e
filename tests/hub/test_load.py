"""A loop that lags: what the process then gives up, on a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from liveserver.core.budget import Budget
from liveserver.core.limits import SessionRates
from liveserver.core.shares import share
from liveserver.hub.broadcaster import Broadcaster
from liveserver.hub.gate import FULL_RETRY_MS, Gate
from liveserver.hub.load import SAMPLE_MS, SAMPLES, Load
from liveserver.hub.people import People
from liveserver.hub.rooms import Rooms
from liveserver.hub.sharing import Sharing
from liveserver.hub.tasks import Tasks
from liveserver.store.port import Beat
from tests.clock import ManualClock


class LateClock(ManualClock):
    """Wakes its sleepers ``late_ms`` after their time, as a busy loop does."""

    late_ms = 0

    async def sleep_ms(self, delay_ms: float) -> None:
        await super().sleep_ms(delay_ms + self.late_ms)


class World:
    def __init__(self) -> None:
        self.clock = LateClock()
        self.gate = Gate(
            clock=self.clock,
            people=People(),
            tasks=Tasks(),
            broadcaster=Broadcaster(asyncio.get_running_loop()),
            rates=SessionRates(),
            sessions_max=10,
            seed=1,
        )
        self.budget = Budget(30, cast(Any, None))
        self.sharing = Sharing(30, self.budget, self.clock.now_ms())
        rooms = SimpleNamespace(all=lambda: [SimpleNamespace(sharing=self.sharing)])
        self.load = Load(self.clock, cast(Rooms, rooms), self.gate)

    async def lag(self, late_ms: int, looks: int) -> None:
        self.clock.late_ms = late_ms
        await self.clock.advance((SAMPLE_MS + late_ms) * SAMPLES * looks)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    watch = asyncio.create_task(world.load.watch())
    await world.clock.settle()
    yield world
    watch.cancel()


async def test_a_loop_in_time_gives_nothing_up(world: World) -> None:
    await world.lag(2, 5)
    assert (world.load.ladder.at, world.budget.rate, world.gate.admits()) == (0, 30_000, 0)


async def test_comments_first_then_newcomers_and_all_of_it_comes_back(world: World) -> None:
    rates = []
    for _ in range(4):
        await world.lag(300, 2)
        rates.append((world.budget.rate, world.gate.admits() == 0))
    assert rates == [(15_000, True), (6_000, True), (6_000, False), (6_000, False)]
    assert FULL_RETRY_MS[0] <= world.gate.admits() <= FULL_RETRY_MS[1]
    await world.lag(0, 10)
    assert (world.budget.rate, world.gate.admits()) == (30_000, 0)


async def test_whichever_is_worse_the_loop_or_the_rooms_line(world: World) -> None:
    await world.lag(25, 3)
    assert world.sharing.percent == 50
    world.sharing.broadcast(took_ms=5, captured=10, paused=8)
    world.sharing.look(100)
    world.sharing.broadcast(took_ms=5, captured=10, paused=8)
    world.sharing.look(50)
    assert world.sharing.percent == 25, "the room's"
    world.sharing.look(20)
    assert world.sharing.percent == 20, "the loop's"


async def test_a_share_and_what_it_is_tightened_by_come_together(world: World) -> None:
    beat = Beat(epoch=1, head=0, viewers=2, likes=0, demand=90_000, processes=2, sales=[])
    world.sharing.look(50)
    world.sharing.beat(60_000, beat)
    assert world.budget.rate == share(30_000, 60_000, 90_000, 2) // 2
