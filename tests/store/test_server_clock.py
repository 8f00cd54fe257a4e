"""The process's clock against a real server's."""

from __future__ import annotations

import time

import pytest
from redis.asyncio import Redis

from liveserver.core.clock import Clock
from liveserver.store.rooms import ValkeyRoomStore
from liveserver.store.server_clock import ServerClock


async def server_ms(valkey: Redis) -> int:
    seconds, microseconds = await valkey.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


@pytest.fixture
def wrong_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose wall clock is an hour behind."""
    right = time.time
    monkeypatch.setattr("liveserver.store.server_clock.time.time", lambda: right() - 3_600)


@pytest.mark.usefixtures("wrong_wall")
async def test_sync_sets_it_by_the_server(valkey: Redis) -> None:
    clock = ServerClock()
    await clock.sync(valkey)
    before = await server_ms(valkey)
    now = clock.now_ms()
    after = await server_ms(valkey)
    assert before - 1_000 <= now <= after + 1_000  # not the hour it was wrong by


@pytest.mark.usefixtures("wrong_wall")
async def test_beats_steer_it(valkey: Redis) -> None:
    clock = ServerClock()
    wrong = clock.now_ms()
    store = ValkeyRoomStore(valkey, on_server_time=clock.observe)
    await store.beat("r1", process="p", viewers=0, likes=0)
    assert clock.now_ms() - wrong >= 3_590_000


async def test_it_never_goes_back() -> None:
    clock: Clock = ServerClock()
    told = [clock.now_ms() for _ in range(1_000)]
    assert told == sorted(told)


async def test_sleeping_lets_at_least_that_much_pass() -> None:
    clock = ServerClock()
    before = clock.now_ms()
    await clock.sleep_ms(20)
    await clock.sleep_ms(-5)
    assert clock.now_ms() - before >= 19  # whole milliseconds
