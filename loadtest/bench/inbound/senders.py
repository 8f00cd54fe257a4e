"""Who send, in a process of their own: ``python -m loadtest.bench.inbound.senders CORE``.

Its input is JSON, a line each: first whom to call (``url``, ``tokens``, ``join``), then rounds (``load``,
``together``, ``answered``). It answers each with a line: what was sent and what was answered. It ends when
its input does.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import time
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import urlsplit

import orjson
import uvloop

from loadtest import machine
from loadtest.bench.inbound import load

OPEN_AT_ONCE: Final = 50
WAVE_S: Final = 0.025  # a wave is through before the next one: one frame, one read
ANSWERS_S_MAX: Final = 20.0
LOADS: Final[dict[str, Callable[[int], list[bytes]]]] = {"pings": load.pings, "mixed": load.mixed}


class Sender(asyncio.Protocol):
    def __init__(self, request: bytes) -> None:
        self._request = request
        self._rest = b""
        self.replies = 0
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._rest += data
        if not self.opened.done():
            head, end, rest = self._rest.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.opened.set_exception(ConnectionError(head.decode(errors="replace")))
                return
            self._rest = rest
            self.opened.set_result(None)
        found, self._rest = load.replies(self._rest)
        self.replies += found

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("closed during the handshake"))


def _request(host: str, token: str) -> bytes:
    key = base64.b64encode(b"0123456789abcdef").decode()
    lines = [
        "GET /v1/live HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {load.CODEC.subprotocol}",
        f"Authorization: Bearer {token}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def opened(url: str, tokens: list[str], *, join: bool) -> list[Sender]:
    """All of them, through their handshakes, and in the room if they are to."""
    where = urlsplit(url)
    turns = asyncio.Semaphore(OPEN_AT_ONCE)

    async def one(token: str) -> Sender:
        async with turns:
            loop = asyncio.get_running_loop()
            _, sender = await loop.create_connection(
                lambda: Sender(_request(where.netloc, token)), where.hostname or "", where.port or 0
            )
            await sender.opened
            return sender

    senders = list(await asyncio.gather(*map(one, tokens)))
    if join:
        for sender in senders:
            sender.transport.write(load.join())
        await _until(lambda: all(sender.replies > 1 for sender in senders))  # welcome, joined
    return senders


async def _until(enough: Callable[[], bool]) -> None:
    async with asyncio.timeout(ANSWERS_S_MAX):
        while not enough():  # noqa: ASYNC110  counters that the loop itself moves, at full speed
            await asyncio.sleep(0.001)


async def _round(senders: list[Sender], frames: list[list[bytes]], answered: bool) -> dict[str, Any]:
    """Wave by wave: each sender's next write, and, where answers are due, all of those."""
    before = sum(sender.replies for sender in senders)
    for wave in range(len(frames[0])):
        began_s = time.perf_counter()
        for sender, its in zip(senders, frames, strict=True):
            sender.transport.write(its[wave])
        if answered:
            due = before + (wave + 1) * len(senders) * (load.COMMANDS // len(frames[0]))
            await _until(lambda due=due: sum(sender.replies for sender in senders) >= due)  # type: ignore[misc]
        await asyncio.sleep(max(0.0, WAVE_S - (time.perf_counter() - began_s)))
    return {
        "sent": len(senders) * load.COMMANDS,
        "bytes": sum(map(len, map(b"".join, frames))),
        "replies": sum(sender.replies for sender in senders) - before,
    }


def _frames(count: int, kind: str, together: int) -> list[list[bytes]]:
    made = map(LOADS[kind], range(count))
    return [[b"".join(its[at : at + together]) for at in range(0, load.COMMANDS, together)] for its in made]


async def main(core: int) -> None:
    machine.pin(0, core)
    loop = asyncio.get_running_loop()
    whom = orjson.loads(await loop.run_in_executor(None, sys.stdin.readline))
    senders = await opened(whom["url"], whom["tokens"], join=whom["join"])
    _say(opened=len(senders))
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = orjson.loads(line)
        frames = _frames(len(senders), asked["load"], asked["together"])
        _say(**await _round(senders, frames, asked["answered"]))
    for sender in senders:
        sender.transport.abort()


def _say(**what: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
