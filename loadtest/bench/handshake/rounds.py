"""Rounds of opening sockets, all servers beside each other, each server's CPU per socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import msgspec

from loadtest import machine
from loadtest.bench.doors.client import Callers, browser_head, said
from loadtest.bench.doors.keys import ALGORITHMS
from loadtest.bench.doors.servers import CONTROLS, OURS, Door, door
from loadtest.bench.peers.port import NotComparedError, Where

ROOM = "bench"
WARM = 64  # sockets opened before anything is measured: what is made once is made
SETTLE_S = 0.3  # for the ends of the last sockets to be worked through
JOIN_FRAMES = 4  # welcome, joined, snapshot, state


class Size(msgspec.Struct, frozen=True):
    sockets: int  # opened for each figure of a round
    rounds: int


FULL = Size(1_000, 5)
QUICK = Size(150, 2)

Costs = dict[str, list[float]]
"""CPU seconds of the server's process per socket, a value a round, by what was done."""


class Measured(msgspec.Struct):
    size: Size
    versions: dict[str, str]
    missing: dict[str, str]  # name -> why it is not compared
    bare: Costs  # by server
    ours: Costs  # by what else was done
    keys: dict[str, Costs]  # by algorithm


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
    measured = Measured(size, {}, {}, {}, {}, {})
    async with AsyncExitStack() as stack:
        doors: list[Door] = []
        for name in (OURS, *CONTROLS):
            say(f"starting {name}")
            try:
                one = await stack.enter_async_context(
                    door(name, where, tokens=WARM + size.sockets * size.rounds)
                )
            except NotComparedError as error:
                measured.missing[name] = str(error)
                continue
            doors.append(one)
            measured.versions[name] = one.version
            measured.bare[name] = []
        ours = doors[0]
        for one in doors:
            await _opening(one, [browser_head(one.port, one.path)] * WARM)
        await _joining(ours, ours.tokens[:WARM])
        for number in range(size.rounds):
            say(f"round {number + 1} of {size.rounds}")
            for one in doors:
                heads = [browser_head(one.port, one.path)] * size.sockets
                measured.bare[one.name].append(await _opening(one, heads))
            fresh = ours.tokens[WARM + size.sockets * number :][: size.sockets]
            await _with_tokens(ours, fresh, measured.ours)
            _put(measured.ours, "token_join", await _joining(ours, fresh))
    for algorithm in ALGORITHMS:
        say(f"tokens signed by {algorithm}")
        measured.keys[algorithm] = {}
        async with door(OURS, where, tokens=WARM + size.sockets, algorithm=algorithm) as one:
            await _opening(one, _heads(one, one.tokens[:WARM]), 1)
            await _with_tokens(one, one.tokens[WARM:], measured.keys[algorithm])
    return measured


async def _with_tokens(ours: Door, tokens: Sequence[str], costs: Costs) -> None:
    """Twice the same: tokens that are new to it, and tokens it has verified before."""
    for what in ("token_first", "token"):
        _put(costs, what, await _opening(ours, _heads(ours, tokens), 1))


def _heads(one: Door, tokens: Sequence[str]) -> list[bytes]:
    return [browser_head(one.port, one.path, token) for token in tokens]


async def _joining(ours: Door, tokens: Sequence[str]) -> float:
    """As a browser does, which can send no header of its own: both commands, once it is let in."""
    then = [
        said({"type": "authenticate", "id": "a", "token": token}, {"type": "join", "id": "j", "room": ROOM})
        for token in tokens
    ]
    return await _opening(ours, [browser_head(ours.port, ours.path)] * len(tokens), JOIN_FRAMES, then)


async def _opening(one: Door, heads: Sequence[bytes], frames: int = 0, then: Sequence[bytes] = ()) -> float:
    with Callers(one.port) as callers:
        before_s = one.cpu_s()
        callers.open(heads, frames, then)
        used_s = one.cpu_s() - before_s
    await asyncio.sleep(SETTLE_S)
    return used_s / len(heads)


def _put(costs: Costs, what: str, cost: float) -> None:
    costs.setdefault(what, []).append(cost)
