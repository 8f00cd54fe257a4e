"""Standing still is noticed: a loop that is held up, and a collector that runs."""

from __future__ import annotations

import asyncio
import gc
import time

from liveserver.hub.standstills import SAMPLE_S, Standstills
from tests.edge.peers import eventually

HELD_S = 0.2


async def test_a_loop_that_was_held_up_is_late() -> None:
    with Standstills() as standstills:
        await eventually(lambda: standstills.lag.count > 0, "a sample")
        before = standstills.lag.total
        time.sleep(HELD_S + SAMPLE_S)  # noqa: ASYNC251  it is the loop that shall stand still
        seen = standstills.lag.count
        await eventually(lambda: standstills.lag.count > seen, "the next sample")
    assert standstills.lag.total - before >= HELD_S
    assert any(bound >= HELD_S and count for bound, count in standstills.lag.cumulative())


async def test_the_collector_s_runs_are_counted() -> None:
    with Standstills() as standstills:
        before = standstills.collector.count
        gc.collect()
        assert standstills.collector.count > before
        assert standstills.collector.total > 0


async def test_nothing_is_watched_afterwards() -> None:
    callbacks = list(gc.callbacks)
    with Standstills() as standstills:
        assert len(gc.callbacks) == len(callbacks) + 1
    assert gc.callbacks == callbacks
    seen = standstills.lag.count
    await asyncio.sleep(3 * SAMPLE_S)
    assert standstills.lag.count == seen
