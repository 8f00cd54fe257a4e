"""Which steps ``bench growth`` takes, and all of its series one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from loadtest import machine
from loadtest.bench.growth import messages, rooms, viewers, workers
from loadtest.bench.peers.port import Where


class Size(msgspec.Struct, frozen=True):
    """How much is done."""

    viewers: list[int]
    broadcasts: int  # of a round of ``viewers``
    rooms: list[int]
    rooms_viewers: int
    messages: list[int]  # comments a second
    messages_viewers: int
    workers_viewers: int  # of each process
    idle_s: float  # of a round, for what is used while nothing is said
    seconds: int  # of a round
    rounds: int


FULL: Final = Size(
    viewers=[1_000, 2_000, 4_000, 8_000, 12_000, 18_000],
    broadcasts=8,
    rooms=[1, 10, 100, 500, 2_000],
    rooms_viewers=2_000,
    messages=[10, 30, 100, 300, 1_000],
    messages_viewers=1_000,
    workers_viewers=2_000,
    idle_s=3.0,
    seconds=4,
    rounds=3,
)
QUICK: Final = Size(
    viewers=[40, 120],
    broadcasts=3,
    rooms=[1, 8],
    rooms_viewers=40,
    messages=[10, 50],
    messages_viewers=40,
    workers_viewers=40,
    idle_s=0.5,
    seconds=2,
    rounds=1,
)


class Run(msgspec.Struct):
    size: Size
    viewers: viewers.Series | None = None
    rooms: list[rooms.At] = []
    messages: list[messages.At] = []
    workers: workers.Measured | None = None


async def run(size: Size, series: list[str], seed: int, say: Callable[[str], None]) -> Run:
    """Needs two cores, and gives them back as they were when it ends or is cancelled."""
    cores = machine.cores()
    machine.pin(0, cores[-1])
    where = Where(cores[0], cores[-1], sockets=0)
    made = Run(size)
    try:
        if "viewers" in series:
            made.viewers = await viewers.measure(
                size.viewers, size.broadcasts, size.idle_s, size.rounds, where, say
            )
        if "rooms" in series:
            made.rooms = await rooms.measure(
                size.rooms, size.rooms_viewers, size.idle_s, size.rounds, where, say
            )
        if "messages" in series:
            made.messages = await messages.measure(
                size.messages, size.messages_viewers, size.seconds, size.rounds, where, say
            )
        if "workers" in series:
            made.workers = await workers.measure(
                size.workers_viewers, size.seconds, size.rounds, seed, where, say
            )
    finally:
        machine.pin_all(cores)
    return made
