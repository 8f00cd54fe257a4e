"""A sale put together again from what is left of it: the plan of a rebuild. Pure.

Three sources are read: the feed as far as it goes, the processes' journals of what they told, the order
service's orders. They are joined order by order, an order being a (user, command):

| what | is taken from |
|---|---|
| terms of the sale | the feed; else what is given; else the journals' opening |
| an order's lines and place | the feed; else a journal; else the order service (*) |
| its state | whoever saw it furthest: waiting, held, released or expired, confirmed or refund due, returned |
| confirmed against refund due | confirmed, if the order service says so; else as above (*) |
| a hold the feed hasn't | held until its due; *lost* (expired) if that is past, or it doesn't fit |
| holds that don't all fit | the oldest first |
| a place in line the feed hasn't | *lost*: released. Those the feed has stay |
| a place told to two orders | the feed's keeps it, else the older; the other gets a place of its own (*) |
| adjusts, pauses, resumes, the close | all that the feed or a journal has, each command once |
| more confirmed than there was | *oversold*: stays confirmed, an adjust says how much was missing |

(*) Where they disagree, that is a conflict, and reported.

So a command id answers the same reservation as before, and a payment of a lost hold is a late payment. A hold
that no source knows is lost unseen: ``base`` sees to it that its id is never told to anybody again.

The steps of a plan are in an order in which every law of the feed holds after each change: units come first
(adjusts that add, holds that end), then go (what is put back, adjusts that take). ``rows`` are the plan as
the feed will have it, so that a plan can be proved before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

import msgspec

from liveserver.stock import journal, limits
from liveserver.stock.checks import Lines
from liveserver.stock.export import OrderLine
from liveserver.stock.ids import reservation_id
from liveserver.stock.port import Line, ReservationState, SaleSpec
from liveserver.stock.rebuild_report import Conflict, Found, Oversold, PutBack, RebuildReport, Source
from liveserver.stock.rebuild_sources import (
    Claim,
    Left,
    Life,
    Position,
    RebuildError,
    SaleOrder,
    journal_claims,
    journal_orders,
    life_of,
    order_claims,
)
from liveserver.stock.rows import (
    Adjusted,
    AnyRow,
    Closed,
    Corrected,
    Frozen,
    Opened,
    Paused,
    Rebuilding,
    Recovered,
    Ref,
    Reopened,
    Restored,
    Resumed,
)
from liveserver.stock.transitions import COUNTED

S = ReservationState
FURTHER: Final = {
    S.WAITING: 0,
    S.HELD: 1,
    S.RELEASED: 2,
    S.EXPIRED: 2,
    S.CONFIRMED: 3,
    S.REFUND_DUE: 3,
    S.RETURNED: 4,
}
ROW_ORDERS: Final = limits.SWEEP_ORDERS
ACTOR: Final = "rebuild"


class Put(msgspec.Struct, frozen=True):
    """One ``recover`` or ``correct`` row."""

    kind: str
    due_ms: int  # of those held; 0: none is
    limit_back: bool
    orders: tuple[Restored, ...]


Step = Put | SaleOrder


class Plan(msgspec.Struct, frozen=True):
    spec: SaleSpec
    since: int
    base: int
    afresh: bool
    last: str  # entry id of the feed it was made for
    epoch_min: int  # above every epoch anybody was told of
    paused: bool
    steps: list[Step]
    report: RebuildReport


class _Joined(msgspec.Struct):
    """One order, as all sources together have it."""

    ref: Ref
    command_id: str
    lines: Lines
    state: ReservationState
    due_ms: int
    limit_kept: bool
    at: Position
    sources: tuple[Source, ...]
    before: ReservationState | None = None  # in the feed
    why: str = ""  # it is lost

    @property
    def units(self) -> int:
        return sum(units for _, units in self.lines)


def plan(
    left: Left,
    facts: Sequence[journal.Fact],
    orders: Sequence[OrderLine],
    *,
    now_ms: int,
    afresh: bool = False,
    spec: SaleSpec | None = None,
    gaps: Sequence[str] = (),
) -> Plan:
    """``left`` is not changed. ``now_ms``: the store's time. ``afresh``: the feed will begin anew, whatever
    is left of it goes into the plan. ``gaps`` of the journals are only reported. Raises ``RebuildError``."""
    afresh = afresh or left.fold.spec is None
    life = life_of(left, facts, spec)
    return _Plan(left, life, afresh, now_ms).made(facts, orders, gaps)


class _Plan:
    def __init__(self, left: Left, life: Life, afresh: bool, now_ms: int) -> None:
        self._left = left
        self._life = life
        self._spec = life.spec
        self._afresh = afresh
        self._now_ms = now_ms
        self._conflicts: list[Conflict] = []

    def made(self, facts: Sequence[journal.Fact], orders: Sequence[OrderLine], gaps: Sequence[str]) -> Plan:
        left, life = self._left, self._life
        noted = sorted(journal_claims(life, facts, self._conflicts), key=lambda claim: claim.at)
        claims = [*left.claims(), *noted]
        claims += order_claims(life, orders, self._conflicts)
        joined = self._places(self._join(claims))
        ordered = self._ordered(journal_orders(life, facts, self._conflicts))
        stock = [item.stock for item in self._spec.items]
        for order in ordered + ([] if self._afresh else left.orders):
            stock[order.item] += order.delta
        self._keep_what_fits(joined, stock)
        oversold, missing = self._oversold(joined, stock)
        for order in missing:
            stock[order.item] += order.delta
        report = self._report(joined, ordered, oversold, facts, orders, gaps, stock)
        seen = [*(fact.epoch for fact in facts), *(order.epoch for order in orders), left.fold.epoch]
        return Plan(
            spec=self._spec,
            since=life.since,
            base=self._base(joined, report),
            afresh=self._afresh,
            last=left.last,
            epoch_min=max(seen) + 1,
            paused=self._paused(ordered),
            steps=list(self._steps(joined, ordered, missing)),
            report=report,
        )

    # Joining what the sources say

    def _join(self, claims: Iterable[Claim]) -> list[_Joined]:
        by_order: dict[tuple[str, str], list[Claim]] = {}
        for claim in claims:  # the feed's first, then the journals'
            by_order.setdefault((claim.ref.user_id, claim.command_id), []).append(claim)
        return [self._joined(told) for told in by_order.values()]

    def _joined(self, told: list[Claim]) -> _Joined:
        first = told[0]
        agree = [claim for claim in told if claim.lines == first.lines]
        for claim in told:
            if claim.lines != first.lines:
                self._conflict(
                    claim.ref, f"{claim.source} has other lines than {first.source}'s, which count"
                )
            elif claim.ref != first.ref:
                self._conflict(claim.ref, f"is {self._named(first.ref)} by {first.source}, which counts")
        furthest = max(FURTHER[claim.state] for claim in agree)
        best = [claim for claim in agree if FURTHER[claim.state] == furthest]
        state = best[0].state
        paid = [claim for claim in best if claim.source is Source.ORDERS and claim.state is S.CONFIRMED]
        if {claim.state for claim in best} == {S.CONFIRMED, S.REFUND_DUE}:
            state = S.CONFIRMED if paid else state
            self._conflict(first.ref, f"confirmed by one source, refund_due by another: {state} counts")
        known = first.source is Source.FEED
        holds = [claim for claim in agree if claim.state is S.HELD]
        due_ms = holds[-1].due_ms if state is S.HELD and first.state is not S.HELD else first.due_ms
        if not known and state is not S.HELD:
            due_ms = max(claim.due_ms for claim in agree)
        return _Joined(
            ref=first.ref,
            command_id=first.command_id,
            lines=first.lines,
            state=state,
            due_ms=due_ms,
            limit_kept=state is S.RETURNED and any(claim.limit_kept for claim in best),
            at=first.at if known else min(claim.at for claim in agree),
            sources=tuple(dict.fromkeys(claim.source for claim in agree)),
            before=first.state if known else None,
        )

    def _places(self, joined: list[_Joined]) -> list[_Joined]:
        """Every order a place of its own."""
        taken = {one.ref for one in joined if one.before is not None}
        homeless = []
        for one in sorted((one for one in joined if one.before is None), key=lambda one: one.at):
            homeless.append(one) if one.ref in taken else taken.add(one.ref)
        for one in homeless:
            place = 1 + max(ref.place for ref in taken if ref.user_id == one.ref.user_id)
            moved = Ref(one.ref.user_id, place)
            self._conflict(one.ref, f"was told to two orders: {one.command_id} is {self._named(moved)} now")
            one.ref = moved
            taken.add(moved)
        return joined

    def _ordered(self, noted: Iterable[SaleOrder]) -> list[SaleOrder]:
        """What must be put back, in its order: each command once, and a close only where there is none."""
        known = {order.command_id: order for order in self._left.orders}
        lost: dict[str, SaleOrder] = {}
        for order in sorted(noted, key=lambda order: order.at):
            before = known.get(order.command_id) or lost.get(order.command_id)
            if before is None:
                lost[order.command_id] = order
            elif _asked(before) != _asked(order):
                self._conflicts.append(Conflict(order.command_id, "was another order before, which counts"))
        every = [*self._left.orders, *lost.values()] if self._afresh else list(lost.values())
        closes = [order for order in every if order.kind == "close"]
        if closes and (self._afresh or not self._left.fold.closed):
            return [order for order in every if order.kind != "close"] + closes[:1]
        closed = self._left.fold.closed and not self._afresh
        return [order for order in every if order.kind == "adjust" or (order.kind != "close" and not closed)]

    # What there is room for

    def _keep_what_fits(self, joined: list[_Joined], stock: list[int]) -> None:
        """Holds, the oldest first, get what the paid ones left; nobody gets more than his limit."""
        left = list(stock)
        used: dict[str, int] = {}
        for one in joined:
            if one.state is S.CONFIRMED:
                for item, units in one.lines:
                    left[item] -= units
            if one.state is S.CONFIRMED or one.limit_kept:
                used[one.ref.user_id] = used.get(one.ref.user_id, 0) + one.units
        limit = self._spec.limit_per_user
        for user_id, units in used.items():
            if 0 < limit < units:
                self._conflicts.append(
                    Conflict(user_id, f"paid for {units} units, {limit} are allowed: they stay his")
                )
        for one in sorted(joined, key=lambda one: one.at):
            if one.state is S.WAITING and Source.FEED not in one.sources:
                one.state, one.why = S.RELEASED, "its place in line is gone"
            if one.state is not S.HELD:
                continue
            mine = used.get(one.ref.user_id, 0) + one.units
            if one.before is not S.HELD and one.due_ms <= self._now_ms:
                one.state, one.why = S.EXPIRED, "its time has run out"
            elif any(left[item] < units for item, units in one.lines):
                one.state, one.why = S.EXPIRED, "there are no units for it"
            elif 0 < limit < mine:
                one.state, one.why = S.EXPIRED, "its user has reached the limit"
            else:
                used[one.ref.user_id] = mine
                for item, units in one.lines:
                    left[item] -= units

    def _oversold(self, joined: list[_Joined], stock: list[int]) -> tuple[list[Oversold], list[SaleOrder]]:
        """What is paid for beyond the stock, and the adjusts that say how much was missing."""
        found, missing = [], []
        for item, units in enumerate(stock):
            item_id = self._spec.items[item].item_id
            paid = [one for one in joined if one.state is S.CONFIRMED and _wants(one, item)]
            short = sum(_wants(one, item) for one in paid) - units
            if short <= 0:
                continue
            command = f"{ACTOR}-{self._now_ms}-oversold-{item}"
            missing.append(SaleOrder("adjust", ACTOR, command, item, short, "oversold"))
            if units < 0:
                text = f"{-units} more were taken out by adjusts than there were"
                self._conflicts.append(Conflict(item_id, text))
            over, named, covered = short + min(units, 0), [], 0
            for one in sorted(paid, key=lambda one: one.at, reverse=True):
                if covered < over:
                    named.append(self._named(one.ref))
                    covered += _wants(one, item)
            if over:
                found.append(Oversold(item_id, over, tuple(named)))
        return found, missing

    # The steps

    def _steps(
        self, joined: list[_Joined], ordered: list[SaleOrder], missing: list[SaleOrder]
    ) -> Iterator[Step]:
        adjusts = [order for order in ordered if order.kind == "adjust"]
        yield from (order for order in adjusts if order.delta > 0)
        yield from missing
        fresh = [one for one in joined if self._afresh or one.before is None]
        known = [one for one in joined if not self._afresh and one.before not in (None, one.state)]
        for takes in (-1, 0, 1):
            yield from _puts("correct", [one for one in known if _takes(one) == takes])
        yield from _puts("recover", fresh)
        yield from (order for order in adjusts if order.delta < 0)
        yield from (order for order in ordered if order.kind != "adjust")

    def _paused(self, ordered: list[SaleOrder]) -> bool:
        switches = [order.kind for order in ordered if order.kind in ("pause", "resume")]
        return switches[-1] == "pause" if switches else self._left.fold.paused and not self._afresh

    def _base(self, joined: list[_Joined], report: RebuildReport) -> int:
        """Above every place that may have been told to somebody."""
        base = self._left.fold.base
        ordered_only = not self._afresh and all(reason == "ordered" for reason in report.frozen)
        if ordered_only and not (report.recovered or report.corrected or report.gaps):
            return base
        highest = max([base, *(one.ref.place for one in joined)])
        base = (highest // limits.RECORDS_PER_BUYER_MAX + 1) * limits.RECORDS_PER_BUYER_MAX
        if base + limits.RECORDS_PER_BUYER_MAX > limits.PLACES_MAX:
            raise RebuildError("the sale was rebuilt too often: close it, and open another")
        return base

    # The report

    def _report(
        self,
        joined: list[_Joined],
        ordered: list[SaleOrder],
        oversold: list[Oversold],
        facts: Sequence[journal.Fact],
        orders: Sequence[OrderLine],
        gaps: Sequence[str],
        stock: list[int],
    ) -> RebuildReport:
        left = self._left
        ids = [item.item_id for item in self._spec.items]
        counted = {name: dict.fromkeys(ids, 0) for name in COUNTED.values()}
        for one in joined:
            if one.state in COUNTED:
                for item, units in one.lines:
                    counted[COUNTED[one.state]][ids[item]] += units
        held, confirmed = counted["held"], counted["confirmed"]
        by_place = sorted(joined, key=lambda one: (one.at, one.ref))
        before = {order.command_id for order in left.orders}
        return RebuildReport(
            sale_id=self._spec.sale_id,
            epoch=left.fold.epoch,
            seq=left.fold.seq,
            afresh=self._afresh,
            frozen=tuple(left.frozen),
            facts=len(facts),
            orders=len(orders),
            recovered=[self._found(one) for one in by_place if one.before is None and not one.why],
            corrected=[
                self._found(one) for one in by_place if one.before not in (None, one.state) and not one.why
            ],
            lost=[self._found(one) for one in by_place if one.why],
            oversold=oversold,
            conflicts=list(dict.fromkeys(self._conflicts)),
            put_back=[
                PutBack(
                    order.kind,
                    order.actor,
                    order.command_id,
                    ids[order.item] if order.kind == "adjust" else "",
                    order.delta,
                )
                for order in ordered
                if order.command_id not in before
            ],
            gaps=list(gaps),
            available={
                item: units - held[item] - confirmed[item] for item, units in zip(ids, stock, strict=True)
            },
            held=held,
            confirmed=confirmed,
        )

    def _found(self, one: _Joined) -> Found:
        return Found(
            reservation_id=self._named(one.ref),
            user_id=one.ref.user_id,
            command_id=one.command_id,
            lines=tuple(Line(self._spec.items[item].item_id, units) for item, units in one.lines),
            before=one.before,
            state=one.state,
            sources=one.sources,
            why=one.why,
        )

    def _named(self, ref: Ref) -> str:
        return reservation_id(self._spec.sale_id, ref.user_id, ref.place)

    def _conflict(self, ref: Ref, text: str) -> None:
        self._conflicts.append(Conflict(self._named(ref), text))


def _wants(one: _Joined, item: int) -> int:
    return sum(units for number, units in one.lines if number == item)


def _asked(order: SaleOrder) -> tuple[object, ...]:
    return order.kind, order.actor, order.item, order.delta, order.reason


def _takes(one: _Joined) -> int:
    """-1: its units come free, 1: they are taken, 0: neither."""
    assert one.before is not None
    return (one.state in COUNTED) - (one.before in COUNTED)


def _puts(kind: str, joined: Iterable[_Joined]) -> Iterator[Put]:
    """Rows of what can stand together: holds of one due, returned ones of one kind. Who waits comes last and
    in the order of his place in line."""
    for (_, due_ms, kept), group in groupby(
        sorted(joined, key=_together), key=lambda one: _together(one)[:3]
    ):
        orders = [Restored(one.ref, one.command_id, one.lines, one.state, one.due_ms) for one in group]
        for start in range(0, len(orders), ROW_ORDERS):
            yield Put(kind, due_ms, not kept, tuple(orders[start : start + ROW_ORDERS]))


def _together(one: _Joined) -> tuple[bool, int, bool, Position, Ref]:
    due_ms = one.due_ms if one.state is S.HELD else 0
    return one.state is S.WAITING, due_ms, one.limit_kept, one.at, one.ref


def rows(plan: Plan, left: Left, *, at_ms: int) -> Iterator[AnyRow]:
    """The plan as the feed will have it, from the row after ``left``'s last (or, afresh, the first) on;
    epochs and times are the least they can be. A sale that isn't frozen yet is frozen first."""
    epoch, seq = (0, 0) if plan.afresh else (left.fold.epoch, left.fold.seq)
    at_ms = max(at_ms, left.fold.at_ms)

    def row(shape: type[Any], changes: int = 1, **fields: object) -> AnyRow:
        nonlocal seq
        first, seq = seq + 1, seq + changes
        made: AnyRow = shape(epoch=epoch, first=first, last=seq, at_ms=at_ms, **fields)
        return made

    if plan.afresh:
        epoch = plan.epoch_min
        yield row(Opened, spec=plan.spec, command_id=ACTOR)
    if plan.afresh or not left.fold.frozen:
        yield row(Frozen, reason="lost", seen="", actor="", command_id="")
    epoch = max(epoch + 1, plan.epoch_min)
    yield row(Rebuilding, since=plan.since or epoch, base=plan.base, actor=ACTOR, command_id=ACTOR)
    for step in plan.steps:
        match step:
            case Put():
                shape = Recovered if step.kind == "recover" else Corrected
                yield row(
                    shape,
                    len(step.orders),
                    due_ms=step.due_ms,
                    limit_back=step.limit_back,
                    orders=step.orders,
                )
            case SaleOrder(kind="adjust"):
                yield row(
                    Adjusted,
                    actor=step.actor,
                    command_id=step.command_id,
                    item=step.item,
                    delta=step.delta,
                    reason=step.reason,
                )
            case SaleOrder():
                kind = {"pause": Paused, "resume": Resumed, "close": Closed}[step.kind]
                yield row(kind, actor=step.actor, command_id=step.command_id)
    yield row(Reopened, actor=ACTOR, command_id=ACTOR)
