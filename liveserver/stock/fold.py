"""Folding a feed: from its rows alone to counters and reservations, every law of ``FEED.md`` held on the way.

Pure; knows neither Valkey nor pages. Rows go in one by one, oldest first. The first that breaks a law raises
``BrokenLawError``, which names the row and the law; the fold is of no use after that.

What becomes of a reservation is read from ``transitions.py``, so a further edge of that table is folded
without a change here. A further kind of row needs a ``case`` in ``Fold.take``; until it has one it is
reported as ``unknown_kind``, never skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

import msgspec

from liveserver.stock.checks import Lines
from liveserver.stock.port import ReservationState, SaleSpec
from liveserver.stock.rows import (
    Adjusted,
    AnyRow,
    Closed,
    Confirmed,
    ConfirmedLate,
    Corrected,
    Expired,
    Frozen,
    Granted,
    Opened,
    Paused,
    Rebuilding,
    Recovered,
    Ref,
    RefundDue,
    Released,
    Reopened,
    Reserved,
    Restored,
    Resumed,
    Returned,
    Row,
    Served,
    Skipped,
    Waited,
)
from liveserver.stock.transitions import COUNTED, LETTER, TRANSITIONS, End

AVAILABLE = "available"
LINE_SPAN = 2**40  # the scores of item i in the line index begin at i times this: SPAN of lua/parts/keys.lua


class Law(StrEnum):
    """What can be broken. The last eight are of the keys beside the feed: ``audit.py`` holds those."""

    FORMAT = "format"  # an entry is a row as FEED.md describes it
    UNKNOWN_KIND = "unknown_kind"  # a kind this version can't fold
    OPENING = "opening"  # the first row opens the sale, no other does
    GAPLESS = "gapless"  # rows join; a row covers as many seqs as it has changes; the epoch never falls
    TIME = "time"  # never goes back
    WINDOW = "window"  # nothing is granted outside it, nor after a close or a freeze, nor in a pause
    PLACE = "place"  # a buyer's reservations are counted from 0; what ends has begun
    COMMAND_ONCE = "command_once"  # a (user, command) is granted once
    LIMIT = "limit"  # a user's units held + confirmed
    NEGATIVE = "negative"  # no counter is
    CONSERVATION = "conservation"  # stock + adjusts = available + held + confirmed
    TRANSITION = "transition"  # only the table's edges
    DUE = "due"  # due = at + hold; expired not before it, confirmed or released before it
    ITEM = "item"  # lines name items of the sale, rising, each with units
    REBUILD = "rebuild"  # what is put back stands in a rebuild of a frozen sale, and nothing else does
    LINE = "line"  # nobody is overtaken, and nobody waits while there is something for him

    MISSING = "missing"  # the counters, or the whole feed, are gone
    POSITION = "position"  # the counters' (epoch, seq) is the last row's
    STATUS = "status"  # closed and frozen are what the rows say
    TERMS = "terms"  # limit, hold, window and items are the opening row's
    COUNTERS = "counters"
    BUYER = "buyer"  # a buyer's units and records
    DUE_INDEX = "due_index"  # every hold has its entry, every entry its row
    LINE_INDEX = "line_index"  # every place in line has its entry, every entry its place


IN_A_REBUILD = Rebuilding | Recovered | Corrected | Reopened | Adjusted | Paused | Resumed | Closed


class BrokenLawError(Exception):
    def __init__(self, where: str, law: Law, text: str) -> None:
        super().__init__(f"{where}: {law}: {text}")
        self.where = where  # an entry id
        self.law = law
        self.text = text


class Record(msgspec.Struct):
    """One reservation. An empty command: a place that was told to somebody, and of which nothing is known."""

    command_id: str
    lines: Lines
    state: ReservationState
    due_ms: int
    limit_kept: bool = False  # returned, and still counted


class Buyer(msgspec.Struct):
    units: int = 0  # held + confirmed, and what came back without its limit
    records: list[Record] = []  # by place


class Call(msgspec.Struct, frozen=True):
    """One ``reserve`` or ``serve`` row, as the due index knows it."""

    due_ms: int
    refs: tuple[Ref, ...]


class Fold(msgspec.Struct):
    """What the rows so far say."""

    spec: SaleSpec | None = None
    epoch: int = 0
    seq: int = 0
    at_ms: int = 0
    rows: int = 0
    closed: bool = False
    frozen: bool = False
    paused: bool = False
    rebuilding: bool = False
    since: int = 0  # the epoch in which it was first opened
    base: int = 0  # places below it are given out no more
    initial: list[int] = []
    adjusted: list[int] = []
    available: list[int] = []
    held: list[int] = []
    confirmed: list[int] = []
    buyers: dict[str, Buyer] = {}
    line: list[dict[Ref, int]] = []  # by item: who waits, the head first, with the seq of his wait
    calls: dict[tuple[int, int], Call] = {}  # by the (epoch, last) of the row

    @property
    def stopped(self) -> bool:
        return self.closed or self.frozen

    @property
    def state(self) -> dict[Ref, ReservationState]:
        return {ref: record.state for ref, record in self.reservations()}

    def reservations(self) -> Iterator[tuple[Ref, Record]]:
        for user_id, buyer in self.buyers.items():
            for place, record in enumerate(buyer.records):
                if record.command_id:
                    yield Ref(user_id, place), record

    def record(self, ref: Ref) -> Record:
        return self.buyers[ref.user_id].records[ref.place]

    def take(self, row: AnyRow) -> None:
        self._join(row)
        match row:
            case Opened():
                self._open(row)
            case Reserved():
                self._reserve(row)
            case Waited():
                self._wait(row)
            case Served():
                self._serve(row)
            case Skipped():
                self._skip(row)
            case Confirmed():
                self._changes(row, 1)
                _hold(not self.frozen, row, Law.WINDOW, "confirmed after the freeze")
                self._end(row, row.ref, End.CONFIRM)
            case ConfirmedLate():
                self._changes(row, 1)
                _hold(not self.stopped, row, Law.WINDOW, "paid late after the sale was stopped")
                self._hold_nobody_waits(row, self._known(row, row.ref).lines)
                self._end(row, row.ref, End.CONFIRM_LATE)
            case RefundDue():
                self._changes(row, 1)
                self._end(row, row.ref, End.REFUND_DUE)
            case Returned():
                self._changes(row, 1)
                self._end(row, row.ref, End.RETURN, limit_back=row.limit_back)
            case Released():
                self._changes(row, 1)
                self._end(row, row.ref, End.RELEASE)
            case Expired():
                self._changes(row, len(row.refs))
                for ref in row.refs:
                    self._end(row, ref, End.EXPIRE)
            case Adjusted():
                self._adjust(row)
            case Paused() | Resumed():
                self._changes(row, 1)
                stopped = self.stopped and not (self.rebuilding and not self.closed)
                _hold(not stopped, row, Law.WINDOW, "paused or resumed after the sale was stopped")
                self.paused = isinstance(row, Paused)
            case Closed():
                self._changes(row, 1)
                self.closed = True
            case Frozen():
                self._changes(row, 1)
                self.frozen = True
            case Rebuilding():
                self._changes(row, 1)
                _hold(self.frozen, row, Law.REBUILD, "the sale is not frozen")
                _hold(row.base >= self.base, row, Law.PLACE, f"the base falls from {self.base}")
                self.rebuilding, self.since, self.base = True, row.since, row.base
            case Recovered() | Corrected():
                self._put_back(row)
            case Reopened():
                self._changes(row, 1)
                self.rebuilding = self.frozen = False
            case _:
                raise BrokenLawError(where(row), Law.UNKNOWN_KIND, f"{type(row).__name__} can't be folded")
        self.epoch, self.seq, self.at_ms = row.epoch, row.last, row.at_ms
        self.rows += 1

    def _join(self, row: Row) -> None:
        _hold(row.first == self.seq + 1, row, Law.GAPLESS, f"begins with {row.first} after {self.seq}")
        _hold(row.last >= row.first, row, Law.GAPLESS, f"ends before it begins, with {row.first}")
        inside = self.rebuilding if isinstance(row, Recovered | Corrected | Reopened) else True
        _hold(inside, row, Law.REBUILD, "outside a rebuild")
        outside = not self.rebuilding or isinstance(row, IN_A_REBUILD)
        _hold(outside, row, Law.REBUILD, f"{type(row).__name__} in the middle of a rebuild")
        _hold(row.at_ms >= self.at_ms, row, Law.TIME, f"at {row.at_ms}, before {self.at_ms}")
        _hold(
            (self.spec is None) == isinstance(row, Opened), row, Law.OPENING, "a feed is opened once, first"
        )
        rises = isinstance(row, Opened | Rebuilding)
        joins = row.epoch > self.epoch if rises else row.epoch == self.epoch
        _hold(joins, row, Law.GAPLESS, f"epoch {row.epoch} after {self.epoch}")

    def _changes(self, row: Row, changes: int) -> None:
        covered = row.last - row.first + 1
        _hold(covered == changes, row, Law.GAPLESS, f"covers {covered} seqs with {changes} changes")

    def _open(self, row: Opened) -> None:
        self._changes(row, 1)
        self.spec, self.since = row.spec, row.epoch
        self.initial = [item.stock for item in row.spec.items]
        self.line = [{} for _ in self.initial]
        self.available = list(self.initial)
        self.held, self.confirmed, self.adjusted = ([0] * len(self.initial) for _ in range(3))
        self._check(row, range(len(self.initial)))

    def _reserve(self, row: Reserved) -> None:
        spec = self._selling(row, len(row.orders))
        _hold(row.due_ms == row.at_ms + spec.hold_ms, row, Law.DUE, f"due at {row.due_ms}")
        for order in row.orders:
            self._begin(row, order, ReservationState.HELD, row.due_ms)
            self._hold_nobody_waits(row, order.lines)
            self._move(row, order.ref.user_id, order.lines, AVAILABLE, COUNTED[ReservationState.HELD])
        self.calls[row.epoch, row.last] = Call(row.due_ms, tuple(order.ref for order in row.orders))

    def _selling(self, row: Row, changes: int) -> SaleSpec:
        """What stands only while the sale sells."""
        spec = self.spec
        assert spec is not None  # _join holds it
        self._changes(row, changes)
        _hold(not self.stopped and not self.paused, row, Law.WINDOW, "granted in a pause, or after the stop")
        _hold(
            spec.opens_at_ms <= row.at_ms < spec.closes_at_ms,
            row,
            Law.WINDOW,
            f"granted at {row.at_ms}, outside {spec.opens_at_ms} to {spec.closes_at_ms}",
        )
        return spec

    def _begin(self, row: Row, order: Granted, state: ReservationState, due_ms: int) -> None:
        user_id, command_id = order.ref.user_id, order.command_id
        buyer = self.buyers.setdefault(user_id, Buyer())
        free = max(len(buyer.records), self.base)
        _hold(order.ref.place == free, row, Law.PLACE, f"{user_id} {order.ref.place} is not place {free}")
        buyer.records += (_nobodys() for _ in range(free - len(buyer.records)))
        once = all(record.command_id != command_id for record in buyer.records)
        _hold(once, row, Law.COMMAND_ONCE, f"{user_id} was granted {command_id} before")
        self._hold_lines(row, order.lines)
        buyer.records.append(Record(command_id, order.lines, state, due_ms))

    def _hold_nobody_waits(self, row: Row, lines: Lines) -> None:
        free = not any(self.line[item] for item, _ in lines)
        _hold(free, row, Law.LINE, f"{lines} is taken, and somebody waits for it")

    def _wait(self, row: Waited) -> None:
        spec = self._selling(row, len(row.orders))
        for seq, order in enumerate(row.orders, start=row.first):
            self._begin(row, order, ReservationState.WAITING, 0)
            (item, units), more = order.lines[0], len(order.lines) > 1
            _hold(units == 1 and not more, row, Law.LINE, f"a place for {order.lines}: one unit a place")
            gone = not self.available[item] or bool(self.line[item])
            _hold(gone, row, Law.LINE, f"{order.ref.user_id} waits, and there is some of item {item}")
            self.line[item][order.ref] = seq
        waiting = sum(map(len, self.line))
        _hold(waiting <= spec.waitlist, row, Law.LINE, f"{waiting} wait in {spec.waitlist} places")

    def _serve(self, row: Served) -> None:
        spec = self._selling(row, len(row.refs))
        _hold(row.due_ms == row.at_ms + spec.hold_ms, row, Law.DUE, f"due at {row.due_ms}")
        for ref in row.refs:
            record = self._known(row, ref)
            head = next(iter(self.line[record.lines[0][0]]), None)
            _hold(head == ref, row, Law.LINE, f"{ref.user_id} {ref.place} is served before {head}")
            self._end(row, ref, End.SERVE)
            record.due_ms = row.due_ms
        self.calls[row.epoch, row.last] = Call(row.due_ms, row.refs)

    def _skip(self, row: Skipped) -> None:
        spec = self._selling(row, len(row.refs))
        for ref in row.refs:
            self._known(row, ref)
            buyer = self.buyers[ref.user_id]
            most = buyer.units + sum(one.state is ReservationState.WAITING for one in buyer.records)
            over = 0 < spec.limit_per_user < most
            _hold(over, row, Law.LINE, f"{ref.user_id} is skipped, with at most {most} units")
            self._end(row, ref, End.SKIP)

    def _hold_lines(self, row: Row, lines: Lines) -> None:
        numbers = [item for item, _ in lines]
        rising = numbers == sorted(set(numbers)) and all(0 <= item < len(self.initial) for item in numbers)
        _hold(rising and all(units > 0 for _, units in lines), row, Law.ITEM, f"lines {lines}")

    def _end(self, row: Row, ref: Ref, end: End, *, limit_back: bool = True) -> None:
        record = self._known(row, ref)
        before, after = record.state, TRANSITIONS[end].get(record.state)
        if after is None:
            raise BrokenLawError(
                where(row), Law.TRANSITION, f"{ref.user_id} {ref.place}: {end} of a {before} one"
            )
        if before is ReservationState.HELD:
            in_time = (row.at_ms >= record.due_ms) == (end is End.EXPIRE)
            _hold(in_time, row, Law.DUE, f"{ref.user_id} {ref.place}: {end}, due {record.due_ms}")
        record.state, record.limit_kept = after, not limit_back
        if before is ReservationState.WAITING:
            del self.line[record.lines[0][0]][ref]
        source, target = COUNTED.get(before, AVAILABLE), COUNTED.get(after, AVAILABLE)
        self._move(row, ref.user_id, record.lines, source, target, limit_back=limit_back)

    def _known(self, row: Row, ref: Ref) -> Record:
        buyer = self.buyers.get(ref.user_id)
        known = buyer is not None and 0 <= ref.place < len(buyer.records)
        known = known and bool(self.record(ref).command_id)
        _hold(known, row, Law.PLACE, f"{ref.user_id} {ref.place} was never granted")
        return self.record(ref)

    def _move(
        self, row: Row, user_id: str, lines: Lines, source: str, target: str, *, limit_back: bool = True
    ) -> None:
        assert self.spec is not None
        counters = {AVAILABLE: self.available, "held": self.held, "confirmed": self.confirmed}
        buyer = self.buyers[user_id]
        for item, units in lines:
            counters[source][item] -= units
            counters[target][item] += units
            buyer.units += units * ((source == AVAILABLE) - (target == AVAILABLE and limit_back))
        limit = self.spec.limit_per_user
        if (
            limit and source == AVAILABLE and not self.rebuilding
        ):  # what was confirmed stays so, whatever it is
            _hold(buyer.units <= limit, row, Law.LIMIT, f"{user_id} has {buyer.units} of {limit} units")
        self._check(row, [item for item, _ in lines])

    def _put_back(self, row: Recovered | Corrected) -> None:
        self._changes(row, len(row.orders))
        for seq, order in enumerate(row.orders, start=row.first):
            self._hold_lines(row, order.lines)
            source = AVAILABLE
            if isinstance(row, Recovered):
                record = self._fill(row, order)
            else:
                record = self._known(row, order.ref)
                same = (record.command_id, record.lines) == (order.command_id, order.lines)
                _hold(same, row, Law.REBUILD, f"{order.ref.user_id} {order.ref.place} is another order")
                source = COUNTED.get(record.state, AVAILABLE)
                self.line[order.lines[0][0]].pop(order.ref, None)
            record.state, record.due_ms = order.state, order.due_ms
            record.limit_kept = order.state is ReservationState.RETURNED and not row.limit_back
            if order.state is ReservationState.WAITING:
                self.line[order.lines[0][0]][order.ref] = seq
            target, back = COUNTED.get(order.state, AVAILABLE), not record.limit_kept
            self._move(row, order.ref.user_id, order.lines, source, target, limit_back=back)
        held = tuple(order for order in row.orders if order.state is ReservationState.HELD)
        together = all(order.due_ms == row.due_ms for order in held) and bool(held) == bool(row.due_ms)
        _hold(together, row, Law.DUE, "holds of one row are due together")
        if held:
            self.calls[row.epoch, row.last] = Call(row.due_ms, tuple(order.ref for order in held))

    def _fill(self, row: Recovered, order: Restored) -> Record:
        """A new record, at a place that is free or of which nothing was known."""
        buyer, place = self.buyers.setdefault(order.ref.user_id, Buyer()), order.ref.place
        once = all(record.command_id != order.command_id for record in buyer.records)
        _hold(once, row, Law.COMMAND_ONCE, f"{order.ref.user_id} was granted {order.command_id} before")
        buyer.records += (_nobodys() for _ in range(place + 1 - len(buyer.records)))
        _hold(not buyer.records[place].command_id, row, Law.PLACE, f"{order.ref.user_id} {place} is taken")
        buyer.records[place] = Record(order.command_id, order.lines, order.state, order.due_ms)
        return buyer.records[place]

    def _adjust(self, row: Adjusted) -> None:
        self._changes(row, 1)
        _hold(0 <= row.item < len(self.initial) and row.delta != 0, row, Law.ITEM, f"item {row.item}")
        self.available[row.item] += row.delta
        self.adjusted[row.item] += row.delta
        self._check(row, [row.item])

    def _check(self, row: Row, items: Iterable[int]) -> None:
        for item in items:
            parts = self.available[item], self.held[item], self.confirmed[item]
            _hold(min(parts) >= 0, row, Law.NEGATIVE, f"item {item}: available, held, confirmed {parts}")
            whole = self.initial[item] + self.adjusted[item]
            _hold(sum(parts) == whole, row, Law.CONSERVATION, f"item {item}: {parts} of {whole}")


def _nobodys() -> Record:
    return Record("", (), ReservationState.RELEASED, 0)


def fold(rows: Iterable[AnyRow]) -> Fold:
    """Raises ``BrokenLawError`` at the first row that breaks a law."""
    so_far = Fold()
    for row in rows:
        so_far.take(row)
    return so_far


def where(row: Row) -> str:
    """The row's entry id."""
    return f"{row.epoch}-{row.last}"


def packed_buyer(buyer: Buyer) -> str:
    """The value the ``buyers`` hash must have for him."""
    parts = [str(buyer.units)]
    for record in buyer.records:
        if not record.command_id:
            parts.append("")
            continue
        lines = ",".join(f"{item}={units}" for item, units in record.lines)
        parts.append(f"{record.command_id} {lines} {LETTER[record.state]}{record.due_ms}")
    return ";".join(parts) + ";"


def due_member(epoch: int, last: int) -> str:
    """The member of the ``due`` set for a ``reserve`` or ``serve`` row."""
    return f"{epoch}-{last:012d}"


def _hold(holds: bool, row: Row, law: Law, text: str) -> None:
    if not holds:
        raise BrokenLawError(where(row), law, text)
