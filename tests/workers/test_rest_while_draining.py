"""REST at a process that drains: commands go elsewhere, on a connection that was kept as on a new one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.end_to_end.rest import Rest
from tests.end_to_end.test_slow import connect_small

from .served import Served

pytestmark = [
    pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="reads /proc"),
    pytest.mark.slow,
]
LIMIT_S = 120
PATH = "/v1/rooms/r1/listings"
LISTING = {"listingId": "oil", "title": "oil", "items": [{"itemId": "red", "priceFen": 990, "stock": 5}]}
SALES = "/v1/sales"


class Kept:
    """A backend that keeps its connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader, self._writer = reader, writer
        self._token = token

    async def ask(self, method: str, path: str, body: object = None, key: str = "") -> tuple[int, str, Any]:
        """Status, head and body."""
        sent = b"" if body is None else json.dumps(body).encode()
        keyed = f"Idempotency-Key: {key}\r\n" if key else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._token}\r\n{keyed}"
        self._writer.write(f"{head}Content-Length: {len(sent)}\r\n\r\n".encode() + sent)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = int(answer.split("content-length:")[1].split("\r\n")[0])
        return int(answer.split(" ")[1]), answer, json.loads(await self._reader.readexactly(size))

    async def ended(self) -> bool:
        """By the other side, with nothing said any more."""
        left = await self._reader.read(-1)
        self._writer.close()
        return left == b""


async def drains(served: Served, kept: Kept, number: signal.Signals) -> None:
    served.signal(number)
    while (await kept.ask("GET", "/readyz"))[0] == 200:
        pass


def is_retry(heard: tuple[int, str, Any]) -> bool:
    status, head, body = heard
    return (
        (status, body["code"]) == (503, "retry")
        and body["retryMs"] > 0
        and "\r\nretry-after: " in head
        and "\r\nconnection: close\r\n" in head
    )


async def test_a_command_on_a_kept_connection_is_left_to_the_successor(
    tmp_path: Path, valkey: Redis, valkey_url: str
) -> None:
    options = ("--drain-seconds", "20")
    async with (
        asyncio.timeout(LIMIT_S),
        Served(tmp_path, 1, *options, LIVESERVER_REDIS_URL=valkey_url) as served,
    ):
        token = served.mint("service", "shop")
        kept, reads = [Kept(*await asyncio.open_connection(*served.host_port), token) for _ in range(2)]
        mute = await connect_small(served.url, served.mint("viewer", "mute"))
        mute.transport.pause_reading()  # it holds the drain up: it answers no close frame
        assert (await reads.ask("GET", SALES))[0] == 200
        await drains(served, kept, signal.SIGHUP)
        assert is_retry(await kept.ask("POST", PATH, LISTING, "k1"))
        assert await kept.ended()
        status, head, _ = await reads.ask("GET", SALES)
        assert status == 200 and "\r\nconnection: close\r\n" in head
        assert await reads.ended()
        done = await Rest(served.http_url, token).done("POST", PATH, LISTING, key="k1")
        assert not done.get("duplicate"), "it had not been carried out"
        mute.transport.abort()
        await served.until(lambda: "every worker is relieved" in served.log)


async def test_one_that_serves_alone_says_so_to_newcomers_too(
    tmp_path: Path, valkey: Redis, valkey_url: str
) -> None:
    options = ("--drain-seconds", "600")
    async with (
        asyncio.timeout(LIMIT_S),
        Served(tmp_path, 0, *options, LIVESERVER_REDIS_URL=valkey_url) as served,
    ):
        token = served.mint("service", "shop")
        kept = Kept(*await asyncio.open_connection(*served.host_port), token)
        mute = await connect_small(served.url, served.mint("viewer", "mute"))
        mute.transport.pause_reading()
        await drains(served, kept, signal.SIGTERM)
        assert is_retry(await kept.ask("POST", PATH, LISTING, "k1"))
        assert await kept.ended()
        heard = await Rest(served.http_url, token).call("POST", PATH, LISTING, key="k1")
        assert (heard.status, heard.body["code"]) == (503, "retry")
        served.signal(signal.SIGTERM)
        assert await served.ended() == 0
        mute.transport.abort()
    assert await valkey.keys("*r1*") == []
