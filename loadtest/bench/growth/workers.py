"""One process, and two on one store with as many viewers each, all in the same busy room.

What a second process brings is told by what the first one's work costs beside it: two processes have two
cores where there are two to have, so a pair does ``2 x one's cost / the pair's cost per viewer`` of what one
does. The same hundred events a second happen in both cases; in a pair half of them come in at either, and
each tells the other. On a machine with two cores both run on one, since the sink has the other: nothing is
said of what two cores share.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import msgspec

from loadtest.bench.crowd import Crowd, crowd
from loadtest.bench.fanout.cast import Ourselves, ourselves
from loadtest.bench.fanout.happenings import BUSY, Happening, plan
from loadtest.bench.growth import meter
from loadtest.bench.growth.meter import Meter
from loadtest.bench.peers import ours
from loadtest.bench.peers.port import Where
from loadtest.bench.sink import Record


class Round(msgspec.Struct, frozen=True):
    us_per_viewer_s: float
    store_calls_per_s: float


class Measured(msgspec.Struct):
    viewers: int  # of each process
    one: list[Round]
    two: list[Round]


class _House(NamedTuple):
    """Processes on one store, and who acts at each."""

    meter: Meter
    casts: list[Ourselves]
    crowds: list[Crowd]


async def measure(
    viewers: int, seconds: int, rounds: int, seed: int, where: Where, say: Callable[[str], None]
) -> Measured:
    made = Measured(viewers, [], [])
    async with _house(1, viewers, where) as one, _house(2, viewers, where) as two:
        for turn in range(rounds):
            say(f"one process and two: round {turn + 1} of {rounds}")
            planned = plan(BUSY, seconds, seed * 1_000 + turn)
            made.one.append(await _play(one, planned, seconds))
            made.two.append(await _play(two, planned, seconds))
    return made


async def _play(house: _House, planned: list[Happening], seconds: int) -> Round:
    before = await house.meter.look()
    began_s, began_ns = time.monotonic(), time.monotonic_ns()
    for number, what in enumerate(planned):
        await asyncio.sleep(max(0.0, began_s + what.at_s - time.monotonic()))
        cast = house.casts[number % len(house.casts)]
        await cast.happen(what, began_ns + int(what.at_s * 1e9))
    await asyncio.sleep(max(0.0, began_s + seconds - time.monotonic()))
    cost = await house.meter.since(before)
    listeners = sum(one.sockets for one in house.crowds) + sum(one.listeners for one in house.casts)
    return Round(1e6 * cost.cpu_s / listeners / seconds, cost.store_calls_per_s)


@asynccontextmanager
async def _house(processes: int, viewers: int, where: Where) -> AsyncIterator[_House]:
    async with AsyncExitStack() as stack:
        embedded = await stack.enter_async_context(ours.store(where.other_core))
        secret = secrets.token_urlsafe(48)
        servers, casts, crowds = [], [], []
        for number in range(processes):
            server = await stack.enter_async_context(ours.process(where, embedded, secret))
            first = number * viewers

            def records(
                count: int, at: int, server: ours.Ours = server, first: int = first
            ) -> Iterator[Record]:
                return server.viewers(count, first + at)

            listening = await stack.enter_async_context(
                crowd(server.port, records, viewers, core=where.other_core)
            )
            await listening.grow_to(viewers)
            casts.append(await stack.enter_async_context(ourselves(server, f"at-{number}-")))
            servers.append(server)
            crowds.append(listening)
        store = await stack.enter_async_context(meter.client(embedded.url))
        yield _House(Meter(servers, crowds, store), casts, crowds)
