"""All servers of a comparison with their crowds, at the same time: they are measured in turn, round by
round, so they have to be there together."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, NamedTuple

import msgspec

from loadtest.bench.fanout.cast import Batched, Cast, Each, batched, ourselves
from loadtest.bench.peers.all import PEERS
from loadtest.bench.peers.ours import Ours
from loadtest.bench.peers.port import HOST, NotComparedError, Server, Where
from loadtest.bench.sink import Heard, Sink, SinkError, sink

SAMPLED: Final = 100  # sockets whose delays are taken
QUIET_S_MAX: Final = 120.0


class Stage(msgspec.Struct, frozen=True):
    """One server, its crowd and who speaks there. ``batches``: one who hands it a tick's events at once."""

    name: str
    server: Server
    sink: Sink
    cast: Cast
    batches: Batched | None = None

    @property
    def listeners(self) -> int:
        return self.sink.sockets + self.cast.listeners

    async def used(self) -> Used:
        """Once nothing more is coming."""
        heard = await self.sink.quiet(QUIET_S_MAX)
        return Used(self.server.cpu_s(), heard, self.cast.frames, time.monotonic())


class Used(NamedTuple):
    cpu_s: float
    heard: Heard
    beside: int  # frames heard by who speaks
    at_s: float


class Cost(NamedTuple):
    """What lies between two ``Used``."""

    cpu_s: float
    frames: int
    bytes_per_frame: float
    seconds: float

    @classmethod
    def between(cls, before: Used, after: Used) -> Cost:
        frames = after.heard.frames - before.heard.frames
        written = after.heard.bytes - before.heard.bytes
        return cls(
            after.cpu_s - before.cpu_s,
            frames + after.beside - before.beside,
            written / max(1, frames),
            after.at_s - before.at_s,
        )


class Company(NamedTuple):
    stages: dict[str, Stage]
    missing: dict[str, str]  # by peer, why it isn't compared


@asynccontextmanager
async def company(names: Iterable[str], where: Where, say: Callable[[str], None]) -> AsyncIterator[Company]:
    """Those of these peers that can be had here, each with ``where.sockets`` listening."""
    async with AsyncExitStack() as stack:
        made = Company({}, {})
        for name in names:
            try:
                made.stages[name] = await _stage(name, where, stack)
            except (NotComparedError, SinkError) as error:
                made.missing[name] = str(error)
            say(f"{name}: {made.missing.get(name) or f'{where.sockets:,} sockets'}")
        yield made


async def _stage(name: str, where: Where, outer: AsyncExitStack) -> Stage:
    """Whatever was started is ended at once where it does not come about."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(PEERS[name](where))
        listening = await stack.enter_async_context(
            sink(
                HOST,
                server.port,
                server.records(where.sockets),
                core=where.other_core,
                sample_every=max(1, where.sockets // SAMPLED),
            )
        )
        await listening.open(where.sockets)
        if isinstance(server, Ours):
            ours = await stack.enter_async_context(ourselves(server))
            made = Stage(name, server, listening, ours)
        else:
            batches = await stack.enter_async_context(batched(server)) if name == "bun" else None
            made = Stage(name, server, listening, Each(server), batches)
        outer.push_async_callback(stack.pop_all().aclose)
        return made


def turned(stages: list[Stage], turn: int) -> list[Stage]:
    """The same ones, beginning with another: none always comes after the same other."""
    at = turn % len(stages)
    return stages[at:] + stages[:at]
