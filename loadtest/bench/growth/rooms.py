"""As many viewers as ever, in more and more rooms: one comment in each room, over and over. What a process
uses while nothing is said (a room beats once a second), what a comment costs from thumb to screens, and what
the store is asked."""

from __future__ import annotations

import asyncio
import functools
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
from loadtest.bench.peers.ours import Ours
from loadtest.bench.peers.port import Where
from loadtest.bench.speaker import Speaker
from protocol.commands import SendDanmaku
from protocol.limits import ROOMS_PER_SESSION_MAX

PASS_S: Final = 1.5  # in which each room is commented once


class At(msgspec.Struct):
    """With so many rooms; a list has one of each round."""

    rooms: int
    viewers: int
    comment_us: list[float] = []
    frames_per_comment: list[float] = []
    idle_share: list[float] = []
    idle_store_calls_per_s: list[float] = []


async def measure(
    steps: list[int], viewers: int, idle_s: float, rounds: int, where: Where, say: Callable[[str], None]
) -> list[At]:
    made = []
    for rooms in steps:
        say(f"{rooms:,} rooms")
        async with AsyncExitStack() as stack:  # a process of its own, or the rooms before would still beat
            server = await stack.enter_async_context(ours.start(where))
            spread = functools.partial(server.viewers, rooms=rooms)
            listening = await stack.enter_async_context(
                crowd(server.port, spread, viewers, core=where.other_core)
            )
            store = await stack.enter_async_context(meter.client(server.store_url))
            await listening.grow_to(viewers)
            speakers = await _speakers(server, rooms)
            for speaker in speakers.values():
                stack.callback(speaker.leave)
            of_ours = Meter([server], [listening], store)
            made.append(await _at(of_ours, speakers, viewers, idle_s, rounds))
    return made


async def _at(of_ours: Meter, speakers: dict[str, Speaker], viewers: int, idle_s: float, rounds: int) -> At:
    at = At(len(speakers), viewers)
    for _ in range(rounds):
        rest = await of_ours.rest(idle_s)
        at.idle_share.append(rest.cpu_s / rest.seconds)
        at.idle_store_calls_per_s.append(rest.store_calls_per_s)
        before = await of_ours.look()
        await _one_each(speakers)
        cost = await of_ours.since(before)
        net_s = cost.cpu_s - at.idle_share[-1] * cost.seconds
        at.frames_per_comment.append(cost.frames / len(speakers))
        at.comment_us.append(1e6 * net_s / len(speakers))
    return at


async def _one_each(speakers: dict[str, Speaker]) -> None:
    began_s = time.monotonic()
    for number, (room, speaker) in enumerate(speakers.items()):
        await asyncio.sleep(max(0.0, began_s + PASS_S * number / len(speakers) - time.monotonic()))
        speaker.say(SendDanmaku(id=speaker.new_id(), room=room, text=comment(time.monotonic_ns())))


async def _speakers(server: Ours, rooms: int) -> dict[str, Speaker]:
    """Who speaks in each room; a session may be in a few."""
    names = [ours.ROOM] if rooms == 1 else [f"{ours.ROOM}-{number}" for number in range(rooms)]
    found = {}
    for first in range(0, rooms, ROOMS_PER_SESSION_MAX):
        some = names[first : first + ROOMS_PER_SESSION_MAX]
        speaker = await server.speaker(f"speaker-{first}", rooms=some)
        found.update(dict.fromkeys(some, speaker))
    return found
