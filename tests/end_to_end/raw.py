"""A client that shows the wire as it is: one WebSocket, typed messages, nothing mended or hidden."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from protocol.codec import CODECS, Codec, Downward
from protocol.commands import CommandBase, Join
from protocol.events import Envelope
from protocol.frames import Frame
from protocol.replies import ErrorReply, Joined, Notice

PATIENCE_S = 10.0  # then the test fails; nothing is asserted on how fast it is

T = TypeVar("T", bound=msgspec.Struct)


class Raw:
    """``async with Raw(url, token) as ann: joined = await ann.ask(Join(...), Joined)``"""

    def __init__(
        self, url: str, token: str | None, subprotocol: str = "live.v1.json", deflate: bool = False
    ) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._codec: Codec = CODECS[subprotocol]
        self._deflate = deflate
        self._ids = itertools.count(1)
        self._boot = secrets.token_hex(4)  # ids are idempotency keys: another run's must be others
        self._arrived = asyncio.Condition()
        self.heard: list[Downward] = []
        self.socket: ClientConnection
        self._reader: asyncio.Task[None]

    async def __aenter__(self) -> Raw:
        self.socket = await connect(
            self._url,
            subprotocols=[self._codec.subprotocol],  # type: ignore[list-item]
            additional_headers=self._headers,
            compression="deflate" if self._deflate else None,
            max_size=None,
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.cancel()
        await self.socket.close()

    async def _read(self) -> None:
        async for payload in self.socket:
            message = self._codec.decode_downward(payload.encode() if isinstance(payload, str) else payload)
            async with self._arrived:
                self.heard.append(message)
                self._arrived.notify_all()

    def new_id(self) -> str:
        return f"{self._boot}-{next(self._ids)}"

    async def say(self, command: CommandBase) -> None:
        payload = self._codec.encode(command)
        await self.socket.send(payload.decode() if self._codec.text else payload)

    async def say_bytes(self, payload: bytes) -> None:
        await self.socket.send(payload.decode() if self._codec.text else payload)

    async def ask(self, command: CommandBase, reply: type[T]) -> T:
        """Say it and wait for its reply, which must be of this type."""
        before = len(self.heard)
        await self.say(command)
        found = await self.until(
            lambda message: getattr(message, "id", None) == command.id and not isinstance(message, Frame),
            after=before,
        )
        assert isinstance(found, reply), found
        return found

    async def refused(self, command: CommandBase) -> ErrorReply:
        return await self.ask(command, ErrorReply)

    async def until(self, wanted: Callable[[Downward], bool], after: int = 0) -> Downward:
        """The first message heard, from place ``after`` on, of which ``wanted`` is true."""
        place = after

        def found() -> bool:
            nonlocal place
            while place < len(self.heard):
                if wanted(self.heard[place]):
                    return True
                place += 1
            return False

        async with asyncio.timeout(PATIENCE_S), self._arrived:
            await self._arrived.wait_for(found)
        return self.heard[place]

    async def join(self, room: str, epoch: int | None = None, offset: int | None = None) -> Joined:
        return await self.ask(Join(id=self.new_id(), room=room, epoch=epoch, offset=offset), Joined)

    # -- what was heard --------------------------------------------------------------------------------

    def frames(self) -> list[Frame]:
        return [message for message in self.heard if isinstance(message, Frame)]

    def events(self) -> list[Envelope]:
        return [envelope for frame in self.frames() for envelope in frame.critical]

    def notices(self) -> list[Notice]:
        return [message for message in self.heard if isinstance(message, Notice)]

    def texts(self) -> list[str]:
        return [d.text for frame in self.frames() if frame.danmaku for d in frame.danmaku.danmaku]

    async def see_text(self, text: str) -> None:
        await self.until(
            lambda m: (
                isinstance(m, Frame)
                and m.danmaku is not None
                and any(d.text == text for d in m.danmaku.danmaku)
            )
        )

    async def see_event(self, kind: type[msgspec.Struct], after: int = 0) -> msgspec.Struct:
        found = await self.until(
            lambda m: isinstance(m, Frame) and any(isinstance(e.event, kind) for e in m.critical), after
        )
        assert isinstance(found, Frame)
        return next(e.event for e in found.critical if isinstance(e.event, kind))

    async def see_available(self, sale_id: str, available: dict[str, int]) -> None:
        await self.until(
            lambda m: (
                isinstance(m, Frame)
                and m.state is not None
                and any(s.sale_id == sale_id and s.available == available for s in m.state.stock)
            )
        )
