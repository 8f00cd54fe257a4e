"""Purchases of this process, and which rooms hear of which sale.

Second half of the purchase walk: an order goes to the gatherer, which calls the ledger for all orders of
this moment; the view each reply carries goes to every room of the sale, for the next tick. A first attempt
at what is known to be sold out is answered by the latch, from the newest of those views.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import structlog

from liveserver.commands.ports import NoticeKind
from liveserver.core.clock import Clock
from liveserver.stock.checks import check_order
from liveserver.stock.gather import Gatherer
from liveserver.stock.latch import SoldOutLatch
from liveserver.stock.port import (
    Ledger,
    Order,
    Outcome,
    Reservation,
    ReservationState,
    SaleStatus,
    StockView,
    Verdict,
)
from liveserver.stock.sweeper import Sweeper

from .notices import Notices
from .rooms import Rooms
from .shelf import Shelf

logger = structlog.get_logger(__name__)

FINISHED_MAX = 10_000
SHELVED_MAX = 1_000


class Outcomes:
    """How often each outcome was answered. Metrics read it."""

    def __init__(self) -> None:
        self.count: dict[str, int] = {outcome.value: 0 for outcome in Outcome}
        self.replayed = 0
        self.settled_late = 0
        self.latched = 0  # answered without asking the store

    def told(self, verdict: Verdict) -> None:
        self.count[verdict.outcome.value] += 1
        self.replayed += verdict.replayed


class StockDesk:
    def __init__(self, ledger: Ledger, clock: Clock, *, deadline_ms: int) -> None:
        self.ledger = ledger
        self.outcomes = Outcomes()
        self._clock = clock
        self._latch = SoldOutLatch()
        self._rooms: Rooms
        self._notices: Notices
        self._shelf: Shelf | None = None
        self._rooms_of: dict[str, set[str]] = {}
        self._shelved: dict[str, None] = {}  # sales looked at or bought outside any room
        self._finished: dict[str, set[str]] = {}  # closed, and nothing held any more; its rooms
        self._gatherer = Gatherer(
            ledger,
            clock,
            on_view=self.observe,
            answered=self._answered,
            settled=self._settled,
            deadline_ms=deadline_ms,
        )
        self._sweeper = Sweeper(ledger, clock, self.sales, on_expired=self.expired, on_view=self.observe)
        # Of sales no room here has: nobody is told, and the room that is held next hears it all then.
        self._aside = Sweeper(
            ledger,
            clock,
            lambda: (),
            on_expired=lambda _: None,
            on_view=lambda view: self._latch.learn(view, clock.now_ms()),
        )

    def use(self, rooms: Rooms, notices: Notices, shelf: Shelf) -> None:
        self._rooms = rooms
        self._notices = notices
        self._shelf = shelf

    async def sweep_forever(self) -> None:
        await self._sweeper.run()

    async def sweep_unwatched(self, sales: Collection[str]) -> None:
        """Those of these sales that no room here has. Never raises but when cancelled."""
        mine = set(self.sales())
        await self._aside.sweep([sale_id for sale_id in sales if sale_id not in mine])

    async def aclose(self) -> None:
        await self._gatherer.aclose()

    # -- commands.ports.Stock --------------------------------------------------------------------------

    def purchase(self, sale_id: str, order: Order, *, attempt: int) -> Verdict | asyncio.Future[Verdict]:
        latched = self._latched(sale_id, order) if attempt == 0 else None
        if latched is None:
            return self._gatherer.ask(sale_id, order)
        self.outcomes.told(latched)
        return latched

    def _latched(self, sale_id: str, order: Order) -> Verdict | None:
        at = self._latch.sold_out(sale_id, order, self._clock.now_ms())
        if at is None:
            return None
        check_order(order)  # the ledger does it for all others
        self.outcomes.latched += 1
        return Verdict(Outcome.SOLD_OUT, *at)

    def observe(self, view: StockView) -> None:
        self._latch.learn(view, self._clock.now_ms())
        if self._shelf is not None:
            self._shelf.observe(view)
        over = view.status is SaleStatus.CLOSED and not any(view.held.values())
        if not over and view.sale_id in self._finished:
            self._begin_anew(view.sale_id)
        rooms = self._rooms_hearing(view.sale_id)
        heard = True
        for room in tuple(rooms):
            live = self._rooms.held(room)
            if live is None:
                rooms.discard(room)
            else:
                heard &= live.observe(view)
        known = rooms or view.sale_id in self._shelved
        if known and heard and over:
            self._finish(view.sale_id)
        elif not rooms:
            self._rooms_of.pop(view.sale_id, None)

    def notify(self, kind: NoticeKind, reservation: Reservation) -> None:
        sale_id = reservation.sale_id
        rooms = [room for room in self._rooms_hearing(sale_id) if self._rooms.held(room)]
        self._notices.tell(kind, reservation, rooms, anywhere=sale_id in self._shelved)

    # -- sales of this process -------------------------------------------------------------------------

    def concerns(self, room: str, sale_id: str) -> None:
        """This room, held here, is one of the sale's. Told at every beat, so a room let go and held again
        is known again."""
        finished = self._finished.get(sale_id)
        if finished is None:
            self._rooms_of.setdefault(sale_id, set()).add(room)
        else:
            finished.add(room)

    def _rooms_hearing(self, sale_id: str) -> set[str]:
        """Its rooms, also when it is finished: late payments and returns come for days."""
        return self._rooms_of.get(sale_id) or self._finished.get(sale_id, set())

    def shelved(self, sale_id: str) -> None:
        """Somebody looks at it, or buys it, outside any room: it is swept from here too."""
        if sale_id not in self._finished and len(self._shelved) < SHELVED_MAX:
            self._shelved[sale_id] = None

    def sales(self) -> list[str]:
        """Those of the rooms held here, and of the shelf as far as it is looked at."""
        return list({sale_id: None for sale_id, rooms in self._rooms_of.items() if rooms} | self._shelved)

    def _finish(self, sale_id: str) -> None:
        """Its rooms have heard it; nothing is swept any more."""
        self._latch.forget(sale_id)
        rooms = self._rooms_of.pop(sale_id, set())
        self._shelved.pop(sale_id, None)
        self._finished.setdefault(sale_id, rooms)
        if len(self._finished) > FINISHED_MAX:
            del self._finished[next(iter(self._finished))]

    def _begin_anew(self, sale_id: str) -> None:
        """Rebuilt, or opened again under its old id. (Were it an older view, the next sweep ends it.)"""
        self._rooms_of.setdefault(sale_id, set()).update(self._finished.pop(sale_id))

    def expired(self, reservations: list[Reservation]) -> None:
        for reservation in reservations:
            self.notify("reservationExpired", reservation)

    def lined(self, reservations: list[Reservation]) -> None:
        """Served in line, or skipped there."""
        for reservation in reservations:
            if reservation.state is ReservationState.HELD:
                self._bought(reservation.sale_id, reservation.user_id)
                self.notify("reservationServed", reservation)
            else:
                self.notify("reservationSkipped", reservation)

    def _bought(self, sale_id: str, user_id: str) -> None:
        for room in self._rooms_of.get(sale_id, ()):
            live = self._rooms.held(room)
            if live is not None:
                live.bought(user_id)

    def _answered(self, sale_id: str, order: Order, verdict: Verdict) -> None:
        self.outcomes.told(verdict)
        if verdict.outcome is Outcome.RESERVED:
            self._bought(sale_id, order.user_id)

    def _settled(self, sale_id: str, order: Order, verdict: Verdict) -> None:
        """An order that was answered ``pending`` has its answer now; its buyer learns it by asking again."""
        self.outcomes.settled_late += 1
        if verdict.outcome is Outcome.RESERVED:
            self._bought(sale_id, order.user_id)
