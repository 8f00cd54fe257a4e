"""A crowd too large for one process or one address: several sinks, each from an address of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from loadtest.bench.peers.port import HOST
from loadtest.bench.sink import Heard, Record, Sink, sink

SINK_SOCKETS_MAX: Final = 9_000  # of one process, and from one address
ADDRESSES_MAX: Final = 250


class Crowd:
    """Sockets are opened sink after sink, each filled before the next."""

    def __init__(self, sinks: list[Sink]) -> None:
        self._sinks = sinks

    @property
    def sockets(self) -> int:
        return sum(one.sockets for one in self._sinks)

    async def grow_to(self, sockets: int) -> None:
        """Raises ``SinkError`` if any does not come in."""
        for one in self._sinks:
            more = min(SINK_SOCKETS_MAX - one.sockets, sockets - self.sockets)
            if more > 0:
                await one.open(more)
        assert self.sockets == sockets, "more than there are records for"

    async def heard(self) -> Heard:
        """Since the start, all of them together."""
        return _sum([await one.heard() for one in self._sinks if one.sockets])

    async def quiet(self, seconds_max: float) -> Heard:
        """All of them together, when nothing more is coming to any."""
        return _sum([await one.quiet(seconds_max) for one in self._sinks if one.sockets])


def _sum(heard: list[Heard]) -> Heard:
    return Heard(sum(one.bytes for one in heard), sum(one.frames for one in heard), 0)


@asynccontextmanager
async def crowd(
    port: int, records: Callable[[int, int], Iterable[Record]], sockets_max: int, *, core: int
) -> AsyncIterator[Crowd]:
    """``records(count, first)``: how that many come in, from the ``first``-th on."""
    async with AsyncExitStack() as stack:
        sinks = []
        for number, first in enumerate(range(0, sockets_max, SINK_SOCKETS_MAX)):
            assert number < ADDRESSES_MAX
            count = min(SINK_SOCKETS_MAX, sockets_max - first)
            source = f"127.0.0.{2 + number}"
            opened = sink(HOST, port, records(count, first), core=core, source=source)
            sinks.append(await stack.enter_async_context(opened))
        yield Crowd(sinks)
