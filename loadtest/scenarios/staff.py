"""The streamer of a scenario: lists, opens sales, and goes on explaining one product after the other.

What he shows carries the moment it was said (``streamTimeMs``, in microseconds of ``CLOCK_MONOTONIC``, which
all processes of a machine share), so every viewer knows how long it was under way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final, Self

from protocol.client.aio import Live, Room, connect
from protocol.client.errors import CommandRefused, LiveError
from protocol.types import ItemDraft, ListingDraft

ITEM: Final = "one"
LISTINGS: Final = ("scarf", "pan")
PRICE_FEN: Final = 3_990
LIMIT_NONE: Final = 0


class Staff:
    """In at most eight rooms. ``shown`` counts critical events of the show, ``refused`` what was not done."""

    def __init__(self, url: str, token: str) -> None:
        self.shown = 0
        self.refused: list[str] = []
        self._connection = connect(url, token, proxy=None)
        self._live: Live
        self._rooms: dict[str, Room] = {}
        self._rests: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._live = await self._connection.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._rests:
            task.cancel()
        await self._connection.__aexit__(None, None, None)

    async def enter(self, rooms: Sequence[str], *, stock: int) -> None:
        """Join them and put two products into each cart."""
        for name in rooms:
            room = self._rooms[name] = await self._live.join(name)
            self._rests.append(asyncio.create_task(_read(room)))
            for listing in LISTINGS:
                items = [ItemDraft(item_id=ITEM, price_fen=PRICE_FEN, stock=stock)]
                await room.publish_listing(ListingDraft(listing_id=listing, title=listing, items=items))

    async def open_sale(
        self, room: str, sale: str, *, limit: int = LIMIT_NONE, hold_ms: int = 900_000, of: int = 0
    ) -> None:
        """``of``: which of the two products."""
        await self._rooms[room].open_sale(sale, LISTINGS[of], limit_per_user=limit, hold_ms=hold_ms)

    async def close_sale(self, room: str, sale: str) -> None:
        await self._rooms[room].close_sale(sale)

    async def explain(self, room: str, number: int) -> None:
        """One critical event to everybody in the room. What is refused, or unknown, is noted."""
        stamp_us = time.monotonic_ns() // 1_000
        try:
            listing = LISTINGS[number % len(LISTINGS)]
            await self._rooms[room].start_explaining(listing, stream_time_ms=stamp_us)
            self.shown += 1
        except (CommandRefused, LiveError) as error:
            self.refused.append(repr(error))

    async def show(self, seconds: float, *, per_s: float, rooms: Sequence[str] = ()) -> None:
        """Explain one product after the other, in each of the rooms (or in all), so often a second. Cancelled
        or over, nothing stays under way."""
        loop = asyncio.get_running_loop()
        began, number = loop.time(), 0
        while loop.time() < began + seconds:
            for room in rooms or self._rooms:
                await self.explain(room, number)
            number += 1
            await asyncio.sleep(max(began + number / per_s - loop.time(), 0))


async def pay(url: str, token: str, reservations: Sequence[str]) -> int:
    """The order service confirms them; how many were confirmed in time."""
    paid = 0
    async with connect(url, token, proxy=None) as service:
        for reservation in reservations:
            paid += (await service.confirm(reservation)).reservation.state == "confirmed"
    return paid


async def _read(room: Room) -> None:
    """Somebody has to: an inbox nobody reads grows up to its limit."""
    async for _ in room:
        pass
