"""The stock counter in plain Python: the executable specification of the Lua.

``ModelSale`` is one sale, pure: time is an argument, nothing waits. ``ModelLedger`` puts it behind the
port, for tests; no server runs on it. Each Lua file names the method here that it mirrors, and the two
must agree on every answer, every view and every row of the feed.

What holds after every method, and the feed proves it: per item stock + adjusts = available + held +
confirmed, nothing negative; per user held + confirmed <= limit; seq rises by one with every change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import msgspec

from liveserver.core.clock import Clock
from liveserver.stock import checks, limits
from liveserver.stock.ids import ReservationRef, parse_reservation_id, reservation_id
from liveserver.stock.port import (
    BelowHeldError,
    Change,
    Durability,
    Froze,
    Line,
    Order,
    Outcome,
    Reservation,
    ReservationState,
    SaleClosedError,
    SaleConflictError,
    SaleFrozenError,
    SaleSpec,
    SaleStatus,
    StockView,
    Swept,
    TooManyAdjustsError,
    UnknownItemError,
    UnknownReservationError,
    UnknownSaleError,
    Verdict,
    WrongStateError,
)
from liveserver.stock.rows import (
    Adjusted,
    AnyRow,
    Closed,
    Confirmed,
    ConfirmedLate,
    Expired,
    Frozen,
    Granted,
    Opened,
    Paused,
    Ref,
    RefundDue,
    Released,
    Reserved,
    Resumed,
    Returned,
    Served,
    Skipped,
    Waited,
)
from liveserver.stock.transitions import ANSWERED, COUNTED, TRANSITIONS, End

REFUSAL = {
    SaleStatus.SCHEDULED: Outcome.NOT_STARTED,
    SaleStatus.PAUSED: Outcome.PAUSED,
    SaleStatus.FROZEN: Outcome.FROZEN,
    SaleStatus.CLOSED: Outcome.CLOSED,
}
SELLING = (SaleStatus.OPEN, SaleStatus.PAUSED)
ROW = {
    End.CONFIRM: Confirmed,
    End.CONFIRM_LATE: ConfirmedLate,
    End.REFUND_DUE: RefundDue,
    End.RELEASE: Released,
    End.RETURN: Returned,
}


class Counters(msgspec.Struct):
    """One item's units."""

    available: int
    held: int = 0
    confirmed: int = 0
    adjusted: int = 0

    def move(self, source: str, target: str, units: int) -> None:
        setattr(self, source, getattr(self, source) - units)
        setattr(self, target, getattr(self, target) + units)


class Record(msgspec.Struct):
    """A reservation, and the fingerprint of the order that made it."""

    command_id: str
    lines: checks.Lines
    state: ReservationState
    due_ms: int
    limit_kept: bool = False  # returned, and still counted against its user's limit

    @property
    def units(self) -> int:
        return sum(units for _, units in self.lines)


class ModelSale:
    def __init__(self, spec: SaleSpec, now_ms: int, command_id: str) -> None:
        self.spec = spec
        self.epoch = now_ms
        self.seq = 0
        self.at_ms = now_ms
        self.status = SaleStatus.OPEN  # as written; ``status_at`` adds what the time says
        self.frozen = False  # outlives the close
        self.counters = [Counters(item.stock) for item in spec.items]
        self.number_of = {item.item_id: number for number, item in enumerate(spec.items)}
        self.buyers: dict[str, list[Record]] = {}
        self.due: list[
            tuple[int, list[Ref]]
        ] = []  # per granting call; oldest first, since holds are equally long
        self.commands: dict[str, tuple[object, ...]] = {}  # of adjusts, pauses and resumes
        self.lines: list[list[Ref]] = [[] for _ in spec.items]  # who waits, per item number
        self.line_more = False  # the last serving took all it may
        self.feed: list[AnyRow] = []
        self._row(Opened, now_ms, spec=spec, command_id=command_id)

    # Reading

    def status_at(self, now_ms: int) -> SaleStatus:
        """What is closed is written so (``tick``), so whoever reads ``closed`` finds its row in the feed."""
        if self.status in SELLING and now_ms < self.spec.opens_at_ms:
            return SaleStatus.SCHEDULED
        return self.status

    def view(self, now_ms: int) -> StockView:
        ids = [item.item_id for item in self.spec.items]
        pairs = list(zip(ids, self.counters, strict=True))
        return StockView(
            sale_id=self.spec.sale_id,
            epoch=self.epoch,
            seq=self.seq,
            status=self.status_at(max(now_ms, self.at_ms)),
            available={item_id: counters.available for item_id, counters in pairs},
            opens_at_ms=self.spec.opens_at_ms,
            closes_at_ms=self.spec.closes_at_ms,
            held={item_id: counters.held for item_id, counters in pairs},
            confirmed={item_id: counters.confirmed for item_id, counters in pairs},
            initial={item.item_id: item.stock for item in self.spec.items},
            adjusted={item_id: counters.adjusted for item_id, counters in pairs},
            waitlist=self.spec.waitlist,
        )

    def record(self, ref: Ref) -> Record | None:
        records = self.buyers.get(ref.user_id, [])
        return records[ref.place] if ref.place < len(records) else None

    def reservation(self, ref: Ref) -> Reservation:
        record = self.buyers[ref.user_id][ref.place]
        return Reservation(
            reservation_id=reservation_id(self.spec.sale_id, ref.user_id, ref.place),
            sale_id=self.spec.sale_id,
            user_id=ref.user_id,
            command_id=record.command_id,
            lines=tuple(Line(self.spec.items[number].item_id, units) for number, units in record.lines),
            state=record.state,
            expires_at_ms=record.due_ms,
        )

    def find(self, user_id: str, command_id: str) -> Ref | None:
        for place, record in enumerate(self.buyers.get(user_id, [])):
            if record.command_id == command_id:
                return Ref(user_id, place)
        return None

    # Buying

    def reserve(self, now_ms: int, orders: Sequence[Order]) -> tuple[list[Verdict], list[Ref]]:
        """The verdicts, and what was found expired on the way."""
        wanted = checks.numbered_batch(orders, self.number_of)
        expired = self.sweep(now_ms)
        now_ms = max(now_ms, self.at_ms)
        before, taken = self.seq, list[tuple[bool, Granted]]()
        verdicts = [
            self._purchase(now_ms, order, lines, taken) for order, lines in zip(orders, wanted, strict=True)
        ]
        self.seq = before
        for waits, run in groupby(taken, key=lambda one: one[0]):
            self._taken(now_ms, waits, tuple(one for _, one in run))
        return verdicts, expired

    def _taken(self, now_ms: int, waits: bool, orders: tuple[Granted, ...]) -> None:
        """One row for each run of orders that were granted, or that took their places in line."""
        if waits:
            self._row(Waited, now_ms, len(orders), orders=orders)
            return
        due_ms = now_ms + self.spec.hold_ms
        self._row(Reserved, now_ms, len(orders), due_ms=due_ms, orders=orders)
        self.due.append((due_ms, [one.ref for one in orders]))

    def _purchase(
        self, now_ms: int, order: Order, lines: checks.Lines, taken: list[tuple[bool, Granted]]
    ) -> Verdict:
        known = self.find(order.user_id, order.command_id)
        if known is not None:
            if self.buyers[known.user_id][known.place].lines != lines:
                return Verdict(Outcome.CONFLICT, self.epoch, self.seq)
            return self._told(known, replayed=True)
        refused = self._refusal(now_ms, order.user_id, lines)
        waits = refused is Outcome.SOLD_OUT and self._may_wait(order.user_id, lines)
        if refused is not None and not waits:
            return Verdict(refused, self.epoch, self.seq)
        records = self.buyers.setdefault(order.user_id, [])
        ref = Ref(order.user_id, len(records))
        if waits:
            records.append(Record(order.command_id, lines, ReservationState.WAITING, 0))
            self.lines[lines[0][0]].append(ref)
        else:
            records.append(Record(order.command_id, lines, ReservationState.HELD, now_ms + self.spec.hold_ms))
            for number, units in lines:
                self.counters[number].move("available", "held", units)
        self.seq += 1
        taken.append((waits, Granted(ref, order.command_id, lines)))
        return self._told(ref)

    def _told(self, ref: Ref, *, replayed: bool = False) -> Verdict:
        reservation = self.reservation(ref)
        outcome, ahead = Outcome.RESERVED, 0
        if reservation.state is ReservationState.WAITING:
            outcome = Outcome.WAITING
            ahead = self.lines[self.buyers[ref.user_id][ref.place].lines[0][0]].index(ref)
        return Verdict(outcome, self.epoch, self.seq, reservation, ahead, replayed, Durability.MEMORY)

    def _may_wait(self, user_id: str, lines: checks.Lines) -> bool:
        """One unit a place, and nobody takes more places than he could be served in."""
        if sum(map(len, self.lines)) >= self.spec.waitlist or len(lines) != 1 or lines[0][1] != 1:
            return False
        waiting = sum(one.state is ReservationState.WAITING for one in self.buyers.get(user_id, []))
        return not self._over_limit(user_id, ((lines[0][0], 1 + waiting),))

    def _refusal(self, now_ms: int, user_id: str, lines: checks.Lines) -> Outcome | None:
        status = self.status_at(now_ms)
        if status in REFUSAL:
            return REFUSAL[status]
        full = len(self.buyers.get(user_id, [])) >= limits.RECORDS_PER_BUYER_MAX
        if full or self._over_limit(user_id, lines):
            return Outcome.LIMIT_REACHED
        return None if self._enough(lines) else Outcome.SOLD_OUT

    def _over_limit(self, user_id: str, lines: checks.Lines) -> bool:
        counted = (one for one in self.buyers.get(user_id, []) if one.state in COUNTED or one.limit_kept)
        used, asked = sum(one.units for one in counted), sum(units for _, units in lines)
        return 0 < self.spec.limit_per_user < used + asked

    def _enough(self, lines: checks.Lines) -> bool:
        """There is enough, and nobody waits for any of it."""
        return all(self.counters[item].available >= units and not self.lines[item] for item, units in lines)

    # The ends of a reservation

    def finish(
        self, now_ms: int, ref: Ref, end: End, command_id: str, *, limit_back: bool = False
    ) -> tuple[bool, list[Ref]]:
        """(did this very call end it so, what was found expired). A hold past its due expires first."""
        now_ms = max(now_ms, self.at_ms)
        record = self.record(ref)
        if record is None:
            raise UnknownReservationError(ref.user_id)
        overdue = record.state is ReservationState.HELD and record.due_ms <= now_ms
        expired: list[Ref] = []
        if end is End.CONFIRM and (overdue or record.state in TRANSITIONS[End.CONFIRM_LATE]):
            expired = self.sweep(now_ms)  # before anybody is told that nothing is left
        if record.state is ReservationState.HELD and overdue:
            self._end(record, End.EXPIRE)
            self._row(Expired, now_ms, refs=(ref,))
            expired.append(ref)
            self.serve(now_ms)
        if end is End.CONFIRM:
            end = self._payment(ref.user_id, record)
        if record.state not in TRANSITIONS[end]:
            return False, expired
        if end is End.CONFIRM and self.frozen:
            raise SaleFrozenError(self.spec.sale_id)
        if record.state is ReservationState.WAITING:
            self.lines[record.lines[0][0]].remove(ref)
        self._end(record, end)
        more: dict[str, bool] = {}
        if end is End.RETURN:
            record.limit_kept = not limit_back
            more = {"limit_back": limit_back}
        self._row(ROW[end], now_ms, ref=ref, command_id=command_id, **more)
        self.serve(now_ms)
        return True, expired

    def _payment(self, user_id: str, record: Record) -> End:
        """Which end a payment is. A late one is as good as a purchase made now, or the money goes back."""
        if record.state not in TRANSITIONS[End.CONFIRM_LATE]:
            return End.CONFIRM
        sells = self.status in SELLING
        fits = sells and self._enough(record.lines) and not self._over_limit(user_id, record.lines)
        return End.CONFIRM_LATE if fits else End.REFUND_DUE

    def sweep(self, now_ms: int) -> list[Ref]:
        """Expires what is due: whole calls, oldest first, until they held ``SWEEP_ORDERS`` orders."""
        now_ms = max(now_ms, self.at_ms)
        scanned, expired = 0, []
        while self.due and self.due[0][0] <= now_ms and scanned < limits.SWEEP_ORDERS:
            _, refs = self.due.pop(0)
            scanned += len(refs)
            for ref in refs:
                record = self.buyers[ref.user_id][ref.place]
                if record.state in TRANSITIONS[End.EXPIRE]:
                    self._end(record, End.EXPIRE)
                    expired.append(ref)
        if expired:
            self._row(Expired, now_ms, len(expired), refs=tuple(expired))
        self.serve(now_ms)
        return expired

    def serve(self, now_ms: int) -> None:
        """``serve_line``: what is free goes to the heads of the lines, with their own time to pay. At most
        ``SERVED_MAX`` heads; a later step goes on."""
        now_ms = max(now_ms, self.at_ms)
        self.line_more = False
        if not self.spec.waitlist or self.status_at(now_ms) is not SaleStatus.OPEN:
            return
        due_ms, left = now_ms + self.spec.hold_ms, limits.SERVED_MAX
        served: list[Ref] = []
        skipped: list[Ref] = []
        for item, line in enumerate(self.lines):
            while line and left and self.counters[item].available:
                left -= 1
                ref = line.pop(0)
                record = self.buyers[ref.user_id][ref.place]
                if self._over_limit(ref.user_id, record.lines):
                    self._end(record, End.SKIP)
                    skipped.append(ref)
                else:
                    self._end(record, End.SERVE)
                    record.due_ms = due_ms
                    served.append(ref)
        self.line_more = not left
        if skipped:
            self._row(Skipped, now_ms, len(skipped), refs=tuple(skipped))
        if served:
            self._row(Served, now_ms, len(served), due_ms=due_ms, refs=tuple(served))
            self.due.append((due_ms, served))

    def _end(self, record: Record, end: End) -> None:
        before, record.state = record.state, TRANSITIONS[end][record.state]
        for number, units in record.lines:
            self.counters[number].move(
                COUNTED.get(before, "available"), COUNTED.get(record.state, "available"), units
            )

    # The sale itself

    def tick(self, now_ms: int) -> None:
        """Before whatever else is done: has the clock closed the sale, that is a fact in the feed."""
        if max(now_ms, self.at_ms) >= self.spec.closes_at_ms:
            self.close(now_ms, actor="", command_id="")

    def adjust(self, now_ms: int, number: int, delta: int, actor: str, reason: str, command_id: str) -> None:
        now_ms = max(now_ms, self.at_ms)
        asked = (number, delta, actor, reason)
        if self._asked_before(command_id, asked):
            return
        counters = self.counters[number]
        if counters.available + delta < 0:
            raise BelowHeldError(f"{counters.available} available")
        self.commands[command_id] = asked
        counters.available += delta
        counters.adjusted += delta
        self._row(
            Adjusted, now_ms, item=number, delta=delta, actor=actor, reason=reason, command_id=command_id
        )
        self.serve(now_ms)

    def _asked_before(self, command_id: str, asked: tuple[object, ...]) -> bool:
        known = self.commands.get(command_id)
        if known is not None and known != asked:
            raise SaleConflictError(command_id)
        if known is None and self.status is SaleStatus.CLOSED:
            raise SaleClosedError(self.spec.sale_id)
        if known is None and len(self.commands) >= limits.ADJUSTS_MAX:
            raise TooManyAdjustsError(self.spec.sale_id)
        return known is not None

    def switch(self, now_ms: int, status: SaleStatus, actor: str, command_id: str) -> None:
        """Pause (PAUSED) or resume (OPEN). Each command counts once, so a late repetition can't undo a later
        one; it is a row also where it changes nothing."""
        if self._asked_before(command_id, (status, actor)):
            return
        if self.frozen:
            raise SaleFrozenError(self.spec.sale_id)
        self.commands[command_id] = (status, actor)
        self.status = status
        shape = Paused if status is SaleStatus.PAUSED else Resumed
        self._row(shape, max(now_ms, self.at_ms), actor=actor, command_id=command_id)
        self.serve(now_ms)

    def close(self, now_ms: int, actor: str, command_id: str) -> None:
        if self.status is not SaleStatus.CLOSED:
            self.status = SaleStatus.CLOSED
            self._row(Closed, max(now_ms, self.at_ms), actor=actor, command_id=command_id)

    def freeze(self, now_ms: int, reason: str, seen: str, actor: str = "", command_id: str = "") -> bool:
        """Nothing is reserved or confirmed from here on, also where the sale is closed. True: it was not
        frozen before. What is held may be given back, or expires."""
        if self.frozen:
            return False
        self.frozen = True
        if self.status in SELLING:
            self.status = SaleStatus.FROZEN
        now_ms = max(now_ms, self.at_ms)
        self._row(Frozen, now_ms, reason=reason, seen=seen, actor=actor, command_id=command_id)
        return True

    def held(self) -> list[Ref]:
        """Everything held, the latest call first."""
        refs = [ref for _, refs in reversed(self.due) for ref in refs]
        return [ref for ref in refs if self.buyers[ref.user_id][ref.place].state is ReservationState.HELD]

    def _row(self, shape: Callable[..., AnyRow], now_ms: int, changes: int = 1, **fields: object) -> None:
        first, self.seq, self.at_ms = self.seq + 1, self.seq + changes, now_ms
        self.feed.append(shape(epoch=self.epoch, first=first, last=self.seq, at_ms=now_ms, **fields))


class ModelLedger:
    """Implements ``port.Ledger`` on ``ModelSale``. Nothing waits, so nothing can be cut short."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.sales: dict[str, ModelSale] = {}
        self._seen: dict[str, tuple[int, int]] = {}

    async def open(self, spec: SaleSpec, *, command_id: str) -> StockView:
        checks.check_spec(spec)
        checks.check_id(command_id, "command id")
        sale = self.sales.get(spec.sale_id)
        if sale is None:
            sale = self.sales[spec.sale_id] = ModelSale(spec, self._clock.now_ms(), command_id)
        elif sale.spec != spec:
            raise SaleConflictError(spec.sale_id)
        return self._seen_now(sale)

    def learn(self, view: StockView) -> None:
        known = self._seen.get(view.sale_id, (0, 0))
        self._seen[view.sale_id] = max(known, (view.epoch, view.seq))

    async def reserve(self, sale_id: str, orders: Sequence[Order]) -> tuple[list[Verdict], StockView]:
        checks.check_batch(orders)
        sale = self._sale(sale_id)
        checks.numbered_batch(orders, sale.number_of)
        self._begin(sale)
        verdicts, _ = sale.reserve(self._clock.now_ms(), orders)
        return verdicts, self._seen_now(sale)

    async def confirm(self, reservation_id: str, *, command_id: str) -> Change:
        return self._finish(parse_reservation_id(reservation_id), End.CONFIRM, command_id)

    async def release(self, reservation_id: str, *, command_id: str, user_id: str | None = None) -> Change:
        ref = parse_reservation_id(reservation_id)
        if user_id is not None and user_id != ref.user_id:
            raise UnknownReservationError(reservation_id)
        return self._finish(ref, End.RELEASE, command_id)

    async def return_order(self, reservation_id: str, *, command_id: str, limit_back: bool) -> Change:
        return self._finish(parse_reservation_id(reservation_id), End.RETURN, command_id, limit_back)

    def _finish(self, named: ReservationRef, end: End, command_id: str, limit_back: bool = False) -> Change:
        checks.check_id(command_id, "command id")
        sale = self.sales.get(named.sale_id)
        if sale is None:
            raise UnknownReservationError(named.user_id)
        ref = Ref(named.user_id, named.place)
        self._begin(sale)
        changed, _ = sale.finish(self._clock.now_ms(), ref, end, command_id, limit_back=limit_back)
        view, reservation = self._seen_now(sale), sale.reservation(ref)
        if reservation.state not in ANSWERED[end]:
            raise WrongStateError(reservation)
        return Change(reservation, changed, view)

    async def expire(self, sale_id: str) -> Swept:
        sale = self._sale(sale_id)
        self._begin(sale)
        now_ms = self._clock.now_ms()
        expired = [sale.reservation(ref) for ref in sale.sweep(now_ms)]
        more = sale.line_more or (bool(sale.due) and sale.due[0][0] <= max(now_ms, sale.at_ms))
        return Swept(expired, self._seen_now(sale), more)

    async def adjust(
        self, sale_id: str, item_id: str, delta: int, *, actor: str, reason: str, command_id: str
    ) -> StockView:
        checks.check_adjust(delta, actor, reason, command_id)
        sale = self._sale(sale_id)
        if self._seen.get(sale_id, (0, 0))[0] > sale.epoch:
            self._begin(sale)  # items may be others in the newer epoch: the store is asked first
        if item_id not in sale.number_of:
            raise UnknownItemError(item_id)
        self._begin(sale)
        sale.adjust(self._clock.now_ms(), sale.number_of[item_id], delta, actor, reason, command_id)
        return self._seen_now(sale)

    async def pause(self, sale_id: str, *, actor: str, command_id: str) -> StockView:
        return self._switch(sale_id, SaleStatus.PAUSED, actor, command_id)

    async def resume(self, sale_id: str, *, actor: str, command_id: str) -> StockView:
        return self._switch(sale_id, SaleStatus.OPEN, actor, command_id)

    def _switch(self, sale_id: str, status: SaleStatus, actor: str, command_id: str) -> StockView:
        checks.check_id(actor, "actor")
        checks.check_id(command_id, "command id")
        sale = self._sale(sale_id)
        self._begin(sale)
        sale.switch(self._clock.now_ms(), status, actor, command_id)
        return self._seen_now(sale)

    async def freeze(self, sale_id: str, *, actor: str, command_id: str) -> Froze:
        checks.check_id(actor, "actor")
        checks.check_id(command_id, "command id")
        sale = self._sale(sale_id)
        self._begin(sale)
        changed = sale.freeze(self._clock.now_ms(), "ordered", "", actor, command_id)
        return Froze(changed, self._seen_now(sale))

    async def held(self, sale_id: str) -> list[Reservation]:
        sale = self._sale(sale_id)
        return [sale.reservation(ref) for ref in sale.held()]

    async def close(self, sale_id: str, *, actor: str, command_id: str) -> StockView:
        checks.check_id(actor, "actor")
        checks.check_id(command_id, "command id")
        sale = self._sale(sale_id)
        self._begin(sale)
        sale.close(self._clock.now_ms(), actor, command_id)
        return self._seen_now(sale)

    async def view(self, sale_id: str) -> StockView:
        sale = self._sale(sale_id)
        if self._clock.now_ms() >= sale.spec.closes_at_ms and sale.status is not SaleStatus.CLOSED:
            return (await self.expire(sale_id)).view
        return self._seen_now(sale)

    async def terms(self, sale_id: str) -> SaleSpec:
        return self._sale(sale_id).spec

    async def lookup(self, sale_id: str, user_id: str, command_id: str) -> Reservation | None:
        sale = self._sale(sale_id)
        ref = sale.find(user_id, command_id)
        return None if ref is None else sale.reservation(ref)

    async def reservation(self, reservation_id: str) -> Reservation:
        named = parse_reservation_id(reservation_id)
        ref = Ref(named.user_id, named.place)
        sale = self.sales.get(named.sale_id)
        if sale is None or sale.record(ref) is None:
            raise UnknownReservationError(reservation_id)
        return sale.reservation(ref)

    async def reservations_of(self, sale_id: str, user_id: str) -> list[Reservation]:
        sale = self._sale(sale_id)
        return [sale.reservation(Ref(user_id, place)) for place in range(len(sale.buyers.get(user_id, [])))]

    async def reservations_of_each(self, sale_id: str, user_ids: Sequence[str]) -> list[list[Reservation]]:
        return [await self.reservations_of(sale_id, user_id) for user_id in user_ids]

    def _sale(self, sale_id: str) -> ModelSale:
        if sale_id not in self.sales:
            raise UnknownSaleError(sale_id)
        return self.sales[sale_id]

    def _begin(self, sale: ModelSale) -> None:
        """Has the store less than this process has seen: freeze, then take what is there for the truth."""
        seen = self._seen.get(sale.spec.sale_id, (0, 0))
        if seen > (sale.epoch, sale.seq):
            sale.freeze(self._clock.now_ms(), "behind", f"{seen[0]}-{seen[1]}")
            self._seen[sale.spec.sale_id] = (sale.epoch, sale.seq)
        sale.tick(self._clock.now_ms())

    def _seen_now(self, sale: ModelSale) -> StockView:
        view = sale.view(self._clock.now_ms())
        self.learn(view)
        return view
