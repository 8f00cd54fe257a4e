"""The projection of one room: what its critical events, folded, say.

Knows events, nothing of commands, rules or sockets: an event in the log was decided on the projection just
before it, so ``apply`` trusts it. Invariants:

- ``_rewrites`` alone says what an event means, as a map of state keys to new values. ``apply`` puts these
  values here, ``changes`` packs them for the store; so loading the store's state gives this projection.
- ``order`` names every listing once; ``explaining`` is "" or one of them; a listing's number is never given
  again. All collections are bounded, and what drops out depends on the events alone, so every process and the
  store drop the same.

State keys: ``listing:ID``, ``sale:ID``, ``muted:USER``, ``order``, ``closed`` (sales closed or detached, the
longest over first), ``explaining``, ``status``, ``next_number``; values are msgpack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec.structs import replace

from protocol import events
from protocol.events import Envelope, Event
from protocol.frames import Snapshot
from protocol.types import Danmaku, Listing, RoomStatus, Sale, Stock

from .limits import CLOSED_SALES_MAX, MUTES_MAX

Rewrites = dict[str, Any]  # state key -> its new value; None deletes

_MAPS = {"listing": "listings", "sale": "sales", "muted": "muted"}  # KIND:ID -> the dict it lives in
_DECODERS: dict[str, msgspec.msgpack.Decoder[Any]] = {
    "listing": msgspec.msgpack.Decoder(Listing),
    "sale": msgspec.msgpack.Decoder(Sale),
    "muted": msgspec.msgpack.Decoder(int),
    "order": msgspec.msgpack.Decoder(list[str]),
    "closed": msgspec.msgpack.Decoder(list[str]),
    "explaining": msgspec.msgpack.Decoder(str),
    "status": msgspec.msgpack.Decoder(RoomStatus),
    "next_number": msgspec.msgpack.Decoder(int),
}


@dataclass(slots=True)
class Room:
    """One room at ``(epoch, offset)``. Times in it are milliseconds of the server's clock."""

    epoch: int = 0
    offset: int = 0
    status: RoomStatus = RoomStatus.LIVE
    listings: dict[str, Listing] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)  # the cart: listing ids
    next_number: int = 1
    explaining: str = ""
    sales: dict[str, Sale] = field(default_factory=dict)  # all that run, and the last closed ones
    closed: list[str] = field(default_factory=list)  # of these, closed and detached ones, longest over first
    muted: dict[str, int] = field(default_factory=dict)  # user id -> until ms; ended ones may linger

    @classmethod
    def load(cls, state: Mapping[str, bytes], epoch: int, head: int) -> Room:
        """The room as the store keeps it. Keys of a kind we don't know (a newer version's) are skipped."""
        room = cls(epoch=epoch, offset=head)
        for key, packed in state.items():
            decoder = _DECODERS.get(key.partition(":")[0])
            if decoder is not None:
                room._put(key, decoder.decode(packed))
        return room

    def apply(self, envelope: Envelope) -> None:
        """Take the next event; any other offset is our mistake."""
        assert envelope.offset == self.offset + 1, (envelope.offset, self.offset)
        for key, value in _rewrites(self, envelope.event).items():
            self._put(key, value)
        self.offset = envelope.offset

    def changes(self, event: Event) -> dict[str, bytes | None]:
        """What the store must change when this event is appended to the present projection."""
        return {
            key: None if value is None else msgspec.msgpack.encode(value)
            for key, value in _rewrites(self, event).items()
        }

    def snapshot(self, recent: list[Danmaku], now_ms: int = 0) -> Snapshot:
        """The room as a newcomer needs it, at ``offset``. Mutes that ended by ``now_ms`` are left out."""
        return Snapshot(
            offset=self.offset,
            status=self.status,
            listings=[self.listings[listing_id] for listing_id in self.order],
            explaining=self.explaining,
            sales=sorted(self.sales.values(), key=lambda sale: (sale.opens_at_ms, sale.sale_id)),
            muted={user: until_ms for user, until_ms in sorted(self.muted.items()) if until_ms > now_ms},
            recent=list(recent),
        )

    def muted_until_ms(self, user_id: str, now_ms: int) -> int:
        """0: this user may speak."""
        until_ms = self.muted.get(user_id, 0)
        return until_ms if until_ms > now_ms else 0

    def sold_here(self, sale_id: str) -> Sale | None:
        """The sale, if this room sells it (or did, until it was closed)."""
        sale = self.sales.get(sale_id)
        return None if sale is None or sale.detached else sale

    def running_sale_of(self, listing_id: str, now_ms: int) -> Sale | None:
        """The listing's sale that isn't over."""
        for sale in self.sales.values():
            if sale.listing_id == listing_id and is_running(sale, now_ms):
                return sale
        return None

    def _put(self, key: str, value: Any) -> None:
        kind, _, name = key.partition(":")  # an id may hold colons, a kind doesn't
        if kind not in _MAPS:
            setattr(self, kind, value)
        elif value is None:
            getattr(self, _MAPS[kind]).pop(name, None)
        else:
            getattr(self, _MAPS[kind])[name] = value


def is_closed(stock: Stock) -> bool:
    return stock.status == "closed"


def is_over(sale: Sale) -> bool:
    """For this room: closed, or detached from it."""
    return sale.detached or is_closed(sale.stock)


def is_running(sale: Sale, now_ms: int) -> bool:
    """Here, closed by nobody, and its time isn't over. (The room hears of the latter a little later.)"""
    return not is_over(sale) and now_ms < sale.closes_at_ms


# -- what each event rewrites --------------------------------------------------------------------------


def _rewrites(room: Room, event: Event) -> Rewrites:
    return _MEANINGS[type(event)](room, event)


def _listing_published(room: Room, event: events.ListingPublished) -> Rewrites:
    listing = event.listing
    return {
        f"listing:{listing.listing_id}": listing,
        "order": [*room.order, listing.listing_id],
        "next_number": max(room.next_number, listing.number + 1),
    }


def _listing_updated(room: Room, event: events.ListingUpdated) -> Rewrites:
    return {f"listing:{event.listing.listing_id}": event.listing}


def _listing_withdrawn(room: Room, event: events.ListingWithdrawn) -> Rewrites:
    rewrites: Rewrites = {
        f"listing:{event.listing_id}": None,
        "order": [listing_id for listing_id in room.order if listing_id != event.listing_id],
    }
    if room.explaining == event.listing_id:
        rewrites["explaining"] = ""
    return rewrites


def _cart_ordered(room: Room, event: events.CartOrdered) -> Rewrites:
    return {"order": list(event.listing_ids)}


def _explaining_started(room: Room, event: events.ExplainingStarted) -> Rewrites:
    return {"explaining": event.listing_id}


def _explaining_stopped(room: Room, event: events.ExplainingStopped) -> Rewrites:
    return {"explaining": ""}


def _sale_opened(room: Room, event: events.SaleOpened) -> Rewrites:
    rewrites: Rewrites = {f"sale:{event.sale.sale_id}": event.sale}
    if event.sale.sale_id in room.closed:  # it had been detached
        rewrites["closed"] = [sale_id for sale_id in room.closed if sale_id != event.sale.sale_id]
    return rewrites


def _sale_sold_out(room: Room, event: events.SaleSoldOut) -> Rewrites:
    return _sale_rewritten(room, event.stock, sold_out=True)


def _sale_restocked(room: Room, event: events.SaleRestocked) -> Rewrites:
    return _sale_rewritten(room, event.stock, sold_out=False)


def _sale_closed(room: Room, event: events.SaleClosed) -> Rewrites:
    sale_id = event.stock.sale_id
    return _over(room, sale_id, _sale_rewritten(room, event.stock, sold_out=room.sales[sale_id].sold_out))


def _sale_detached(room: Room, event: events.SaleDetached) -> Rewrites:
    sale = replace(room.sales[event.sale_id], detached=True)
    return _over(room, event.sale_id, {f"sale:{event.sale_id}": sale})


def _over(room: Room, sale_id: str, rewrites: Rewrites) -> Rewrites:
    """It is kept a while for those who hold units of it; the longest over goes."""
    closed = [*room.closed, sale_id]
    for dropped in closed[:-CLOSED_SALES_MAX]:
        rewrites[f"sale:{dropped}"] = None
    rewrites["closed"] = closed[-CLOSED_SALES_MAX:]
    return rewrites


def _sale_rewritten(room: Room, stock: Stock, *, sold_out: bool) -> Rewrites:
    sale = room.sales[stock.sale_id]
    return {f"sale:{stock.sale_id}": replace(sale, stock=stock, sold_out=sold_out)}


def _danmaku_deleted(room: Room, event: events.DanmakuDeleted) -> Rewrites:
    return {}  # danmaku are no state of the room


def _user_muted(room: Room, event: events.UserMuted) -> Rewrites:
    if event.until_ms == 0:
        return {f"muted:{event.user_id}": None}
    rewrites: Rewrites = {f"muted:{event.user_id}": event.until_ms}
    if event.user_id not in room.muted and len(room.muted) >= MUTES_MAX:
        soonest = min(room.muted, key=lambda user_id: (room.muted[user_id], user_id))
        rewrites[f"muted:{soonest}"] = None
    return rewrites


def _room_status(room: Room, event: events.RoomStatusChanged) -> Rewrites:
    return {"status": event.status}


_MEANINGS: dict[type, Callable[[Room, Any], Rewrites]] = {
    events.ListingPublished: _listing_published,
    events.ListingUpdated: _listing_updated,
    events.ListingWithdrawn: _listing_withdrawn,
    events.CartOrdered: _cart_ordered,
    events.ExplainingStarted: _explaining_started,
    events.ExplainingStopped: _explaining_stopped,
    events.SaleOpened: _sale_opened,
    events.SaleSoldOut: _sale_sold_out,
    events.SaleRestocked: _sale_restocked,
    events.SaleClosed: _sale_closed,
    events.SaleDetached: _sale_detached,
    events.DanmakuDeleted: _danmaku_deleted,
    events.UserMuted: _user_muted,
    events.RoomStatusChanged: _room_status,
}
