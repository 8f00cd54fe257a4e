"""Words that several messages share: ids, money, listings, sales, danmaku."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from . import limits
from .shape import Shape, StrictShape

ID_PATTERN = r"^[A-Za-z0-9_.:@-]{1,64}(?!\n)$"  # in Python a bare "$" would let a last line break pass

ID_WORDS = "1 to 64 letters (a to z), digits or any of _ . : @ -"
"""The pattern, as people read it."""

Id = Annotated[str, Meta(pattern=ID_PATTERN)]
"""Rooms, users, listings, items, sales, reservations' commands: chosen by whoever creates the thing."""

ReservationId = Annotated[str, Meta(min_length=1, max_length=256)]
"""Opaque: made by the ledger, handed back unchanged."""

Count = Annotated[int, Meta(ge=0, le=limits.AMOUNT_MAX)]
TimeMs = Annotated[int, Meta(ge=0, le=limits.AMOUNT_MAX)]
SpreadMs = Annotated[int, Meta(ge=0, le=limits.SPREAD_MS_MAX)]
Quantity = Annotated[int, Meta(ge=1, le=limits.QUANTITY_MAX)]
Fen = Annotated[int, Meta(ge=0, le=limits.AMOUNT_MAX)]
Title = Annotated[str, Meta(min_length=1, max_length=limits.TITLE_CHARS_MAX)]
OneLine = Annotated[str, Meta(max_length=limits.LINE_CHARS_MAX)]
PhotoRef = Annotated[str, Meta(max_length=limits.PHOTO_CHARS_MAX)]


class Role(StrEnum):
    VIEWER = "viewer"
    MODERATOR = "moderator"
    STREAMER = "streamer"
    SERVICE = "service"  # the order service, a shop's backend


class RoomStatus(StrEnum):
    LIVE = "live"
    PAUSED = "paused"
    ENDED = "ended"


class Fate(StrEnum):
    """What became of a danmaku, as its sender is told."""

    SHOWN = "shown"
    MERGED = "merged"  # counted into an equal one
    HELD = "held"  # waits for a moderator; nothing answers it yet
    LIMITED = "limited"  # too fast, muted, or more than the room's budget
    BLOCKED = "blocked"  # its words aren't allowed


class ItemDraft(StrictShape, kw_only=True):
    """A variant of a listing: its price, and the units a sale of it opens with."""

    item_id: Id
    variant: Annotated[str, Meta(max_length=limits.VARIANT_CHARS_MAX)] = ""
    price_fen: Fen
    stock: Count = 0


class ListingDraft(StrictShape, kw_only=True):
    """A listing as the streamer's client sends it."""

    listing_id: Id
    title: Title
    line: OneLine = ""
    photo: PhotoRef = ""
    items: Annotated[list[ItemDraft], Meta(min_length=1, max_length=limits.ITEMS_PER_LISTING_MAX)]


class OrderLine(StrictShape):
    item_id: Id
    quantity: Quantity = 1


class Item(Shape, kw_only=True):
    item_id: Id
    variant: str = ""
    price_fen: int
    stock: int = 0


class Listing(Shape, kw_only=True):
    """A product shown in a room. ``number`` is what the streamer calls it by ("link 3"): given once, never
    given again in this room."""

    listing_id: Id
    number: int
    title: str
    line: str = ""
    photo: str = ""
    items: list[Item]


class Stock(Shape):
    """Units left, true at exactly ``(epoch, seq)`` of the sale. The greater pair wins, always."""

    sale_id: Id
    epoch: int
    seq: int
    status: str  # scheduled, open, paused, frozen, closed
    available: dict[str, int]  # item id -> units


class SaleView(Stock, kw_only=True):
    """A sale as a page outside any room shows it (商品卡): what it sells, and its stock, true at exactly
    ``(epoch, seq)``. Where it is on no shelf the card is a room's listing, for those who steer it alone."""

    on_shelf: bool = False  # it can be bought without joining a room
    title: str = ""
    line: str = ""
    photo: str = ""
    items: list[Item] = []
    limit_per_user: int = 0
    opens_at_ms: int
    closes_at_ms: int
    hold_ms: int
    spread_ms: int = 0
    ships_at_ms: int = 0
    waitlist: int = 0


class Sale(Shape, kw_only=True):
    """A window in which a listing's limited units can be bought. It may be in several rooms at once, under
    one stock; each room has its own of these."""

    sale_id: Id
    listing_id: Id
    limit_per_user: int = 0  # 0: no limit
    opens_at_ms: int
    closes_at_ms: int
    hold_ms: int  # how long a reservation waits for payment
    spread_ms: int = 0  # automatic clients draw their moment inside this window after opening
    ships_at_ms: int = 0  # a presale (预售): its goods ship from then on; 0: at once
    waitlist: int = 0  # places in its line (候补), over all items; 0: nobody can wait
    guest: bool = False  # opened elsewhere: this room sells it, and doesn't steer it
    detached: bool = False  # this room doesn't sell it any more; what is held stays held
    sold_out: bool = False
    stock: Stock


class Danmaku(msgspec.Struct, frozen=True, array_like=True):
    """A comment. On the wire an array, since a busy room's bytes are mostly these:
    ``[danmakuId, userId, name, text, role]``."""

    danmaku_id: str
    user_id: str
    name: str
    text: str
    role: str = ""  # empty for a viewer


class Gift(msgspec.Struct, frozen=True, array_like=True):
    """A gift, repeats of one sender in one tick summed: ``[userId, name, gift, count]``."""

    user_id: str
    name: str
    gift: str
    count: int


class Repeat(msgspec.Struct, frozen=True, array_like=True):
    """An equal comment came again: ``[danmakuId, count]``, count absolute since the first."""

    danmaku_id: str
    count: int


class HeldReservation(Shape):
    """A reservation as its owner sees it."""

    reservation_id: str
    sale_id: Id
    command_id: str  # of the purchase
    state: str  # waiting, held, confirmed, released, expired, refund_due, returned
    lines: list[OrderLine]
    expires_at_ms: int
