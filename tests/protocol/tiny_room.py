"""A room's truth and a server's manners, as small as they can be, to judge the client by.

``TinyRoom`` keeps its own plain fold of every event, one snapshot per offset, and answers joins as the
server must. It shares no code with the client's mirror. No I/O.
"""

from __future__ import annotations

from protocol import events
from protocol.commands import Join
from protocol.events import Envelope, Event
from protocol.frames import Frame, Snapshot
from protocol.replies import Joined, Me
from protocol.types import Item, Listing, RoomStatus, Sale, Stock


def listing(listing_id: str, number: int, title: str = "a scarf") -> Listing:
    return Listing(
        listing_id=listing_id, number=number, title=title, items=[Item(item_id="red", price_fen=990)]
    )


class TinyRoom:
    def __init__(self, room: str = "r1", epoch: int = 1_000) -> None:
        self.room = room
        self.now_ms = 1_700_000_000_000
        self.cart: list[Listing] = []
        self.explaining = ""
        self.status = RoomStatus.LIVE
        self.sales: dict[str, Sale] = {}
        self.stock: dict[str, Stock] = {}
        self.stock_truth: dict[int, Stock] = {}  # of the last sale touched, by seq
        self.muted: dict[str, int] = {}
        self.start_epoch(epoch)

    def start_epoch(self, epoch: int) -> None:
        """A new life of the room: the same facts, a new numbering."""
        self.epoch = epoch
        self.log: list[Envelope] = []
        self.kept_from = 1  # the first offset that can be replayed
        if not hasattr(self, "truth"):
            self.truth: dict[tuple[int, int], Snapshot] = {}
        self.truth[(epoch, 0)] = self.snapshot()

    @property
    def offset(self) -> int:
        return len(self.log)

    def snapshot(self) -> Snapshot:
        sales = [
            Sale(
                sale_id=sale.sale_id,
                listing_id=sale.listing_id,
                opens_at_ms=sale.opens_at_ms,
                closes_at_ms=sale.closes_at_ms,
                hold_ms=sale.hold_ms,
                sold_out=sale.sold_out,
                stock=self.stock[sale.sale_id],
            )
            for sale in self.sales.values()
        ]
        return Snapshot(
            offset=self.offset,
            status=self.status,
            listings=list(self.cart),
            explaining=self.explaining,
            sales=sales,
            muted=dict(self.muted),
        )

    # -- facts -----------------------------------------------------------------------------------------

    def publish(self, listing_id: str) -> None:
        new = listing(listing_id, len(self.log) + 1)
        self.cart = [each for each in self.cart if each.listing_id != listing_id] + [new]
        self._append(events.ListingPublished(listing=new))

    def retitle(self, listing_id: str, title: str) -> None:
        at = [each.listing_id for each in self.cart].index(listing_id)
        new = listing(listing_id, self.cart[at].number, title)
        self.cart = [*self.cart[:at], new, *self.cart[at + 1 :]]
        self._append(events.ListingUpdated(listing=new))

    def withdraw(self, listing_id: str) -> None:
        self.cart = [each for each in self.cart if each.listing_id != listing_id]
        if self.explaining == listing_id:
            self.explaining = ""
        self._append(events.ListingWithdrawn(listing_id=listing_id))

    def reverse(self) -> None:
        self.cart = self.cart[::-1]
        self._append(events.CartOrdered(listing_ids=[each.listing_id for each in self.cart]))

    def explain(self, listing_id: str) -> None:
        self.explaining = listing_id
        self._append(events.ExplainingStarted(listing_id=listing_id))

    def stop_explaining(self) -> None:
        before, self.explaining = self.explaining, ""
        self._append(events.ExplainingStopped(listing_id=before))

    def open_sale(self, sale_id: str, units: int) -> None:
        stock = Stock(sale_id=sale_id, epoch=7, seq=1, status="open", available={"red": units})
        sale = Sale(
            sale_id=sale_id,
            listing_id="l1",
            opens_at_ms=self.now_ms,
            closes_at_ms=self.now_ms + 60_000,
            hold_ms=900_000,
            stock=stock,
        )
        self.sales[sale_id], self.stock[sale_id] = sale, stock
        self.stock_truth = {1: stock}
        self._append(events.SaleOpened(sale=sale))

    def sell(self, sale_id: str, units: int) -> Stock:
        """One change of the counter; sold out and restocked become events of the room."""
        before = self.stock[sale_id]
        left = before.available["red"] - units
        after = Stock(
            sale_id=sale_id, epoch=before.epoch, seq=before.seq + 1, status="open", available={"red": left}
        )
        self.stock[sale_id] = self.stock_truth[after.seq] = after
        if left == 0 and before.available["red"] > 0:
            self._mark(sale_id, after, sold_out=True)
            self._append(events.SaleSoldOut(stock=after))
        elif left > 0 and before.available["red"] == 0:
            self._mark(sale_id, after, sold_out=False)
            self._append(events.SaleRestocked(stock=after))
        return after

    def close_sale(self, sale_id: str) -> None:
        """The room forgets the longest closed sale beyond fifty; this one doesn't close so many else."""
        before = self.stock[sale_id]
        after = Stock(
            sale_id=sale_id,
            epoch=before.epoch,
            seq=before.seq + 1,
            status="closed",
            available=dict(before.available),
        )
        self.stock[sale_id] = after
        self._append(events.SaleClosed(stock=after))

    def mute(self, user_id: str, until_ms: int) -> None:
        self.muted.pop(user_id, None)
        if until_ms:
            self.muted[user_id] = until_ms
        self._append(events.UserMuted(user_id=user_id, until_ms=until_ms))

    def delete(self, danmaku_id: str) -> None:
        self._append(events.DanmakuDeleted(danmaku_id=danmaku_id))

    def turn(self, status: RoomStatus) -> None:
        self.status = status
        self._append(events.RoomStatusChanged(status=status))

    # -- manners ---------------------------------------------------------------------------------------

    def join(self, command: Join, n: int) -> tuple[Joined, list[Frame]]:
        """The reply and the frames that go with it (in either order)."""
        offset = command.offset or 0
        resumable = command.epoch == self.epoch and self.kept_from - 1 <= offset <= self.offset
        replay = self.log[offset:] if resumable else []
        joined = Joined(
            id=command.id,
            t=self.now_ms,
            room=self.room,
            epoch=self.epoch,
            offset=self.offset,
            mode="replayed" if resumable else "snapshot",
            replayed=len(replay),
            n=n,
            me=Me(),
        )
        if not resumable:
            whole = self.snapshot()
            return joined, [
                Frame(room=self.room, t=self.now_ms, epoch=self.epoch, head=self.offset, snapshot=whole)
            ]
        return joined, [self.critical(replay)] if replay else []

    def critical(self, envelopes: list[Envelope]) -> Frame:
        return Frame(
            room=self.room, t=self.now_ms, epoch=self.epoch, head=self.offset, critical=list(envelopes)
        )

    def _append(self, event: Event) -> None:
        self.log.append(Envelope(offset=self.offset + 1, at_ms=self.now_ms, event=event))
        self.truth[(self.epoch, self.offset)] = self.snapshot()

    def _mark(self, sale_id: str, stock: Stock, *, sold_out: bool) -> None:
        old = self.sales[sale_id]
        self.sales[sale_id] = Sale(
            sale_id=sale_id,
            listing_id=old.listing_id,
            opens_at_ms=old.opens_at_ms,
            closes_at_ms=old.closes_at_ms,
            hold_ms=old.hold_ms,
            sold_out=sold_out,
            stock=stock,
        )
