"""One room, the same viewers, more and more comments a second, the budget lifted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

import msgspec

from loadtest.bench.crowd import crowd
from loadtest.bench.fanout.cast import comment
from loadtest.bench.growth import meter
from loadtest.bench.growth.meter import Meter
from loadtest.bench.peers import ours
from loadtest.bench.peers.port import Where
from loadtest.bench.speaker import Speaker
from protocol.commands import SendDanmaku

SPEAKERS: Final = 40  # a session may say 50 commands a second


class At(msgspec.Struct):
    """At so many comments a second; a list has one of each round."""

    per_s: int
    us_per_viewer_s: list[float] = []
    frames_per_viewer_s: list[float] = []
    bytes_per_comment: list[float] = []
    store_calls_per_s: list[float] = []


async def measure(
    steps: list[int], viewers: int, seconds: int, rounds: int, where: Where, say: Callable[[str], None]
) -> list[At]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ours.start(where))
        listening = await stack.enter_async_context(
            crowd(server.port, server.viewers, viewers, core=where.other_core)
        )
        store = await stack.enter_async_context(meter.client(server.store_url))
        await listening.grow_to(viewers)
        speakers = [await server.speaker(f"speaker-{number}") for number in range(SPEAKERS)]
        for speaker in speakers:
            stack.callback(speaker.leave)
        of_ours = Meter([server], [listening], store)
        made = {per_s: At(per_s) for per_s in steps}
        for turn in range(rounds):
            say(f"comments a second: round {turn + 1} of {rounds}")
            for at in made.values():
                before = await of_ours.look()
                await _say(speakers, at.per_s, seconds)
                cost = await of_ours.since(before)
                listeners = viewers + len(speakers)
                at.us_per_viewer_s.append(1e6 * cost.cpu_s / listeners / seconds)
                at.frames_per_viewer_s.append(cost.frames / viewers / seconds)
                at.bytes_per_comment.append(cost.bytes / viewers / seconds / at.per_s)
                at.store_calls_per_s.append(cost.store_calls_per_s)
        return list(made.values())


async def _say(speakers: list[Speaker], per_s: int, seconds: int) -> None:
    began_s = time.monotonic()
    for number in range(per_s * seconds):
        await asyncio.sleep(max(0.0, began_s + number / per_s - time.monotonic()))
        who = speakers[number % len(speakers)]
        who.say(SendDanmaku(id=who.new_id(), room=ours.ROOM, text=comment(time.monotonic_ns())))
