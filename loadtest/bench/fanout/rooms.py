"""A busy room and a quiet one: the same things happen to each server, at the same instants.

The cost is all the CPU of the server's process, idle or not, from the first event until the last frame has
been read, per socket and per second of the plan: also where it took longer.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

import msgspec

from loadtest.bench.fanout.cast import Cast
from loadtest.bench.fanout.happenings import Happening, Kind, plan
from loadtest.bench.fanout.stage import Cost, Stage
from loadtest.bench.peers.ours import Ours

SHED: Final = 'liveserver_danmaku_units_total{fate="sampled"}'
BATCHED: Final = "_batched"  # after a peer's name


class ShedError(Exception):
    """Ours left comments out: its cost is no figure."""


class RoomRound(msgspec.Struct, frozen=True):
    us_per_viewer_s: float
    frames_per_viewer_s: float
    bytes_per_viewer_s: float
    p50_ms: float
    p99_ms: float
    late_s: float  # the last frame was read so long after the plan's end


async def play(
    stages: list[Stage], a_second: dict[Kind, int], seconds: int, turn: int, seed: int, *, both_ways: bool
) -> dict[str, RoomRound]:
    """One round. ``both_ways``: who can be handed a tick's events at once is measured so, too."""
    planned = plan(a_second, seconds, seed * 1_000 + turn)
    ways: list[tuple[str, Stage, Cast]] = []
    for stage in stages:
        ways.append((stage.name, stage, stage.cast))
        if both_ways and stage.batches is not None:
            ways.append((stage.name + BATCHED, stage, stage.batches))
    at = turn % len(ways)
    return {name: await _of_one(stage, cast, planned, seconds) for name, stage, cast in ways[at:] + ways[:at]}


async def _of_one(stage: Stage, cast: Cast, planned: list[Happening], seconds: int) -> RoomRound:
    shed = await _shed(stage)
    before = await stage.used()
    await stage.sink.latency()
    began_s, began_ns = time.monotonic(), time.monotonic_ns()
    for what in planned:
        await asyncio.sleep(max(0.0, began_s + what.at_s - time.monotonic()))
        await cast.happen(what, began_ns + int(what.at_s * 1e9))
    await asyncio.sleep(max(0.0, began_s + seconds - time.monotonic()))
    after = await stage.used()
    cost = Cost.between(before, after)
    delays = await stage.sink.latency()
    if await _shed(stage) != shed:
        raise ShedError("ours shed comments, with its budget lifted: it could not keep up")
    viewer_s = stage.listeners * seconds
    return RoomRound(
        1e6 * cost.cpu_s / viewer_s,
        cost.frames / viewer_s,
        cost.bytes_per_frame * cost.frames / viewer_s,
        delays.p50_us / 1000,
        delays.p99_us / 1000,
        after.at_s - began_s - seconds,
    )


async def _shed(stage: Stage) -> float:
    return await stage.server.metric(SHED) if isinstance(stage.server, Ours) else 0.0
