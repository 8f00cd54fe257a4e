"""A room as this client knows it, purely from its frames.

What holds always:
- everything up to ``(epoch, offset)`` is applied, each critical event once and in order; an event that
  does not follow is never applied: ``apply`` says ``GapFound`` and stays where it was;
- stock never goes back in ``(epoch, seq)``, counts never in ``version``, whatever order frames come in;
- a deleted comment, or one of a muted user, is not shown should it still come.

It does not know connections, commands or numbering: that is ``room.py`` and ``session.py``.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from .. import events
from ..events import Envelope
from ..frames import DanmakuBlock, Frame, Snapshot, State
from ..limits import CLOSED_SALES_MAX
from ..types import Danmaku, Listing, RoomStatus, Sale, Stock
from .fading import FadingSet
from .happenings import DanmakuShown, GapFound, Happened, RoomHappening, Snapshotted, StateChanged
from .limits import LOOSE_STOCK_MAX, MUTED_MAX, SALES_MAX, TOMBSTONE_MS, TOMBSTONES_MAX


class Mirror:
    __slots__ = (
        "_closed",
        "_deleted",
        "_likes_version",
        "_listings",
        "_sales",
        "_stock",
        "_viewers_version",
        "epoch",
        "explaining",
        "likes",
        "muted",
        "offset",
        "room",
        "status",
        "viewers",
    )

    def __init__(self, room: str) -> None:
        self.room = room
        self.epoch: int | None = None  # None: nothing is known yet
        self.offset = 0
        self.status = RoomStatus.LIVE
        self.explaining = ""  # listing id
        self.muted: dict[str, int] = {}  # user id -> until, server's milliseconds
        self.viewers: int | None = None
        self.likes: int | None = None
        self._listings: dict[str, Listing] = {}  # in the cart's order
        self._sales: dict[str, Sale] = {}  # as announced; the units left are in _stock
        self._closed: list[str] = []  # of these, the closed ones, the longest closed first
        self._stock: dict[str, Stock] = {}
        self._viewers_version = 0
        self._likes_version = 0
        self._deleted = FadingSet(TOMBSTONE_MS, TOMBSTONES_MAX)

    # -- reading ---------------------------------------------------------------------------------------

    @property
    def listings(self) -> list[Listing]:
        """The cart, in its order."""
        return list(self._listings.values())

    def listing(self, listing_id: str) -> Listing | None:
        return self._listings.get(listing_id)

    @property
    def sales(self) -> list[Sale]:
        """Every sale that runs and the last closed or detached ones, by opening time, with the newest
        stock."""
        by_opening = sorted(self._sales.values(), key=lambda sale: (sale.opens_at_ms, sale.sale_id))
        return [self._with_stock(sale) for sale in by_opening]

    def sale(self, sale_id: str) -> Sale | None:
        sale = self._sales.get(sale_id)
        return None if sale is None else self._with_stock(sale)

    def stock(self, sale_id: str) -> Stock | None:
        """The newest stock heard of, even before the sale's own opening was."""
        return self._stock.get(sale_id)

    def follows(self, epoch: int, offset: int) -> bool:
        """Is everything up to this place known?"""
        return self.epoch == epoch and self.offset >= offset

    def snapshot(self) -> Snapshot:
        """What is known, in the wire's own shape (without recent comments, which are not kept)."""
        return Snapshot(
            offset=self.offset,
            status=self.status,
            listings=self.listings,
            explaining=self.explaining,
            sales=self.sales,
            muted=dict(self.muted),
        )

    def forget_place(self) -> None:
        """The next snapshot is taken whatever its epoch. Versions of stock and counts stay."""
        self.epoch, self.offset = None, 0

    # -- frames ----------------------------------------------------------------------------------------

    def apply(self, frame: Frame, now_ms: float) -> list[RoomHappening]:
        """What was new in it. ``now_ms`` is the local clock, for tombstones alone."""
        happenings: list[RoomHappening] = []
        if frame.snapshot is not None and self._take_snapshot(frame.epoch, frame.snapshot):
            happenings.append(Snapshotted(room=self.room, epoch=frame.epoch, snapshot=frame.snapshot))
        for envelope in frame.critical:
            if self.epoch is None or frame.epoch < self.epoch:
                break  # before our first snapshot, or of a life of the room that is over
            if frame.epoch == self.epoch and envelope.offset <= self.offset:
                continue  # an overlap
            if frame.epoch > self.epoch or envelope.offset > self.offset + 1:
                happenings.append(
                    GapFound(room=self.room, epoch=frame.epoch, expected=self.offset + 1, got=envelope.offset)
                )
                break
            self._take_event(envelope, frame.t, now_ms)
            happenings.append(Happened(room=self.room, epoch=frame.epoch, envelope=envelope))
        if frame.state is not None:
            changed = self._take_state(frame.state)
            if changed is not None:
                happenings.append(changed)
        if frame.danmaku is not None:
            happenings.append(self._shown(frame.danmaku, frame.t, now_ms))
        return happenings

    def _take_snapshot(self, epoch: int, snapshot: Snapshot) -> bool:
        older = self.epoch is not None and (epoch, snapshot.offset) < (self.epoch, self.offset)
        for sale in snapshot.sales:
            self._take_stock(sale.stock)
        if older:
            return False
        self.epoch, self.offset = epoch, snapshot.offset
        self.status = snapshot.status
        self.explaining = snapshot.explaining
        self._listings = {listing.listing_id: listing for listing in snapshot.listings}
        self._sales = {sale.sale_id: sale for sale in snapshot.sales}
        self._closed = [
            sale.sale_id for sale in snapshot.sales if sale.detached or sale.stock.status == "closed"
        ]
        self.muted = dict(snapshot.muted)
        return True

    def _take_event(self, envelope: Envelope, server_ms: int, now_ms: float) -> None:
        self.offset = envelope.offset
        match envelope.event:
            case events.ListingPublished(listing=listing) | events.ListingUpdated(listing=listing):
                self._listings[listing.listing_id] = listing  # a known one keeps its place
            case events.ListingWithdrawn(listing_id=listing_id):
                self._listings.pop(listing_id, None)
                if self.explaining == listing_id:
                    self.explaining = ""
            case events.CartOrdered(listing_ids=listing_ids):
                self._order(listing_ids)
            case events.ExplainingStarted(listing_id=listing_id):
                self.explaining = listing_id
            case events.ExplainingStopped():
                self.explaining = ""
            case events.SaleOpened(sale=sale):
                self._open(sale)
            case events.SaleSoldOut(stock=stock):
                self._mark(stock, sold_out=True)
            case events.SaleRestocked(stock=stock):
                self._mark(stock, sold_out=False)
            case events.SaleClosed(stock=stock):
                self._close(stock)
            case events.SaleDetached(sale_id=sale_id):
                self._detach(sale_id)
            case events.DanmakuDeleted(danmaku_id=danmaku_id):
                self._deleted.add(danmaku_id, now_ms)
            case events.UserMuted(user_id=user_id, until_ms=until_ms):
                self._mute(user_id, until_ms, server_ms)
            case events.RoomStatusChanged(status=status):
                self.status = status
            case _:
                assert_never(envelope.event)

    def _take_state(self, state: State) -> StateChanged | None:
        stock = [each for each in state.stock if self._take_stock(each)]
        viewers = likes = None
        if state.viewers is not None and state.version >= self._viewers_version:
            self._viewers_version = state.version
            if state.viewers != self.viewers:
                self.viewers = viewers = state.viewers
        if state.likes is not None and state.version >= self._likes_version:
            self._likes_version = state.version
            if state.likes != self.likes:
                self.likes = likes = state.likes
        if not stock and viewers is None and likes is None:
            return None
        return StateChanged(room=self.room, stock=stock, viewers=viewers, likes=likes)

    def _take_stock(self, stock: Stock) -> bool:
        known = self._stock.get(stock.sale_id)
        if known is not None and (stock.epoch, stock.seq) <= (known.epoch, known.seq):
            return False
        if known is None and len(self._stock) - len(self._sales) >= LOOSE_STOCK_MAX:
            self._forget_loose_stock()
        self._stock[stock.sale_id] = stock
        return True

    def _forget_loose_stock(self) -> None:
        loose = [sale_id for sale_id in self._stock if sale_id not in self._sales]
        for sale_id in loose[: len(loose) // 2]:
            del self._stock[sale_id]

    def _shown(self, block: DanmakuBlock, server_ms: int, now_ms: float) -> DanmakuShown:
        danmaku = block.danmaku
        if self.muted or len(self._deleted):
            danmaku = [each for each in danmaku if not self._hidden(each, server_ms, now_ms)]
        return DanmakuShown(
            room=self.room,
            danmaku=danmaku,
            repeats=block.repeats,
            gifts=block.gifts,
            entered=block.entered,
            offered=block.offered,
            merged=block.merged,
            shed=block.shed,
        )

    def _hidden(self, danmaku: Danmaku, server_ms: int, now_ms: float) -> bool:
        return self.muted.get(danmaku.user_id, 0) > server_ms or self._deleted.holds(
            danmaku.danmaku_id, now_ms
        )

    def _with_stock(self, sale: Sale) -> Sale:
        stock = self._stock.get(sale.sale_id)
        if stock is None or stock is sale.stock:
            return sale
        return msgspec.structs.replace(sale, stock=stock)

    def _order(self, listing_ids: list[str]) -> None:
        before = self._listings
        self._listings = {each: before[each] for each in listing_ids if each in before}
        for listing_id, listing in before.items():
            self._listings.setdefault(listing_id, listing)

    def _open(self, sale: Sale) -> None:
        if sale.sale_id not in self._sales and len(self._sales) >= SALES_MAX:
            del self._sales[next(iter(self._sales))]
        if sale.sale_id in self._closed:  # it had been detached
            self._closed.remove(sale.sale_id)
        self._sales[sale.sale_id] = sale
        self._take_stock(sale.stock)

    def _close(self, stock: Stock) -> None:
        """As the server does: of closed sales, the longest closed is forgotten."""
        self._take_stock(stock)
        self._over(stock.sale_id)

    def _detach(self, sale_id: str) -> None:
        sale = self._sales.get(sale_id)
        if sale is not None:
            self._sales[sale_id] = msgspec.structs.replace(sale, detached=True)
            self._over(sale_id)

    def _over(self, sale_id: str) -> None:
        if sale_id not in self._sales or sale_id in self._closed:
            return
        self._closed.append(sale_id)
        while len(self._closed) > CLOSED_SALES_MAX:
            self._sales.pop(self._closed.pop(0), None)

    def _mark(self, stock: Stock, *, sold_out: bool) -> None:
        self._take_stock(stock)
        sale = self._sales.get(stock.sale_id)
        if sale is not None:
            self._sales[stock.sale_id] = msgspec.structs.replace(sale, sold_out=sold_out)

    def _mute(self, user_id: str, until_ms: int, server_ms: int) -> None:
        self.muted.pop(user_id, None)
        if until_ms <= 0:
            return
        if len(self.muted) >= MUTED_MAX:
            self.muted = {user: until for user, until in self.muted.items() if until > server_ms}
            if len(self.muted) >= MUTED_MAX:
                del self.muted[next(iter(self.muted))]
        self.muted[user_id] = until_ms
