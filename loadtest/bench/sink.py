"""The listening crowd in front of a server: one process of ``native/sink.c``, and what it counted."""

from __future__ import annotations

import asyncio
import struct
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from loadtest.bench.child import Child
from loadtest.bench.native.build import built

SECONDS_MAX: Final = 1_800  # then it ends by itself
LOOK_S: Final = 0.02
QUIET_LOOKS: Final = 10  # so many without a byte, and nothing more is coming
STAMP_DIGITS: Final = 16


class Record(NamedTuple):
    """How one socket comes in."""

    request: bytes  # the upgrade
    then: bytes = b""  # whole masked frames, said after the answer
    ready_frames: int = 0  # it is in when it has heard so many


class Heard(msgspec.Struct, frozen=True):
    bytes: int
    frames: int
    lost: int


class Latency(msgspec.Struct, frozen=True):
    samples: int
    p50_us: int
    p99_us: int
    max_us: int


class SinkError(Exception):
    """Sockets that did not come in, or were lost: what was measured is no figure."""


class Sink:
    def __init__(self, child: Child) -> None:
        self._child = child
        self.pid = child.pid
        self.sockets = 0

    async def open(self, count: int) -> None:
        """Returns when all are in. Raises ``SinkError`` if any is not."""
        told = await self._child.ask_line(f"open {count}".encode())
        if told["failed"]:
            raise SinkError(f"{told['failed']} of {self.sockets + count} sockets did not come in")
        self.sockets = told["open"]

    async def heard(self) -> Heard:
        """Since the start."""
        heard = msgspec.convert(await self._child.ask_line(b"count"), Heard)
        if heard.lost:
            raise SinkError(f"{heard.lost} of {self.sockets} sockets were lost")
        return heard

    async def quiet(self, seconds_max: float) -> Heard:
        """When nothing has come for a while. ``SinkError`` if that never is."""
        before = await self.heard()
        looks = 0
        for _ in range(round(seconds_max / LOOK_S)):
            await asyncio.sleep(LOOK_S)
            now = await self.heard()
            looks = looks + 1 if now.bytes == before.bytes else 0
            before = now
            if looks == QUIET_LOOKS:
                return now
        raise SinkError(f"frames still came after {seconds_max} s")

    async def latency(self) -> Latency:
        """Of the stamps seen since it was last asked."""
        return msgspec.convert(await self._child.ask_line(b"latency"), Latency)


@asynccontextmanager
async def sink(
    host: str,
    port: int,
    records: Iterable[Record],
    *,
    core: int,
    source: str = "127.0.0.1",
    sample_every: int = 0,
) -> AsyncIterator[Sink]:
    """Raises ``NotBuiltError`` without a compiler. Leaving the context ends it and all of its sockets."""
    program = built("sink")
    with tempfile.NamedTemporaryFile(prefix="liveserver-bench-", suffix=".records") as file:
        for record in records:
            file.write(struct.pack("<I", len(record.request)) + record.request)
            file.write(struct.pack("<I", len(record.then)) + record.then)
            file.write(struct.pack("<I", record.ready_frames))
        file.flush()
        argv: list[str | Path] = [
            program,
            host,
            str(port),
            source,
            str(SECONDS_MAX),
            str(sample_every),
            file.name,
        ]
        child = await Child.run(argv, core)
        try:
            yield Sink(child)
        finally:
            await child.end()


def stamp(now_ns: int) -> str:
    """What the sink finds in a payload: ``time.monotonic_ns()`` of its sending."""
    return f"~{now_ns // 1000:0{STAMP_DIGITS}d}"
