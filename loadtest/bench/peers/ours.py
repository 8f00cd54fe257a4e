"""The shipped server: a whole hub process, with tokens, lanes and metrics, on a private Valkey."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import orjson

import liveserver
from liveserver.edge.tokens import TokenConfig, Tokens
from liveserver.store.embedded import EmbeddedValkey
from loadtest import machine
from loadtest.audience import rest
from loadtest.bench.child import Child
from loadtest.bench.peers.port import HOST, Server, Where, masked, upgrade
from loadtest.bench.sink import Record
from loadtest.bench.speaker import Speaker
from protocol.codec import CODECS
from protocol.commands import Join
from protocol.types import Role

ROOM: Final = "bench"
CODEC: Final = CODECS["live.v1.json"]
TOKEN_MS: Final = 3_600_000
READY_FRAMES: Final = 2  # the answer to its join, and the room's first frame
SETTINGS: Final[dict[str, Any]] = {
    "port": 0,
    "sessions_max": 19_000,
    "danmaku_budget_per_s": 100_000,  # lifted: nothing is shed
    "danmaku_per_s": 1_000,
    "danmaku_burst": 1_000,
}


class Ours(Server):
    def __init__(
        self, child: Child, port: int, sender: str, tokens: Tokens, store_url: str, store_pid: int
    ) -> None:
        super().__init__("ours", f"{liveserver.__version__}, {sender} sender", child.pid, port)
        self._child = child
        self._tokens = tokens
        self.store_url = store_url
        self.store_pid = store_pid

    def mint(self, user: str, role: Role = Role.VIEWER) -> str:
        now_ms = time.time_ns() // 1_000_000
        return self._tokens.mint(user, role, ["*"], now_ms=now_ms, ttl_ms=TOKEN_MS, name=user)

    def records(self, count: int) -> Iterator[Record]:
        return self.viewers(count)

    def viewers(self, count: int, first: int = 0, rooms: int = 1) -> Iterator[Record]:
        """Each with a token of his own, in the room; with several they sit in ``bench-0``, ``bench-1`` …
        by turns."""
        for number in range(first, first + count):
            room = ROOM if rooms == 1 else f"{ROOM}-{number % rooms}"
            request = upgrade(
                "/v1/live",
                self.port,
                f"Authorization: Bearer {self.mint(f'viewer-{number:06d}')}",
                f"Sec-WebSocket-Protocol: {CODEC.subprotocol}",
            )
            join = masked(CODEC.encode(Join(id="j", room=room)), text=CODEC.text)
            yield Record(request, join, READY_FRAMES)

    async def publish(self, payload: bytes) -> None:
        raise NotImplementedError("a room of ours says what happens in it, not what it is handed")

    async def speaker(self, user: str, role: Role = Role.VIEWER, rooms: Sequence[str] = (ROOM,)) -> Speaker:
        """Somebody in the rooms who speaks."""
        speaker = Speaker(f"ws://{HOST}:{self.port}/v1/live", self.mint(user, role), CODEC)
        await speaker.enter(rooms)
        return speaker

    async def lag(self, seconds: float) -> dict[str, float]:
        """Of the server's loop, meanwhile: ``p50_ms``, ``p99_ms``, ``own_p99_ms``, ``samples``."""
        return await self._child.ask_line(str(seconds).encode())

    async def metric(self, name: str) -> float:
        """One line of the server's own metrics, as it is written there."""
        _, body = await rest.call(HOST, self.port, "GET", "/metrics")
        for line in body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.rpartition(" ")[2])
        raise KeyError(name)


@asynccontextmanager
async def store(core: int) -> AsyncIterator[EmbeddedValkey]:
    """For processes of ours to share."""
    embedded = await EmbeddedValkey.start(fsync="no")
    machine.pin(embedded.pid, core)
    try:
        yield embedded
    finally:
        await embedded.stop()


@asynccontextmanager
async def process(where: Where, embedded: EmbeddedValkey, secret: str, **also: Any) -> AsyncIterator[Ours]:
    """``also``: further settings."""
    settings = orjson.dumps(SETTINGS | {"redis_url": embedded.url} | also).decode()
    argv = [sys.executable, "-m", "loadtest.bench.peers.hub", settings]
    child = await Child.run(argv, where.core, {"LIVESERVER_SECRET": secret})  # others can't read it there
    try:
        said = await child.answer()
        tokens = Tokens(TokenConfig(secret=secret))
        yield Ours(child, said["port"], said["sender"], tokens, embedded.url, embedded.pid)
    finally:
        await child.end()


@asynccontextmanager
async def start(where: Where, **also: Any) -> AsyncIterator[Ours]:
    """``also``: further settings."""
    async with (
        store(where.other_core) as embedded,
        process(where, embedded, secrets.token_urlsafe(48), **also) as ours,
    ):
        yield ours


def start_in_python(where: Where) -> AbstractAsyncContextManager[Ours]:
    """The same, without anything of ours in C."""
    return start(where, sender="python")
