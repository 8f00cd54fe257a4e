"""The other end of the wire, and an owner that remembers: what the edge's tests are made of."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from typing import NamedTuple

from liveserver.edge.socket import Socket

WAIT_SECONDS_MAX = 10.0  # how long a test waits for what must come; never how fast it must

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # Source: RFC 6455 §1.3, for that key


async def eventually(holds: Callable[[], bool], what: str = "it") -> None:
    """Wait until ``holds()``."""
    for _ in range(int(WAIT_SECONDS_MAX / 0.005)):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"{what} did not come true")


class Recorder:
    """An owner that writes down what it is told, and does what a test plants into it."""

    def __init__(self) -> None:
        self.retry_ms = 0
        self.sockets: list[Socket] = []
        self.payloads: list[bytes] = []
        self.reports: list[str] = []
        self.codes: list[int] = []
        self.on_opened: Callable[[Socket], None] = lambda socket: None
        self.on_received: Callable[[Socket, bytes], None] = lambda socket, payload: None
        self.on_closed: Callable[[Socket], None] = lambda socket: None

    @property
    def socket(self) -> Socket:
        assert len(self.sockets) == 1
        return self.sockets[0]

    def admits(self) -> int:
        return self.retry_ms

    def opened(self, socket: Socket) -> None:
        self.sockets.append(socket)
        self.reports.append("opened")
        self.on_opened(socket)

    def received(self, socket: Socket, payload: bytes) -> None:
        self.payloads.append(payload)
        self.reports.append("received")
        self.on_received(socket, payload)

    def paused(self, socket: Socket) -> None:
        assert socket.paused
        self.reports.append("paused")

    def drained(self, socket: Socket) -> None:
        assert not socket.paused
        self.reports.append("drained")

    def closed(self, socket: Socket, code: int) -> None:
        assert socket.closed
        self.codes.append(code)
        self.reports.append("closed")
        self.on_closed(socket)


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool = True
    rsv1: bool = False

    @property
    def code(self) -> int:
        assert self.opcode == CLOSE
        return int(struct.unpack("!H", self.payload[:2])[0])

    @property
    def reason(self) -> str:
        assert self.opcode == CLOSE
        return self.payload[2:].decode()


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bool = True, rsv1: bool = False
) -> bytes:
    """A client's frame, rightly or (with ``mask=False``) wrongly made."""
    head = bytes([(0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode])
    bit = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 1 << 16:
        head += struct.pack("!BH", bit | 126, len(payload))
    else:
        head += struct.pack("!BQ", bit | 127, len(payload))
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[index & 3] for index, byte in enumerate(payload))


def request(
    target: str = "/v1/live",
    method: str = "GET",
    *,
    version: str = "HTTP/1.1",
    without: str = "",
    also: str = "",
    **changed: str,
) -> bytes:
    """A right handshake, but for what the test changes: ``Sec_WebSocket_Version="12"``."""
    headers = {
        "Host": "room.example:8080",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "live.v1.json",
    }
    headers.update({name.replace("_", "-"): value for name, value in changed.items()})
    headers.pop(without, None)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {target} {version}\r\n{lines}{also}\r\n".encode()


class Raw:
    """A peer that says any bytes it likes and reads only when the test does."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, *, receive_bytes: int = 0) -> Raw:
        """``receive_bytes``: a small receive buffer, so the peer is full soon."""
        plain = socket.socket()
        if receive_bytes:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=plain, limit=1024)
        return cls(reader, writer)

    def say(self, *pieces: bytes) -> None:
        self.writer.write(b"".join(pieces))

    async def answer(self, method: str = "GET") -> Answer:
        """One HTTP response, its body by Content-Length or chunks."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            first = (await self.reader.readline()).decode()
            headers: dict[str, str] = {}
            while line := (await self.reader.readline()).decode().strip():
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            body = b""
            if headers.get("transfer-encoding") == "chunked":
                while size := int(await self.reader.readline(), 16):
                    body += await self.reader.readexactly(size)
                    await self.reader.readline()
                await self.reader.readline()
            elif method != "HEAD":
                body = await self.reader.readexactly(int(headers.get("content-length", 0)))
            return Answer(int(first.split(" ")[1]), headers, body)

    async def upgrade(self, **changed: str) -> Answer:
        self.say(request(**changed))
        answer = await self.answer()
        assert answer.status == 101, answer
        return answer

    async def frame(self) -> Frame:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            first, second = await self.reader.readexactly(2)
            assert not second & 0x80, "a server does not mask"
            length = second
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            payload = await self.reader.readexactly(length)
        return Frame(first & 0x0F, payload, bool(first & 0x80), bool(first & 0x40))

    async def ended(self) -> bytes:
        """What still comes before the server ends its side."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b"<reset>"

    def leave(self) -> None:
        self.writer.transport.abort()
