"""What a benchmark needs of any server: how to come in, how to say something to everybody, what it cost."""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from loadtest.bench import cpu
from loadtest.bench.child import Child
from loadtest.bench.sink import Record

HOST: Final = "127.0.0.1"
SECONDS_MAX: Final = 1_800  # then a server started here ends by itself
KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="  # Source: RFC 6455 section 1.3


class NotComparedError(Exception):
    """Why this peer can't be had here, in words for the report. Nothing is claimed against it."""


class Where(msgspec.Struct, frozen=True):
    """What a peer is told when it starts."""

    core: int  # the server's own
    other_core: int  # of its helpers, and of the client
    sockets: int
    install: bool = True  # may it fetch what is missing from a package registry?


class Server(abc.ABC):
    """It listens on ``HOST``; everything published goes to every socket that has come in."""

    def __init__(self, name: str, version: str, pid: int, port: int) -> None:
        self.name = name
        self.version = version
        self.pid = pid
        self.port = port

    @abc.abstractmethod
    def records(self, count: int) -> Iterator[Record]:
        """How ``count`` sockets come in."""

    @abc.abstractmethod
    async def publish(self, payload: bytes) -> None:
        """One text message, without line ends, to everybody."""

    def cpu_s(self) -> float:
        """Of the server's process, since it began."""
        return cpu.used_s(self.pid)


Peer = Callable[[Where], AbstractAsyncContextManager[Server]]
"""Starts it, and ends it when the context is left. Raises ``NotComparedError``."""


class _LineServer(Server):
    def __init__(self, name: str, version: str, child: Child, port: int) -> None:
        super().__init__(name, version, child.pid, port)
        self._child = child

    def records(self, count: int) -> Iterator[Record]:
        yield Record(upgrade("/", self.port))

    async def publish(self, payload: bytes) -> None:
        await self._child.tell(payload)


@asynccontextmanager
async def line_server(
    name: str, version: str, where: Where, argv: Sequence[str | Path], env: dict[str, str] | None = None
) -> AsyncIterator[Server]:
    """A program that says ``{"port": N}``, broadcasts each line of its input, and ends with it."""
    child = await Child.run(argv, where.core, env)
    try:
        try:
            port = (await child.answer())["port"]
        except (RuntimeError, TimeoutError, ValueError) as error:
            raise NotComparedError(f"it did not start: {error}") from None
        yield _LineServer(name, version, child, port)
    finally:
        await child.end()


def upgrade(path: str, port: int, *headers: str) -> bytes:
    """A whole upgrade request."""
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {HOST}:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {KEY}",
        *headers,
    )
    return "\r\n".join([*lines, "", ""]).encode()


def masked(payload: bytes, *, text: bool = True) -> bytes:
    """A client's frame under 64 KiB; its mask is zero, which is one like any other."""
    first, length = 0x81 if text else 0x82, len(payload)
    size = bytes([0x80 | length]) if length < 126 else bytes([0x80 | 126]) + length.to_bytes(2, "big")
    return bytes([first]) + size + bytes(4) + payload
