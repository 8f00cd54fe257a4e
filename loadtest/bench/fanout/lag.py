"""How late the server's loop is while it broadcasts: in its own process, beside the same loop at rest."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import msgspec

from loadtest.bench.fanout.happenings import Happening, Kind
from loadtest.bench.fanout.stage import Stage
from loadtest.bench.peers.ours import Ours

PERIOD_S: Final = 0.12


class LagRound(msgspec.Struct, frozen=True):
    """In milliseconds; a timer's own millisecond is in all of them."""

    rest_p99: float
    p50: float
    p99: float


async def play(stage: Stage, seconds: float) -> LagRound:
    assert isinstance(stage.server, Ours)
    await stage.used()
    rest = await stage.server.lag(seconds / 3)
    watching = asyncio.create_task(stage.server.lag(seconds))
    for number in range(round(seconds / PERIOD_S)):
        await stage.cast.happen(Happening(0.0, Kind.COMMENT, number), time.monotonic_ns())
        await asyncio.sleep(PERIOD_S)
    busy = await watching
    return LagRound(rest["p99_ms"], busy["p50_ms"], busy["p99_ms"])
