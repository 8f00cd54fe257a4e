"""One of a room who speaks: a raw socket that says commands and only counts what it hears.

It shares a core with the sink, so what it hears isn't decoded; a refusal is found in the bytes, and none is
passed over.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from loadtest.audience.wire import Wire
from protocol.codec import Codec
from protocol.commands import Command, Join

ANSWER_S_MAX: Final = 10.0
_REFUSED: Final = re.compile(rb'"type":"error"|"fate":"(limited|blocked)"')


class RefusedError(Exception):
    """The server refused something that was said: what was measured is no figure."""


class Speaker:
    def __init__(self, url: str, token: str, codec: Codec) -> None:
        assert codec.text, "refusals are found in the text"
        self._url = url
        self._codec = codec
        self._wire = Wire(url, codec.subprotocol, token, False, self._heard, lambda by, code: None)
        self._serial = 0
        self._waits: tuple[bytes, asyncio.Future[bytes]] | None = None
        self._refused = b""
        self.frames = 0

    async def enter(self, rooms: Sequence[str]) -> None:
        where = urlsplit(self._url)
        await self._wire.open(where.hostname or "", where.port or 0)
        self._wire.start()
        for room in rooms:
            await self.ask(Join(id=self.new_id(), room=room))

    def say(self, command: Command) -> None:
        """Its answer is only looked at for a refusal, which the next call raises."""
        if self._refused:
            raise RefusedError(self._refused[:300].decode())
        self._wire.send(self._codec.encode(command), self._codec.text)

    async def ask(self, command: Command) -> bytes:
        """The answer. ``TimeoutError``, or ``RefusedError``."""
        self._waits = f'"id":"{command.id}"'.encode(), asyncio.get_running_loop().create_future()
        self.say(command)
        async with asyncio.timeout(ANSWER_S_MAX):
            answer = await self._waits[1]
        if self._refused:
            raise RefusedError(self._refused[:300].decode())
        return answer

    def new_id(self) -> str:
        self._serial += 1
        return f"{id(self):x}-{self._serial}"

    def leave(self) -> None:
        self._wire.leave()

    def _heard(self, payload: bytes) -> None:
        self.frames += 1
        if _REFUSED.search(payload):
            self._refused = payload
        if self._waits is not None and not self._waits[1].done() and self._waits[0] in payload:
            self._waits[1].set_result(payload)
