"""One process, one room, more and more viewers: what a delivered frame costs, beside a C loop that has as
many sockets at the same time, and what the store is asked."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

import msgspec

from loadtest.bench.crowd import Crowd, crowd
from loadtest.bench.fanout.cast import comment
from loadtest.bench.growth import meter
from loadtest.bench.growth.meter import Meter
from loadtest.bench.pace import paced
from loadtest.bench.peers import floor, ours
from loadtest.bench.peers.port import NotComparedError, Where
from protocol.commands import SendDanmaku

TEXT: Final = b'{"type":"frame","room":"bench","danmaku":{"offered":1,"danmaku":["%s"]}}' % (b"x" * 75)


class At(msgspec.Struct):
    """At so many viewers; a list has one of each round."""

    viewers: int
    frame_us: list[float] = []
    floor_us: list[float] = []  # empty: not compared
    idle_share: list[float] = []  # of a core
    store_calls_per_s: list[float] = []


class Series(msgspec.Struct):
    at: list[At]
    not_compared: str = ""


async def measure(
    steps: list[int], broadcasts: int, idle_s: float, rounds: int, where: Where, say: Callable[[str], None]
) -> Series:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ours.start(where))
        listening = await stack.enter_async_context(
            crowd(server.port, server.viewers, steps[-1], core=where.other_core)
        )
        store = await stack.enter_async_context(meter.client(server.store_url))
        speaker = await server.speaker("anna")
        stack.callback(speaker.leave)
        made = Series([])
        bare = bare_crowd = None
        try:
            bare = await stack.enter_async_context(floor.start(where))
            records = list(bare.records(1))
            bare_crowd = await stack.enter_async_context(
                crowd(bare.port, lambda count, first: records, steps[-1], core=where.other_core)
            )
        except NotComparedError as error:
            made.not_compared = f"c: {error}"

        async def ours_says() -> None:
            speaker.say(SendDanmaku(id=speaker.new_id(), room=ours.ROOM, text=comment(time.monotonic_ns())))

        for viewers in steps:
            say(f"{viewers:,} viewers")
            await listening.grow_to(viewers)
            at = At(viewers)
            of_ours = Meter([server], [listening], store)
            for _ in range(rounds):
                idle = await _idle(of_ours, at, idle_s)
                at.frame_us.append(await _frame_us(of_ours, ours_says, listening, broadcasts, idle))
                if bare is not None and bare_crowd is not None:
                    await bare_crowd.grow_to(viewers)
                    of_bare = Meter([bare], [bare_crowd], None)
                    at.floor_us.append(
                        await _frame_us(of_bare, lambda: bare.publish(TEXT), bare_crowd, broadcasts, 0.0)
                    )
            made.at.append(at)
        return made


async def _idle(of_ours: Meter, at: At, idle_s: float) -> float:
    rest = await of_ours.rest(idle_s)
    at.idle_share.append(rest.cpu_s / rest.seconds)
    at.store_calls_per_s.append(rest.store_calls_per_s)
    return at.idle_share[-1]


async def _frame_us(
    of: Meter, says: Callable[[], Awaitable[None]], listening: Crowd, broadcasts: int, idle_share: float
) -> float:
    before = await of.look()
    await paced(says, broadcasts, listening)
    cost = await of.since(before)
    return 1e6 * (cost.cpu_s - idle_share * cost.seconds) / cost.frames
