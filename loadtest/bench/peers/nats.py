"""NATS, its WebSocket listener: one subject, everybody subscribed. It merges what waits for a socket into
one frame, so its frames are only alike while nothing waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from loadtest.bench.peers import program
from loadtest.bench.peers.port import HOST, Server, Where, masked, upgrade
from loadtest.bench.sink import Record

CONFIG: Final = """\
listen: "127.0.0.1:%d"
websocket { listen: "127.0.0.1:%d", no_tls: true, compression: false }
ping_interval: "30m"
"""
HELLO: Final = b'CONNECT {"verbose":false,"pedantic":false}\r\n'
READY_FRAMES: Final = 2  # INFO, then the answer to our PING


class _Nats(Server):
    def __init__(self, version: str, pid: int, port: int, writer: asyncio.StreamWriter) -> None:
        super().__init__("nats", version, pid, port)
        self._writer = writer

    def records(self, count: int) -> Iterator[Record]:
        then = masked(HELLO + b"SUB room 1\r\nPING\r\n", text=False)
        yield Record(upgrade("/", self.port), then, READY_FRAMES)

    async def publish(self, payload: bytes) -> None:
        self._writer.write(b"PUB room %d\r\n%s\r\n" % (len(payload), payload))
        await self._writer.drain()


@asynccontextmanager
async def start(where: Where) -> AsyncIterator[Server]:
    path = program.found("nats-server")
    version = program.said_by(path, "--version").rpartition(" ")[2]
    port, ws_port = program.free_port(), program.free_port()
    async with (
        program.configured("nats.conf", CONFIG % (port, ws_port)) as (folder, config),
        program.running([path, "-c", str(config)], folder, where.core, ws_port) as process,
    ):
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(HELLO)
        try:
            yield _Nats(version, process.pid, ws_port, writer)
        finally:
            writer.close()
