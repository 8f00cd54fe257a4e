"""Small things to build a room's tests from."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from liveserver.core.decide import decide, decide_sale
from liveserver.core.room import Room
from protocol import commands
from protocol.events import Envelope, Event
from protocol.types import Danmaku, ItemDraft, ListingDraft, Sale, Stock

NOW_MS = 1_800_000_000_000
ROOM = "r1"

many = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For pure code: many cases, and no clock that judges them."""


def draft(listing_id: str, *stocks: int, title: str = "a cup", price_fen: int = 990) -> ListingDraft:
    items = [
        ItemDraft(item_id=f"i{number}", price_fen=price_fen, stock=stock)
        for number, stock in enumerate(stocks or (10,))
    ]
    return ListingDraft(listing_id=listing_id, title=title, items=items)


def publish(listing_id: str, *stocks: int, title: str = "a cup") -> commands.PublishListing:
    return commands.PublishListing(id="c", room=ROOM, listing=draft(listing_id, *stocks, title=title))


def open_sale(sale_id: str, listing_id: str) -> commands.OpenSale:
    return commands.OpenSale(id="c", room=ROOM, sale_id=sale_id, listing_id=listing_id)


def attach_sale(sale_id: str, listing_id: str) -> commands.AttachSale:
    return commands.AttachSale(id="c", room=ROOM, sale_id=sale_id, listing_id=listing_id)


def detach_sale(sale_id: str) -> commands.DetachSale:
    return commands.DetachSale(id="c", room=ROOM, sale_id=sale_id)


def stock(sale_id: str, seq: int, *units: int, status: str = "open", epoch: int = 1) -> Stock:
    available = {f"i{number}": left for number, left in enumerate(units or (10,))}
    return Stock(sale_id=sale_id, epoch=epoch, seq=seq, status=status, available=available)


def sale(sale_id: str, listing_id: str, seq: int = 1, *units: int) -> Sale:
    return Sale(
        sale_id=sale_id,
        listing_id=listing_id,
        opens_at_ms=NOW_MS,
        closes_at_ms=NOW_MS + 3_600_000,
        hold_ms=60_000,
        stock=stock(sale_id, seq, *units),
    )


def envelope(room: Room, event: Event, at_ms: int = NOW_MS) -> Envelope:
    return Envelope(offset=room.offset + 1, at_ms=at_ms, event=event)


def happen(room: Room, event: Event | None) -> Event:
    assert event is not None, "the rules made no event of it"
    room.apply(envelope(room, event))
    return event


def say(room: Room, command: commands.CommandBase, now_ms: int = NOW_MS) -> Event:
    return happen(room, decide(room, command, now_ms))


def begin_sale(room: Room, sale_id: str, listing_id: str, *units: int) -> Event:
    opened = sale(sale_id, listing_id, 1, *units)
    return happen(room, decide_sale(room, sale_id, opened.stock, opened))


def learn(room: Room, view: Stock) -> Event:
    return happen(room, decide_sale(room, view.sale_id, view, None))


def a_room(*listing_ids: str) -> Room:
    room = Room.load({}, epoch=7, head=0)
    for listing_id in listing_ids:
        say(room, publish(listing_id))
    return room


def comment(danmaku_id: str, text: str, user_id: str = "u1") -> Danmaku:
    return Danmaku(danmaku_id, user_id, user_id.upper(), text)
