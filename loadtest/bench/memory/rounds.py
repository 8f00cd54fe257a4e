"""Fresh servers in turn, each filled with sockets: how much more memory each then holds, per socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from loadtest import machine
from loadtest.bench.doors.client import Callers, browser_head, said
from loadtest.bench.doors.servers import CONTROLS, OURS, Door, door
from loadtest.bench.peers.port import NotComparedError, Where

ROOM = "bench"
WARM = 100  # sockets that are there before memory is read first
SETTLE_S = 1.2  # longer than a beat: what the last sockets set off is over


class Size(msgspec.Struct, frozen=True):
    sockets: int
    rounds: int


FULL = Size(6_000, 3)
QUICK = Size(400, 1)


class Measured(msgspec.Struct):
    size: Size
    versions: dict[str, str]
    missing: dict[str, str]  # name -> why it is not compared
    idle_kb: dict[str, list[float]]  # by server: per socket, a value a round
    joined_kb: list[float]  # ours


async def run(size: Size, install: bool, say: Callable[[str], None]) -> Measured:
    """Needs two cores, and gives them back as they were when it ends or is cancelled."""
    cores = machine.cores()
    where = Where(core=cores[0], other_core=cores[-1], sockets=size.sockets, install=install)
    machine.pin(0, cores[-1])
    try:
        return await _pinned(size, where, say)
    finally:
        machine.pin_all(cores)


async def _pinned(size: Size, where: Where, say: Callable[[str], None]) -> Measured:
    measured = Measured(size, {}, {}, {}, [])
    for number in range(size.rounds):
        for name in (OURS, *CONTROLS):
            if name in measured.missing:
                continue
            say(f"round {number + 1} of {size.rounds}: {name}")
            try:
                async with door(name, where, tokens=WARM + size.sockets) as one:
                    measured.versions[name] = one.version
                    measured.idle_kb.setdefault(name, []).append(await _filled(one, measured))
            except NotComparedError as error:
                measured.missing[name] = str(error)
    return measured


async def _filled(one: Door, measured: Measured) -> float:
    """Memory per idle viewer; ours is authenticated, and then joins, which is noted too."""
    sockets = measured.size.sockets
    if one.tokens:
        heads, frames = [browser_head(one.port, one.path, token) for token in one.tokens], 1
    else:
        heads, frames = [browser_head(one.port, one.path)] * (WARM + sockets), 0
    with Callers(one.port) as callers:
        callers.open(heads[:WARM], frames)
        await asyncio.sleep(SETTLE_S)
        before_kb = await one.pss_kb()
        callers.open(heads[WARM:], frames)
        await asyncio.sleep(SETTLE_S)
        idle_kb = (await one.pss_kb() - before_kb) / sockets
        if one.name == OURS:
            callers.say(said({"type": "join", "id": "j", "room": ROOM}), frames=3)
            await asyncio.sleep(SETTLE_S)
            measured.joined_kb.append((await one.pss_kb() - before_kb) / sockets)
    return idle_kb
