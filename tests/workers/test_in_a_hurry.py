"""Told twice to end: ``serve`` drains no longer and ends in order, whether alone or over workers."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.end_to_end.test_slow import connect_small

from .served import Served, alive

pytestmark = [
    pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="reads /proc"),
    pytest.mark.slow,
]
LIMIT_S = 120  # far below what the drain would take
DRAIN_SECONDS = 600


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [0, 2])
async def test_the_second_signal_ends_the_drain(
    workers: int, number: signal.Signals, tmp_path: Path, valkey: Redis, valkey_url: str
) -> None:
    options = ("--drain-seconds", str(DRAIN_SECONDS))
    async with (
        asyncio.timeout(LIMIT_S),
        Served(tmp_path, workers, *options, LIVESERVER_REDIS_URL=valkey_url) as served,
    ):
        below = served.workers()
        mute = await connect_small(served.url, served.mint("viewer", "mute"))
        mute.transport.pause_reading()  # it holds the drain up: it answers no close frame
        served.signal(number)
        await served.until(lambda: "draining" in served.log)
        assert served.process.returncode is None
        served.signal(number)
        assert await served.ended() == 0, served.log
        assert "Traceback" not in served.log
        if workers == 0:
            assert "cut=1" in served.log, "it was told, and cut in order"
        assert not any(alive(pid) for pid in below)
        mute.transport.abort()
