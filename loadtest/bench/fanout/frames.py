"""One frame to everybody, again and again: what a delivered frame costs the server's process.

The same text goes to everybody at the same pace, slow enough for ours to make a tick of each (``pace``). What
a server uses while nothing is said is measured in the same round and taken off: its timers and beats are no
frames.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

import msgspec

from loadtest.bench.fanout.happenings import Happening, Kind
from loadtest.bench.fanout.stage import Cost, Stage, turned
from loadtest.bench.pace import paced

WARM: Final = 2
IDLE_S: Final = 1.0  # and the looks at each of the others
REST_TRIES: Final = 8


class FrameRound(msgspec.Struct, frozen=True):
    frame_us: float  # net of what it uses idle
    idle_share: float  # of a core
    bytes: float  # of a frame, on the wire
    p50_ms: float
    p99_ms: float


async def play(stages: list[Stage], turn: int, broadcasts: int) -> dict[str, FrameRound]:
    """One round."""
    idle = await _idle(stages)
    return {stage.name: await _of_one(stage, broadcasts, idle[stage.name]) for stage in turned(stages, turn)}


async def _idle(stages: list[Stage]) -> dict[str, float]:
    """All at once: the CPU each uses, per second in which none of them says anything. (A room of ours tells
    its counts once more after the last one has come.)"""
    for _ in range(REST_TRIES):
        before = {stage.name: await stage.used() for stage in stages}
        await asyncio.sleep(IDLE_S)
        rest = {stage.name: Cost.between(before[stage.name], await stage.used()) for stage in stages}
        if not any(cost.frames for cost in rest.values()):
            return {name: cost.cpu_s / cost.seconds for name, cost in rest.items()}
    raise RestlessError(f"frames came in each of {REST_TRIES} looks at servers at rest")


class RestlessError(Exception):
    pass


async def _of_one(stage: Stage, broadcasts: int, idle_share: float) -> FrameRound:
    await paced(lambda: _says(stage), WARM, stage.sink)
    before = await stage.used()
    await stage.sink.latency()
    await paced(lambda: _says(stage), broadcasts, stage.sink)
    cost = Cost.between(before, await stage.used())
    delays = await stage.sink.latency()
    return FrameRound(
        1e6 * (cost.cpu_s - idle_share * cost.seconds) / cost.frames,
        idle_share,
        cost.bytes_per_frame,
        delays.p50_us / 1000,
        delays.p99_us / 1000,
    )


async def _says(stage: Stage) -> None:
    await stage.cast.happen(Happening(0.0, Kind.COMMENT, 0), time.monotonic_ns())
