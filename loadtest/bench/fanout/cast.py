"""Who makes it happen: for a server that is handed messages, and for ours, where people act.

A comment carries the instant it was due at, not the one it was said at: where a server (or we) can't keep
up, the delay is in the figure.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from loadtest.bench.fanout.happenings import Happening, Kind
from loadtest.bench.peers.ours import CODEC, ROOM, Ours
from loadtest.bench.peers.port import Server
from loadtest.bench.sink import stamp
from loadtest.bench.speaker import Speaker
from protocol.commands import AdjustStock, Join, Leave, Like, OpenSale, PublishListing, SendDanmaku
from protocol.frames import DanmakuBlock, Frame, State
from protocol.types import Danmaku, ItemDraft, ListingDraft, Role, Stock

TICK_S: Final = 0.1  # ours, and so that of whoever batches as we do
TAPS: Final = 8  # of one burst of likes; Source: a recorded selling room's mean is 7.6
STOCK: Final = 1_000_000
SPEAKERS: Final = {Kind.COMMENT: 4, Kind.LIKES: 8, Kind.ENTRY: 10}  # inside the rates of a session


class Cast(abc.ABC):
    """``listeners``: sockets of its own that hear the room too; ``frames``: how many they have heard."""

    listeners = 0

    @property
    def frames(self) -> int:
        return 0

    @abc.abstractmethod
    async def happen(self, what: Happening, due_ns: int) -> None: ...


class Each(Cast):
    """Every event is a message of its own."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def happen(self, what: Happening, due_ns: int) -> None:
        await self._server.publish(CODEC.encode(frame([(what, due_ns)])))


class Batched(Cast):
    """The events of a tick are one message: the frame that ours would make of them."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._waiting: list[tuple[Happening, int]] = []

    async def happen(self, what: Happening, due_ns: int) -> None:
        self._waiting.append((what, due_ns))

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if self._waiting:
                waiting, self._waiting = self._waiting, []
                await self._server.publish(CODEC.encode(frame(waiting)))


@asynccontextmanager
async def batched(server: Server) -> AsyncIterator[Batched]:
    cast = Batched(server)
    beat = asyncio.create_task(cast.beat())
    try:
        yield cast
    finally:
        beat.cancel()


class Ourselves(Cast):
    """People in a room: they comment, like, come in; its streamer adjusts the stock of a sale."""

    def __init__(self, streamer: Speaker, speakers: dict[Kind, list[Speaker]], sale_id: str) -> None:
        self._streamer = streamer
        self._sale_id = sale_id
        self._speakers = speakers
        self._all = [streamer, *(one for some in speakers.values() for one in some)]
        self.listeners = len(self._all)

    @property
    def frames(self) -> int:
        return sum(one.frames for one in self._all)

    async def happen(self, what: Happening, due_ns: int) -> None:
        if what.kind is Kind.STOCK:
            who = self._streamer
            sold = AdjustStock(id=who.new_id(), room=ROOM, sale_id=self._sale_id, item_id="jar", delta=-1)
            who.say(sold)
            return
        speakers = self._speakers[what.kind]
        who = speakers[what.number % len(speakers)]
        if what.kind is Kind.COMMENT:
            who.say(SendDanmaku(id=who.new_id(), room=ROOM, text=comment(due_ns)))
        elif what.kind is Kind.LIKES:
            who.say(Like(id=who.new_id(), room=ROOM, count=TAPS))
        else:
            who.say(Leave(id=who.new_id(), room=ROOM))
            who.say(Join(id=who.new_id(), room=ROOM))

    def leave(self) -> None:
        for one in self._all:
            one.leave()


@asynccontextmanager
async def ourselves(server: Ours, named: str = "") -> AsyncIterator[Ourselves]:
    """``named``: before their names and what they sell, where several casts are in one room."""
    streamer = await server.speaker(f"{named}streamer", Role.STREAMER)
    speakers = {
        kind: [await server.speaker(f"{named}{kind.name.lower()}-{number}") for number in range(count)]
        for kind, count in SPEAKERS.items()
    }
    listing_id, sale_id = f"{named}chilli", f"{named}sale"
    jar = ItemDraft(item_id="jar", variant="jar", price_fen=990, stock=STOCK)
    listing = ListingDraft(listing_id=listing_id, title="chilli oil", items=[jar])
    await streamer.ask(PublishListing(id=streamer.new_id(), room=ROOM, listing=listing))
    sale = OpenSale(id=streamer.new_id(), room=ROOM, sale_id=sale_id, listing_id=listing_id)
    await streamer.ask(sale)
    cast = Ourselves(streamer, speakers, sale_id)
    try:
        yield cast
    finally:
        cast.leave()


def comment(due_ns: int) -> str:
    return f"{stamp(due_ns)} how much?"


def frame(happened: list[tuple[Happening, int]]) -> Frame:
    """What ours would send for these."""
    comments = [(what, due_ns) for what, due_ns in happened if what.kind is Kind.COMMENT]
    entered = sum(what.kind is Kind.ENTRY for what, _ in happened)
    likes = [what.number for what, _ in happened if what.kind is Kind.LIKES]
    sold = [what.number for what, _ in happened if what.kind is Kind.STOCK]
    due_ns = happened[-1][1]
    now_ms = due_ns // 1_000_000
    block = DanmakuBlock(
        offered=len(comments), danmaku=[_line(what, due) for what, due in comments], entered=entered
    )
    state = State(
        version=now_ms,
        likes=TAPS * max(likes) if likes else None,
        stock=[_stock(max(sold))] if sold else [],
    )
    return Frame(
        room=ROOM,
        t=now_ms,
        n=happened[-1][0].number + 1,
        head=2,
        danmaku=block if comments or entered else None,
        state=state if likes or sold else None,
    )


def _line(what: Happening, due_ns: int) -> Danmaku:
    user = f"comment-{what.number % SPEAKERS[Kind.COMMENT]}"
    return Danmaku(f"qz4fk-{what.number}", user, user, comment(due_ns))


def _stock(sold: int) -> Stock:
    return Stock(sale_id="sale", epoch=1, seq=sold + 1, status="open", available={"jar": STOCK - sold})
