"""A buyer of the hub benchmark: one raw socket that is in the room and buys, one order after the other.

Its outcomes are found in the bytes by their command's id and not decoded further, since it shares a core
with other buyers: what is measured is the hub.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Final
from urllib.parse import urlsplit

from loadtest.audience.wire import Wire
from protocol.codec import CODECS
from protocol.commands import Command, Join, Purchase
from protocol.types import OrderLine

CODEC: Final = CODECS["live.v1.json"]
ANSWER_S_MAX: Final = 10.0
_REPLY: Final = re.compile(rb'"id":"(?P<id>[^"]+)"')
_OUTCOME: Final = re.compile(rb'"outcome":"(?P<outcome>\w+)"')


class NoAnswerError(Exception):
    """Nothing came within ``ANSWER_S_MAX``: what became of the command is unknown."""


class Buyer:
    def __init__(self, url: str, token: str, name: str) -> None:
        self._url = url
        self._name = name
        self._serial = 0
        self._wire = Wire(url, CODEC.subprotocol, token, False, self._heard, lambda by, code: None)
        self._asked = b""
        self._answer: asyncio.Future[bytes] | None = None

    async def enter(self, room: str) -> None:
        where = urlsplit(self._url)
        await self._wire.open(where.hostname or "", where.port or 0)
        self._wire.start()
        await self.join(room)

    async def join(self, room: str) -> None:
        await self.ask(Join(id=self.new_id(), room=room))

    async def buy(self, room: str, sale_id: str, orders: int, outcomes: Counter[str]) -> None:
        for _ in range(orders):
            order = Purchase(
                id=self.new_id(),
                room=room,
                sale_id=sale_id,
                lines=[OrderLine(item_id="jar")],
            )
            found = _OUTCOME.search(await self.ask(order))
            outcomes[found["outcome"].decode() if found else "error"] += 1

    def leave(self) -> None:
        self._wire.leave()

    async def ask(self, command: Command) -> bytes:
        self._asked = command.id.encode()
        self._answer = asyncio.get_running_loop().create_future()
        self._wire.send(CODEC.encode(command), CODEC.text)
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                return await self._answer
        except TimeoutError:
            what = f"{type(command).__name__} {command.id}"
            raise NoAnswerError(f"{what} had no answer within {ANSWER_S_MAX:g} s") from None

    def _heard(self, payload: bytes) -> None:
        if self._answer is None or self._answer.done():
            return
        found = _REPLY.search(payload, 0, 400)
        if found is not None and found["id"] == self._asked:
            self._answer.set_result(payload)

    def new_id(self) -> str:
        self._serial += 1
        return f"{self._name}-{self._serial:06d}"
