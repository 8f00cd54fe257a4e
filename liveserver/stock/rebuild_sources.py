"""What each source says of a sale, brought to one form: a claim for each reservation, an order for each
command given to the sale. Pure; who is believed is ``rebuild.py``'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from liveserver.stock import journal
from liveserver.stock.checks import Lines
from liveserver.stock.export import OrderLine
from liveserver.stock.fold import BrokenLawError, Fold
from liveserver.stock.ids import is_id, parse_reservation_id
from liveserver.stock.port import Line, ReservationState, SaleSpec, UnknownReservationError
from liveserver.stock.rebuild_report import Conflict, Source
from liveserver.stock.rows import (
    Adjusted,
    AnyRow,
    Closed,
    Frozen,
    Paused,
    Recovered,
    Ref,
    Reopened,
    Reserved,
    Resumed,
    Waited,
)

Position = tuple[int, int]  # (epoch, seq)
ORDERS_TO_A_SALE: Final = ("adjust", "pause", "resume", "close")


class RebuildError(Exception):
    """It can't be rebuilt, and why."""


class Claim(msgspec.Struct, frozen=True):
    """How one source knows one reservation."""

    source: Source
    ref: Ref
    command_id: str
    lines: Lines
    state: ReservationState
    due_ms: int
    limit_kept: bool
    at: Position  # of its grant, as well as the source knows


class SaleOrder(msgspec.Struct, frozen=True):
    """What somebody ordered of the sale itself."""

    kind: str  # of ORDERS_TO_A_SALE
    actor: str
    command_id: str
    item: int = 0
    delta: int = 0
    reason: str = ""
    at: Position = (0, 0)


class Life(msgspec.Struct, frozen=True):
    """One sale, from its opening on. A sale id may be opened anew when a sale is over and put away; what was
    told in an earlier life says nothing of this one."""

    spec: SaleSpec
    since: int  # the epoch of its opening


class Left:
    """What the feed still has, read row by row until its end or the first row that breaks a law."""

    def __init__(self) -> None:
        self.fold = Fold()
        self.last = ""  # entry id
        self.granted: dict[Ref, Position] = {}
        self.orders: list[SaleOrder] = []
        self.frozen: list[str] = []  # why, since it last ran
        self.broken: BrokenLawError | None = None

    def take(self, row: AnyRow) -> None:
        """Raises ``BrokenLawError``; the row before it is then the end."""
        self.fold.take(row)
        at = (row.epoch, row.last)
        match row:
            case Reserved() | Waited() | Recovered():
                for nth, ref in enumerate([order.ref for order in row.orders]):
                    self.granted[ref] = (row.epoch, row.first + nth)
            case Adjusted():
                self.orders.append(
                    SaleOrder("adjust", row.actor, row.command_id, row.item, row.delta, row.reason, at)
                )
            case Paused():
                self.orders.append(SaleOrder("pause", row.actor, row.command_id, at=at))
            case Resumed():
                self.orders.append(SaleOrder("resume", row.actor, row.command_id, at=at))
            case Closed() if row.actor:
                self.orders.append(SaleOrder("close", row.actor, row.command_id, at=at))
            case Frozen():
                self.frozen.append(row.reason)
            case Reopened():
                self.frozen.clear()

    def claims(self) -> Iterable[Claim]:
        for ref, record in self.fold.reservations():
            yield Claim(
                Source.FEED,
                ref,
                record.command_id,
                record.lines,
                record.state,
                record.due_ms,
                record.limit_kept,
                self.granted[ref],
            )


def life_of(left: Left, facts: Sequence[journal.Fact], given: SaleSpec | None) -> Life:
    """From the feed, else from what was given, else from the journals' openings. Raises ``RebuildError``."""
    opened = sorted((fact for fact in facts if isinstance(fact, journal.Opened)), key=lambda one: one.epoch)
    if left.fold.spec is not None:
        spec = left.fold.spec
        anew = [one for one in opened if one.epoch > left.fold.epoch and one.spec != spec]
        if anew:
            raise RebuildError(
                f"the store has an older sale of this id: the journals opened another in epoch "
                f"{anew[-1].epoch}. Put the store's keys aside, then rebuild"
            )
        return Life(spec, left.fold.since)
    if given is None and not opened:
        raise RebuildError(
            "nothing says what was sold: neither feed nor journal has the sale's opening. "
            "Give an export of its feed with --spec"
        )
    spec = given if given is not None else opened[-1].spec
    since = 0
    for one in reversed(opened):  # opened again with the same terms is the same sale
        if one.spec != spec:
            break
        since = one.epoch
    return Life(spec, since)


def journal_claims(life: Life, facts: Iterable[journal.Fact], conflicts: list[Conflict]) -> Iterable[Claim]:
    for fact in facts:
        if not isinstance(fact, journal.Told) or fact.epoch < life.since:
            continue
        lines = _numbered(life, fact.reservation_id, journal.lines_of(fact), conflicts)
        if lines is not None:
            named = parse_reservation_id(fact.reservation_id)
            yield Claim(
                Source.JOURNAL,
                Ref(named.user_id, named.place),
                fact.command_id,
                lines,
                fact.state,
                fact.due_ms,
                fact.limit_kept,
                (fact.epoch, fact.seq),
            )


def journal_orders(
    life: Life, facts: Iterable[journal.Fact], conflicts: list[Conflict]
) -> Iterable[SaleOrder]:
    number_of = {item.item_id: number for number, item in enumerate(life.spec.items)}
    for fact in facts:
        known = isinstance(fact, journal.Ordered) and fact.kind in ORDERS_TO_A_SALE
        if not isinstance(fact, journal.Ordered) or not known or fact.epoch < life.since:
            continue
        if fact.kind == "adjust" and fact.item_id not in number_of:
            conflicts.append(Conflict(fact.command_id, f"adjusts {fact.item_id}, which the sale hasn't"))
            continue
        yield SaleOrder(
            fact.kind,
            fact.actor,
            fact.command_id,
            number_of.get(fact.item_id, 0),
            fact.delta,
            fact.reason,
            (fact.epoch, fact.seq),
        )


def order_claims(life: Life, orders: Iterable[OrderLine], conflicts: list[Conflict]) -> Iterable[Claim]:
    """Of orders of another sale, or of an earlier life of this one, nothing."""
    for order in orders:
        if order.sale_id != life.spec.sale_id or 0 < order.epoch < life.since:
            continue
        try:
            named = parse_reservation_id(order.reservation_id)
        except UnknownReservationError:
            conflicts.append(Conflict(order.reservation_id, "is no reservation id; it is passed over"))
            continue
        if (named.sale_id, named.user_id) != (order.sale_id, order.user_id) or not is_id(order.command_id):
            conflicts.append(
                Conflict(order.reservation_id, "its sale, user or command is another's; it is passed over")
            )
            continue
        lines = _numbered(life, order.reservation_id, order.lines, conflicts)
        if lines is not None:
            yield Claim(
                Source.ORDERS,
                Ref(named.user_id, named.place),
                order.command_id,
                lines,
                order.state,
                order.expires_at_ms,
                False,
                (order.epoch, order.seq),
            )


def _numbered(
    life: Life, reservation_id: str, lines: Sequence[Line], conflicts: list[Conflict]
) -> Lines | None:
    number_of = {item.item_id: number for number, item in enumerate(life.spec.items)}
    wanted: dict[int, int] = {}
    for line in lines:
        number = number_of.get(line.item_id)
        if number is None or line.quantity < 1:
            text = f"names {line.quantity} of {line.item_id}, which the sale hasn't; it is passed over"
            conflicts.append(Conflict(reservation_id, text))
            return None
        wanted[number] = wanted.get(number, 0) + line.quantity
    if not wanted:
        conflicts.append(Conflict(reservation_id, "names no item; it is passed over"))
        return None
    return tuple(sorted(wanted.items()))
