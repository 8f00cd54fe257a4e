"""Critical events: facts of a room, each with a gapless offset within an epoch. Never shed, replayed on
resume. One that implies state carries it with its version."""

from __future__ import annotations

import msgspec

from .shape import Shape, ShapeMeta
from .types import Id, Listing, RoomStatus, Sale, Stock


class EventBase(msgspec.Struct, metaclass=ShapeMeta, tag_field="type"):
    pass


class ListingPublished(EventBase, tag="listingPublished"):
    listing: Listing


class ListingUpdated(EventBase, tag="listingUpdated"):
    listing: Listing


class ListingWithdrawn(EventBase, tag="listingWithdrawn"):
    """Also ends its explaining."""

    listing_id: Id


class CartOrdered(EventBase, tag="cartOrdered"):
    listing_ids: list[Id]


class ExplainingStarted(EventBase, tag="explainingStarted"):
    """Whatever was explained before is not any more."""

    listing_id: Id


class ExplainingStopped(EventBase, tag="explainingStopped"):
    listing_id: Id


class SaleOpened(EventBase, tag="saleOpened"):
    """The sale exists; buying starts at ``sale.opensAtMs`` of the server's time."""

    sale: Sale


class SaleSoldOut(EventBase, tag="saleSoldOut"):
    stock: Stock


class SaleRestocked(EventBase, tag="saleRestocked"):
    stock: Stock


class SaleClosed(EventBase, tag="saleClosed"):
    stock: Stock


class SaleDetached(EventBase, tag="saleDetached"):
    """This room doesn't sell it any more; elsewhere it goes on. ``saleOpened`` may bring it back."""

    sale_id: Id


class DanmakuDeleted(EventBase, tag="danmakuDeleted"):
    """Take it off the screen, and refuse it should it still come."""

    danmaku_id: str


class UserMuted(EventBase, tag="userMuted"):
    """``untilMs`` 0 lifts it. A mute also takes the user's danmaku off the screen."""

    user_id: Id
    until_ms: int


class RoomStatusChanged(EventBase, tag="roomStatus"):
    status: RoomStatus


Event = (
    ListingPublished
    | ListingUpdated
    | ListingWithdrawn
    | CartOrdered
    | ExplainingStarted
    | ExplainingStopped
    | SaleOpened
    | SaleSoldOut
    | SaleRestocked
    | SaleClosed
    | SaleDetached
    | DanmakuDeleted
    | UserMuted
    | RoomStatusChanged
)


class Envelope(Shape, kw_only=True):
    """An event with its place. The epoch stands in the frame around it."""

    offset: int
    at_ms: int  # when it was appended, server's time
    stream_time_ms: int | None = None
    event: Event
