"""The plan of a rebuild: whatever was lost of a feed, and of the journals, what is put together keeps every
law and every promise that anybody still knows of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine, Sequence
from copy import deepcopy
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from liveserver.stock.export import OrderLine
from liveserver.stock.fold import Fold
from liveserver.stock.ids import parse_reservation_id, reservation_id
from liveserver.stock.journal import Fact, Opened, Ordered, Told
from liveserver.stock.journal_ledger import JournalLedger
from liveserver.stock.model import ModelLedger
from liveserver.stock.port import LedgerError, Line, Outcome, ReservationState, SaleItem, SaleSpec
from liveserver.stock.rebuild import FURTHER, Plan, plan, rows
from liveserver.stock.rebuild_report import Source
from liveserver.stock.rebuild_sources import Left, RebuildError
from liveserver.stock.rows import AnyRow, Frozen, Ref
from tests.stock.conftest import order

T = TypeVar("T")
S = ReservationState
HOLD_MS = 1_000
STEPS = 40
KINDS = (
    ["buy"] * 8 + ["pay"] * 5 + ["release", "return", "expire", "adjust", "wait", "wait", "pause", "go on"]
)
RARE = ["close", "freeze", "hand over"]

small = st.integers(0, 11)
step = st.tuples(st.sampled_from(KINDS * 4 + RARE), small, small, small)
programs = st.tuples(
    st.lists(st.integers(0, 6), min_size=1, max_size=2),  # stock
    st.sampled_from([0, 0, 2, 4]),  # limit
    st.sampled_from([0, 3]),  # places in line
    st.lists(step, min_size=STEPS, max_size=STEPS),
)


class Clock:
    ms = 1_767_000_000_000

    def now_ms(self) -> int:
        return self.ms

    async def sleep_ms(self, delay_ms: float) -> None:
        raise AssertionError("nothing waits here")


def done(work: Coroutine[Any, Any, T]) -> T:
    """The model never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    raise AssertionError("it waited")


class Noted:
    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def append(self, facts: Sequence[Fact]) -> None:
        self.facts += facts


class Shop:
    """A sale of the model behind a journal. ``handed_over``: the order service's orders of some moment."""

    def __init__(self, stock: Sequence[int], limit: int, waitlist: int) -> None:
        self.clock = Clock()
        items = tuple(SaleItem(f"i{number}", units) for number, units in enumerate(stock))
        now_ms = self.clock.ms
        self.spec = SaleSpec("s1", items, limit, now_ms, now_ms + 10**6, HOLD_MS, waitlist)
        self.model = ModelLedger(self.clock)
        self.journal = Noted()
        self.ledger = JournalLedger(self.model, self.journal, self.clock)
        self.handed_over: list[OrderLine] = []
        done(self.ledger.open(self.spec, command_id="open-1"))

    @property
    def noted(self) -> list[Fact]:
        return self.journal.facts

    @property
    def feed(self) -> list[AnyRow]:
        return self.model.sales["s1"].feed

    def run(self, steps: Sequence[tuple[str, int, int, int]], commands: str = "c") -> None:
        for number, (kind, a, b, c) in enumerate(steps):
            self.clock.ms += 1 + a * 20
            try:
                self._step(kind, a, b, c, f"{commands}{number}")
            except LedgerError:
                pass

    def _step(self, kind: str, a: int, b: int, c: int, command: str) -> None:
        items = len(self.spec.items)
        bought = [(user, k) for user, all_ in self.model.sales["s1"].buyers.items() for k in range(len(all_))]
        user, place = bought[-1 - b % min(5, len(bought))] if bought else ("u0", 0)
        named = reservation_id("s1", user, place)
        match kind:
            case "buy":
                asked = [
                    order(f"u{(a + k) % 4}", f"{command}-{k}", (c % items, 1 + b % 2))
                    for k in range(1 + b % 3)
                ]
                done(self.ledger.reserve("s1", asked))
            case "pay":
                done(self.ledger.confirm(named, command_id=command))
            case "release":
                done(self.ledger.release(named, command_id=command))
            case "return":
                done(self.ledger.return_order(named, command_id=command, limit_back=c % 2 == 0))
            case "expire":
                done(self.ledger.expire("s1"))
            case "adjust":
                asked_for = (b - 3) or 1
                done(
                    self.ledger.adjust(
                        "s1", f"i{c % items}", asked_for, actor="eve", reason="r", command_id=command
                    )
                )
            case "wait":
                self.clock.ms += HOLD_MS // 2
            case "pause":
                done(self.ledger.pause("s1", actor="eve", command_id=command))
            case "go on":
                done(self.ledger.resume("s1", actor="eve", command_id=command))
            case "close":
                done(self.ledger.close("s1", actor="eve", command_id=command))
            case "freeze":
                done(self.ledger.freeze("s1", actor="eve", command_id=command))
            case "hand over":
                self.handed_over = self.orders()

    def orders(self) -> list[OrderLine]:
        sale = self.model.sales["s1"]
        made = []
        for user_id, records in sale.buyers.items():
            for place in range(len(records)):
                one = sale.reservation(Ref(user_id, place))
                made.append(
                    OrderLine(
                        "s1",
                        one.reservation_id,
                        user_id,
                        one.command_id,
                        one.state,
                        one.lines,
                        0,
                        one.expires_at_ms,
                        sale.epoch,
                        0,
                    )
                )
        return made


def left_of(feed: Sequence[AnyRow]) -> Left:
    left = Left()
    for row in feed:
        left.take(row)
        left.last = f"{row.epoch}-{row.last}"
    return left


def frozen(left: Left, reason: str = "restarted") -> Left:
    """As the next call would find it."""
    if left.fold.spec is not None and not left.fold.frozen:
        fold_ = left.fold
        left.take(
            Frozen(
                epoch=fold_.epoch,
                first=fold_.seq + 1,
                last=fold_.seq + 1,
                at_ms=fold_.at_ms,
                reason=reason,
                seen="",
                actor="",
                command_id="",
            )
        )
    return left


def rebuilt(made: Plan, left: Left, now_ms: int) -> Fold:
    """Every law is held on the way, or this raises."""
    end = Fold() if made.afresh else deepcopy(left.fold)
    for row in rows(made, left, at_ms=now_ms):
        end.take(row)
    assert not end.frozen and not end.rebuilding
    return end


def found(end: Fold) -> dict[tuple[str, str], tuple[Ref, ReservationState]]:
    return {(ref.user_id, record.command_id): (ref, record.state) for ref, record in end.reservations()}


SEEN: Counter[str] = Counter()


@settings(
    max_examples=400,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(programs, st.integers(0, 10**6), st.lists(st.integers(0, 2), min_size=0, max_size=2), st.booleans())
def test_whatever_is_lost_the_laws_and_the_promises_hold(
    program: tuple[list[int], int, int, list[tuple[str, int, int, int]]],
    cut: int,
    lost_journals: list[int],
    afresh: bool,
) -> None:
    """One history; the feed keeps a prefix of it (maybe nothing), some of three journals are gone."""
    stock, limit, waitlist, steps = program
    shop = Shop(stock, limit, waitlist)
    shop.run(steps)
    kept = shop.feed[: cut % (len(shop.feed) + 1)]
    facts = [fact for number, fact in enumerate(shop.noted) if number == 0 or number % 3 not in lost_journals]
    left = frozen(left_of(kept))
    before = {(ref.user_id, record.command_id): record.state for ref, record in left.fold.reservations()}
    made = plan(left, facts, shop.handed_over, now_ms=shop.clock.ms, afresh=afresh)
    end = rebuilt(made, left, shop.clock.ms)
    there, report = found(end), made.report

    for conflict in report.conflicts:  # an adjust that added units, or a return, may be forgotten
        known = "taken out by adjusts" in conflict.text or "are allowed" in conflict.text
        assert lost_journals and known, conflict
    assert {key: state for key, (_, state) in there.items()}.keys() >= before.keys()
    asked = {(user, one.command_id) for user, all_ in shop.model.sales["s1"].buyers.items() for one in all_}
    assert there.keys() <= asked, "something nobody bought"
    said_expired = {key for key, state in before.items() if state is S.EXPIRED}
    said_expired |= {(one.user_id, one.command_id) for one in shop.handed_over if one.state is S.EXPIRED}
    for fact in facts:
        if isinstance(fact, Told) and fact.state is S.EXPIRED:
            said_expired.add((parse_reservation_id(fact.reservation_id).user_id, fact.command_id))
    unkept = {one.reservation_id for one in report.lost}
    for fact in facts:
        if isinstance(fact, Told):
            named = parse_reservation_id(fact.reservation_id)
            ref, state = there[named.user_id, fact.command_id]
            assert (ref.user_id, ref.place) == (named.user_id, named.place), "a repeated command, another id"
            assert FURTHER[state] >= FURTHER[fact.state]
            assert end.record(ref).lines == tuple((int(i[1:]), q) for i, q in fact.lines)
            if state is S.EXPIRED and (named.user_id, fact.command_id) not in said_expired:
                assert fact.reservation_id in unkept, "a hold ended, and nobody says why"
    for one in shop.handed_over:
        if one.state is S.CONFIRMED:
            assert there[one.user_id, one.command_id][1] in (S.CONFIRMED, S.RETURNED)
    ids = [item.item_id for item in shop.spec.items]
    assert dict(zip(ids, end.available, strict=True)) == report.available
    assert dict(zip(ids, end.held, strict=True)) == report.held
    assert dict(zip(ids, end.confirmed, strict=True)) == report.confirmed
    if not lost_journals:  # everything that was told is known, so all is as it was, but for what time ended
        assert report.oversold == [], "a return that nobody remembers looks like it, but here all are known"
        truth = shop.model.sales["s1"]
        for user, records in truth.buyers.items():
            for place, record in enumerate(records):
                state = there[user, record.command_id][1]
                gone = reservation_id("s1", user, place) in unkept
                assert state is record.state or gone or record.state in (S.EXPIRED, S.RELEASED, S.HELD)
        assert end.confirmed == [counters.confirmed for counters in truth.counters]
        assert end.adjusted == [counters.adjusted for counters in truth.counters]
        assert end.closed == (truth.status == "closed") or not any(
            isinstance(fact, Ordered) and fact.kind == "close" for fact in facts
        )
    assert (
        rebuilt(made, left, shop.clock.ms).seq == end.seq
    )  # `plan` and `rows` changed nothing they were given
    for name in ("recovered", "corrected", "lost", "put_back"):
        SEEN[name] += bool(getattr(report, name))
    SEEN["afresh"] += report.afresh
    SEEN["nothing lost"] += report.whole and not report.recovered


def test_the_programs_have_met_every_case() -> None:
    """Runs after the one above, in the same file; alone it has nothing to judge."""
    if not SEEN:
        pytest.skip("the programs did not run")
    assert all(
        SEEN[name] >= 5 for name in ("recovered", "corrected", "lost", "put_back", "afresh", "nothing lost")
    ), SEEN


@settings(
    max_examples=200,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(programs, programs, st.integers(0, 10**6))
def test_two_histories_behind_one_prefix_are_reconciled(
    program: tuple[list[int], int, int, list[tuple[str, int, int, int]]],
    other: tuple[list[int], int, int, list[tuple[str, int, int, int]]],
    share: int,
) -> None:
    """A replica that lagged was promoted, and sold on unnoticed: both primaries told buyers things. What is
    paid for stays paid for, be there enough or not."""
    stock, limit, waitlist, steps = program
    shop = Shop(stock, limit, waitlist)
    shop.run(steps[: share % (len(steps) + 1)])
    promoted = deepcopy(shop)
    shop.run(steps[share % (len(steps) + 1) :], commands="d")
    promoted.run(other[3], commands="e")
    facts = [*shop.noted, *promoted.noted]
    left = frozen(left_of(promoted.feed))
    paid = [*shop.orders(), *promoted.orders()]
    made = plan(left, facts, paid, now_ms=max(shop.clock.ms, promoted.clock.ms))
    end = rebuilt(made, left, shop.clock.ms)
    there = found(end)
    for one in paid:
        if one.state is S.CONFIRMED:
            assert there[one.user_id, one.command_id][1] in (S.CONFIRMED, S.RETURNED)
    for user in {user for user, _ in there}:
        commands = [record.command_id for record in end.buyers[user].records if record.command_id]
        assert len(commands) == len(set(commands))
    for over in made.report.oversold:
        number = int(over.item_id[1:])
        assert over.units > 0 and end.available[number] == 0 and over.orders
        assert end.adjusted[number] >= over.units - sum(
            abs(row_delta) for row_delta in _deltas(shop, promoted)
        )


def _deltas(*shops: Shop) -> list[int]:
    return [fact.delta for shop in shops for fact in shop.noted if isinstance(fact, Ordered) and fact.delta]


# One by one


def bought(shop: Shop, user: str, command: str = "c1", units: int = 1) -> None:
    verdicts, _ = done(shop.ledger.reserve("s1", [order(user, command, (0, units))]))
    assert verdicts[0].outcome is Outcome.RESERVED


def test_with_nothing_lost_it_changes_nothing() -> None:
    shop = Shop([5], 0, 0)
    bought(shop, "ann")
    done(shop.ledger.freeze("s1", actor="eve", command_id="f"))
    left = left_of(shop.feed)
    made = plan(left, shop.noted, shop.orders(), now_ms=shop.clock.ms)
    assert made.steps == [] and made.report.whole and made.base == 0 and not made.afresh
    end = rebuilt(made, left, shop.clock.ms)
    assert (end.available, end.held) == ([4], [1]) and end.epoch > left.fold.epoch


def test_a_hold_that_ran_out_meanwhile_is_lost_and_one_that_did_not_is_kept() -> None:
    shop = Shop([5], 0, 0)
    feed = list(shop.feed)
    bought(shop, "ann")
    shop.clock.ms += HOLD_MS // 2
    bought(shop, "bob")
    shop.clock.ms += HOLD_MS // 2
    made = plan(frozen(left_of(feed)), shop.noted, [], now_ms=shop.clock.ms)
    assert [(one.reservation_id, one.state, one.sources) for one in made.report.recovered] == [
        ("s1~bob~0", S.HELD, (Source.JOURNAL,))
    ]
    assert [(one.reservation_id, one.state, one.why) for one in made.report.lost] == [
        ("s1~ann~0", S.EXPIRED, "its time has run out")
    ]


def test_what_no_longer_fits_is_lost_the_newest_first() -> None:
    shop = Shop([3], 0, 0)
    feed = list(shop.feed)
    for user in ("ann", "bob", "cat"):
        bought(shop, user)
    done(shop.ledger.confirm("s1~cat~0", command_id="p"))
    adjust = Ordered(shop.noted[-1].epoch, 9, 0, "s1", "adjust", "a1", "eve", "i0", -1, "broken")
    made = plan(frozen(left_of(feed)), [*shop.noted, adjust], [], now_ms=shop.clock.ms)
    assert [(one.reservation_id, one.why) for one in made.report.lost] == [
        ("s1~bob~0", "there are no units for it")
    ]
    assert (made.report.held, made.report.confirmed, made.report.available) == (
        {"i0": 1},
        {"i0": 1},
        {"i0": 0},
    )
    assert made.report.oversold == []
    rebuilt(made, frozen(left_of(feed)), shop.clock.ms)


def test_nobody_gets_more_than_his_limit_but_of_what_he_paid_for() -> None:
    shop = Shop([9], 1, 0)
    promoted = deepcopy(shop)
    for one, commands in ((shop, "d"), (promoted, "e")):
        bought(one, "ann", f"{commands}1")
        bought(one, "bob", f"{commands}1")
        done(one.ledger.confirm("s1~bob~0", command_id="p"))
    left = frozen(left_of(promoted.feed))
    made = plan(left, [*shop.noted, *promoted.noted], [], now_ms=shop.clock.ms)
    assert [(one.reservation_id, one.command_id, one.why) for one in made.report.lost] == [
        ("s1~ann~1", "d1", "its user has reached the limit")
    ]
    assert (made.report.held, made.report.confirmed) == ({"i0": 1}, {"i0": 2})
    assert any(one.where == "bob" and "2 units, 1 are allowed" in one.text for one in made.report.conflicts)
    assert rebuilt(made, left, shop.clock.ms).buyers["bob"].units == 2


@pytest.mark.parametrize(("reason", "base"), [("ordered", 0), ("restarted", 64), ("behind", 64)])
def test_places_are_given_out_anew_only_if_nothing_can_be_lost(reason: str, base: int) -> None:
    shop = Shop([5], 0, 0)
    bought(shop, "ann")
    left = frozen(left_of(shop.feed), reason)
    made = plan(left, shop.noted, [], now_ms=shop.clock.ms)
    assert (made.steps, made.base) == ([], base)
    gap = plan(left, shop.noted, [], now_ms=shop.clock.ms, gaps=["a file: a line"])
    assert gap.base == 64 and not gap.report.whole


def test_oversold_is_judged_on_what_is_paid_for() -> None:
    shop = Shop([2], 0, 0)
    feed = list(shop.feed)
    bought(shop, "ann")
    paid = [
        OrderLine("s1", f"s1~{user}~0", user, "c1", S.CONFIRMED, (Line("i0", 1),), 0, 0, 0, number)
        for number, user in enumerate(("bob", "cat", "dan"))
    ]
    left = frozen(left_of(feed))
    made = plan(left, shop.noted, paid, now_ms=shop.clock.ms)
    assert [(one.item_id, one.units, one.orders) for one in made.report.oversold] == [
        ("i0", 1, ("s1~dan~0",))
    ]
    assert [(one.reservation_id, one.why) for one in made.report.lost] == [
        ("s1~ann~0", "there are no units for it")
    ]
    end = rebuilt(made, left, shop.clock.ms)
    assert (end.available, end.held, end.confirmed, end.adjusted) == ([0], [0], [3], [1])


def test_units_taken_out_twice_are_a_conflict_not_oversold() -> None:
    shop = Shop([3], 0, 0)
    promoted = deepcopy(shop)
    for one, command in ((shop, "a1"), (promoted, "a2")):
        done(one.ledger.adjust("s1", "i0", -2, actor="eve", reason="", command_id=command))
    bought(promoted, "ann")
    done(promoted.ledger.confirm("s1~ann~0", command_id="p"))
    left = frozen(left_of(promoted.feed))
    made = plan(left, [*shop.noted, *promoted.noted], [], now_ms=shop.clock.ms)
    assert [(one.where, one.text) for one in made.report.conflicts] == [
        ("i0", "1 more were taken out by adjusts than there were")
    ]
    assert [(one.units, one.orders) for one in made.report.oversold] == [(1, ("s1~ann~0",))]
    end = rebuilt(made, left, shop.clock.ms)
    assert (end.available, end.confirmed, end.adjusted) == ([0], [1], [-2])


def test_the_order_service_decides_whether_it_was_paid() -> None:
    shop = Shop([1], 0, 0)
    bought(shop, "ann")
    shop.clock.ms += HOLD_MS
    done(shop.ledger.expire("s1"))
    bought(shop, "bob")
    done(shop.ledger.confirm("s1~ann~0", command_id="p"))  # late, and gone: the money goes back
    left = frozen(left_of(shop.feed))
    assert left.fold.state[Ref("ann", 0)] is S.REFUND_DUE
    (ann, bob) = sorted(shop.orders(), key=lambda one: one.user_id)
    told = msgspec.structs.replace(ann, state=S.CONFIRMED)
    made = plan(left, shop.noted, [told, bob], now_ms=shop.clock.ms)
    assert [(one.reservation_id, one.before, one.state) for one in made.report.corrected] == [
        ("s1~ann~0", S.REFUND_DUE, S.CONFIRMED)
    ]
    assert [one.where for one in made.report.conflicts] == ["s1~ann~0"]
    assert [one.reservation_id for one in made.report.lost] == ["s1~bob~0"]
    assert made.report.oversold == []
    rebuilt(made, left, shop.clock.ms)


def test_a_place_told_to_two_orders_stays_with_the_feeds() -> None:
    shop = Shop([5], 0, 0)
    promoted = deepcopy(shop)
    bought(shop, "ann", "c1")
    bought(promoted, "ann", "c2")
    left = frozen(left_of(promoted.feed))
    made = plan(left, [*shop.noted, *promoted.noted], [], now_ms=shop.clock.ms)
    end = rebuilt(made, left, shop.clock.ms)
    assert [record.command_id for record in end.buyers["ann"].records] == ["c2", "c1"]
    assert [(one.where, "s1~ann~1" in one.text) for one in made.report.conflicts] == [("s1~ann~0", True)]


def test_a_place_nobody_knows_of_stays_empty_and_is_never_told_again() -> None:
    shop = Shop([5], 0, 0)
    feed = list(shop.feed)
    bought(shop, "ann", "c1")
    bought(shop, "ann", "c2")
    known = [fact for fact in shop.noted if not (isinstance(fact, Told) and fact.command_id == "c1")]
    left = frozen(left_of(feed))
    made = plan(left, known, [], now_ms=shop.clock.ms)
    end = rebuilt(made, left, shop.clock.ms)
    assert [record.command_id for record in end.buyers["ann"].records] == ["", "c2"]
    assert made.base == end.base == 64


def test_who_stood_in_line_stays_if_the_feed_knows_him() -> None:
    shop = Shop([1], 0, 5)
    for user in ("ann", "bob"):
        done(shop.ledger.reserve("s1", [order(user, "c1")]))
    feed = list(shop.feed)
    done(shop.ledger.reserve("s1", [order("cat", "c1")]))
    for afresh in (False, True):
        left = frozen(left_of(feed))
        made = plan(left, shop.noted, [], now_ms=shop.clock.ms, afresh=afresh)
        assert [(one.reservation_id, one.state, one.why) for one in made.report.lost] == [
            ("s1~cat~0", S.RELEASED, "its place in line is gone")
        ]
        assert list(rebuilt(made, left, shop.clock.ms).line[0]) == [Ref("bob", 0)]


def test_an_earlier_life_of_the_sale_says_nothing_of_this_one() -> None:
    old, new = Shop([5], 0, 0), Shop([5], 0, 0)
    bought(old, "ann")
    bought(old, "cat")
    done(old.ledger.confirm("s1~cat~0", command_id="p"))
    new.clock.ms = old.clock.ms + 10**7
    new.spec = msgspec.structs.replace(new.spec, closes_at_ms=new.clock.ms + 10**6)
    new.model = ModelLedger(new.clock)
    new.journal = Noted()
    new.ledger = JournalLedger(new.model, new.journal, new.clock)
    done(new.ledger.open(new.spec, command_id="open-2"))
    bought(new, "bob")
    both = [*old.noted, *new.noted]
    for left in (frozen(left_of(new.feed[:1])), Left()):
        made = plan(left, both, old.orders(), now_ms=new.clock.ms)
        assert made.spec == new.spec
        assert [one.reservation_id for one in made.report.recovered] == ["s1~bob~0"]
        assert made.report.lost == [] and made.report.confirmed == {"i0": 0}
    with pytest.raises(RebuildError, match="older sale"):
        plan(frozen(left_of(old.feed)), both, [], now_ms=new.clock.ms)


def test_a_sale_of_which_nothing_is_left_needs_its_terms() -> None:
    shop = Shop([5], 0, 0)
    bought(shop, "ann")
    told = [fact for fact in shop.noted if not isinstance(fact, Opened)]
    with pytest.raises(RebuildError, match="--spec"):
        plan(Left(), told, [], now_ms=shop.clock.ms)
    made = plan(Left(), told, [], now_ms=shop.clock.ms, spec=shop.spec)
    assert rebuilt(made, Left(), shop.clock.ms).held == [1]


def test_it_can_be_rebuilt_again_also_from_the_middle() -> None:
    shop = Shop([5], 2, 0)
    feed = list(shop.feed)
    for user in ("ann", "bob"):
        bought(shop, user)
    done(shop.ledger.adjust("s1", "i0", -1, actor="eve", reason="", command_id="a1"))
    left = frozen(left_of(feed))
    made = plan(left, shop.noted, [], now_ms=shop.clock.ms)
    every = list(rows(made, left, at_ms=shop.clock.ms))
    for stop in range(1, len(every) + 1):
        again = frozen(left_of(feed))
        for row in every[:stop]:
            again.take(row)
        once_more = plan(again, shop.noted, [], now_ms=shop.clock.ms)
        if stop == len(every):
            assert once_more.steps == []
            continue
        end = rebuilt(once_more, again, shop.clock.ms)
        assert (end.available, end.held, end.adjusted) == ([2], [2], [-1])


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ((Line("gold", 1),), "gold"),
        ((), "no item"),
    ],
)
def test_an_order_of_what_was_never_sold_is_a_conflict(line: tuple[Line, ...], text: str) -> None:
    shop = Shop([5], 0, 0)
    left = frozen(left_of(shop.feed))
    paid = OrderLine("s1", "s1~bob~0", "bob", "c1", S.CONFIRMED, line, 0, 0, 0, 0)
    stranger = msgspec.structs.replace(paid, user_id="ann", lines=(Line("i0", 1),))
    unnamed = msgspec.structs.replace(paid, reservation_id="bob's", lines=(Line("i0", 1),))
    made = plan(left, [], [paid, stranger, unnamed], now_ms=shop.clock.ms)
    assert [text in one.text for one in made.report.conflicts] == [True, False, False]
    assert made.report.recovered == [] and not made.report.whole
