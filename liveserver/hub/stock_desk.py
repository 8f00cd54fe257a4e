"""Purchases of this process, and which rooms hear of which sale.

Second half of the purchase walk: an order goes to the gatherer, which calls the ledger for all orders of
this moment; the view each reply carries goes to every room of the sale, for the next tick. A first attempt
at what is known to be sold out is answered by the latch, from the newest of those views.
"""

from __future__ import annotations

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

from .rooms import Rooms

logger = structlog.get_logger(__name__)

FINISHED_MAX = 10_000


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
    def __init__(self, ledger: Ledger, clock: Clock, *, durability: str, deadline_ms: int) -> None:
        self.ledger = ledger
        self.durability = durability
        self.outcomes = Outcomes()
        self._clock = clock
        self._latch = SoldOutLatch()
        self._rooms: Rooms
        self._rooms_of: dict[str, set[str]] = {}
        self._finished: dict[str, None] = {}  # closed, and nothing held any more
        self._gatherer = Gatherer(
            ledger, clock, on_view=self.observe, settled=self._settled, deadline_ms=deadline_ms
        )
        self._sweeper = Sweeper(
            ledger, clock, self._swept_sales, on_expired=self.expired, on_view=self.observe
        )

    def use(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def sweep_forever(self) -> None:
        await self._sweeper.run()

    async def aclose(self) -> None:
        await self._gatherer.aclose()

    # -- commands.ports.Stock --------------------------------------------------------------------------

    async def purchase(self, sale_id: str, order: Order, *, attempt: int) -> Verdict:
        verdict = self._latched(sale_id, order) if attempt == 0 else None
        if verdict is None:
            verdict = await self._gatherer.purchase(sale_id, order)
        self.outcomes.told(verdict)
        if verdict.outcome is Outcome.RESERVED:
            self._bought(sale_id, order.user_id)
        return verdict

    def _latched(self, sale_id: str, order: Order) -> Verdict | None:
        at = self._latch.sold_out(sale_id, order, self._clock.now_ms())
        if at is None:
            return None
        check_order(order)  # the gatherer does it for all others
        self.outcomes.latched += 1
        return Verdict(Outcome.SOLD_OUT, *at)

    def observe(self, view: StockView) -> None:
        self._latch.learn(view, self._clock.now_ms())
        rooms = self._rooms_of.get(view.sale_id, set())
        heard = True
        for room in tuple(rooms):
            live = self._rooms.held(room)
            if live is None:
                rooms.discard(room)
            else:
                heard &= live.observe(view)
        if heard and view.status is SaleStatus.CLOSED and not any(view.held.values()):
            self._finish(view.sale_id)
        elif not rooms:
            self._rooms_of.pop(view.sale_id, None)

    def notify(self, kind: NoticeKind, reservation: Reservation) -> None:
        rooms = [room for room in self._rooms_of.get(reservation.sale_id, ()) if self._rooms.held(room)]
        self._rooms.notify(rooms, kind, reservation)

    # -- sales of this process -------------------------------------------------------------------------

    def concerns(self, room: str, sale_id: str) -> None:
        """This room, held here, is one of the sale's. Told at every beat, so a room let go and held again
        is known again."""
        if sale_id not in self._finished:
            self._rooms_of.setdefault(sale_id, set()).add(room)

    def _swept_sales(self) -> list[str]:
        return [sale_id for sale_id, rooms in self._rooms_of.items() if rooms]

    def _finish(self, sale_id: str) -> None:
        """Its rooms have heard it; nothing changes any more."""
        self._latch.forget(sale_id)
        self._rooms_of.pop(sale_id, None)
        self._finished[sale_id] = None
        if len(self._finished) > FINISHED_MAX:
            del self._finished[next(iter(self._finished))]

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

    def _settled(self, sale_id: str, order: Order, verdict: Verdict) -> None:
        """An order that was answered ``pending`` has its answer now; its buyer learns it by asking again."""
        self.outcomes.settled_late += 1
        if verdict.outcome is Outcome.RESERVED:
            self._bought(sale_id, order.user_id)
