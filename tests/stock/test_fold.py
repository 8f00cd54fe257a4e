"""The fold: each law on the smallest feed that breaks it, and that the row at fault is the one named."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from liveserver.stock.fold import BrokenLawError, Law, fold, packed_buyer
from liveserver.stock.packed import SaleFacts, parse_value
from liveserver.stock.port import ReservationState, SaleItem, SaleSpec
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
    Row,
    Served,
    Skipped,
    Waited,
)

EPOCH = 1_000
HOLD_MS = 100
SPEC = SaleSpec("s1", (SaleItem("red", 3), SaleItem("blue", 1)), 2, EPOCH + 10, EPOCH + 500, HOLD_MS)
ANN, BOB = Ref("ann", 0), Ref("bob", 0)
OPENED = Opened(epoch=EPOCH, first=1, last=1, at_ms=EPOCH, spec=SPEC, command_id="o1")


def reserved(first: int, at: int, *orders: Granted, **other: Any) -> Reserved:
    last, at_ms = first + len(orders) - 1, EPOCH + at
    row = Reserved(epoch=EPOCH, first=first, last=last, at_ms=at_ms, due_ms=at_ms + HOLD_MS, orders=orders)
    return msgspec.structs.replace(row, **other)


def one(shape: type[Any], first: int, at: int, **other: Any) -> Any:
    return shape(**{"epoch": EPOCH, "first": first, "last": first, "at_ms": EPOCH + at, **other})


def confirmed(first: int, at: int, ref: Ref) -> Confirmed:
    row: Confirmed = one(Confirmed, first, at, ref=ref, command_id="p")
    return row


def adjusted(first: int, delta: int, item: int = 0) -> Adjusted:
    row: Adjusted = one(
        Adjusted, first, 20, item=item, delta=delta, actor="eve", reason="", command_id=f"a{first}"
    )
    return row


BOUGHT = reserved(2, 20, Granted(ANN, "c1", ((0, 2),)), Granted(BOB, "c1", ((0, 1), (1, 1))))
FEED: list[AnyRow] = [
    OPENED,
    BOUGHT,
    confirmed(4, 30, ANN),
    one(Expired, 5, 120, refs=(BOB,)),
    one(Adjusted, 6, 130, item=0, delta=-1, actor="eve", reason="r", command_id="a1"),
    one(Closed, 7, 500, actor="", command_id=""),
]


def test_a_feed_folds_to_its_counters_and_reservations() -> None:
    end = fold(FEED)
    assert (end.available, end.held, end.confirmed, end.adjusted) == ([0, 1], [0, 0], [2, 0], [-1, 0])
    assert end.state == {ANN: ReservationState.CONFIRMED, BOB: ReservationState.EXPIRED}
    assert (end.seq, end.rows, end.closed) == (7, 6, True)
    assert packed_buyer(end.buyers["ann"]) == "2;c1 0=2 c1120;"
    assert packed_buyer(end.buyers["bob"]) == "0;c1 0=1,1=1 x1120;"


def test_a_buyers_value_is_what_the_product_reads_again() -> None:
    facts = SaleFacts("s1", EPOCH, SPEC.items, {"red": 0, "blue": 1}, 2, HOLD_MS, 0, 1)
    value = packed_buyer(fold(FEED).buyers["bob"])
    (read,) = parse_value(facts, "bob", value.encode())
    assert (read.command_id, read.state, read.expires_at_ms) == ("c1", ReservationState.EXPIRED, EPOCH + 120)


ann = Granted(ANN, "c1", ((0, 1),))
again = Granted(Ref("ann", 1), "c2", ((0, 1),))
two_more = Granted(Ref("ann", 1), "c2", ((0, 2),))
CLOSED = one(Closed, 2, 5, actor="eve", command_id="x")
FREEZE = one(Frozen, 4, 25, reason="ordered", seen="", actor="eve", command_id="f")
PAUSE = one(Paused, 2, 5, actor="eve", command_id="x")
RETURN_BOB = one(Returned, 5, 40, ref=BOB, command_id="r", limit_back=True)
CLOSE = one(Closed, 6, 130, actor="eve", command_id="x")
FROZEN = one(Frozen, 2, 5, reason="behind", seen="", actor="", command_id="")


@pytest.mark.parametrize(
    ("feed", "law", "where"),
    [
        ([BOUGHT], Law.GAPLESS, "1000-3"),
        ([msgspec.structs.replace(BOUGHT, first=1)], Law.OPENING, "1000-3"),
        ([OPENED, one(Opened, 2, 5, spec=SPEC, command_id="o2")], Law.OPENING, "1000-2"),
        ([OPENED, *FEED[2:]], Law.GAPLESS, "1000-4"),
        ([OPENED, msgspec.structs.replace(BOUGHT, last=4)], Law.GAPLESS, "1000-4"),
        ([OPENED, one(Closed, 2, 5, epoch=999, actor="", command_id="")], Law.GAPLESS, "999-2"),
        ([OPENED, one(Closed, 2, -1, actor="", command_id="")], Law.TIME, "1000-2"),
        ([OPENED, reserved(2, 9, ann)], Law.WINDOW, "1000-2"),
        ([OPENED, reserved(2, 500, ann)], Law.WINDOW, "1000-2"),
        ([OPENED, CLOSED, reserved(3, 20, ann)], Law.WINDOW, "1000-3"),
        ([OPENED, FROZEN, reserved(3, 20, ann)], Law.WINDOW, "1000-3"),
        ([OPENED, reserved(2, 20, again)], Law.PLACE, "1000-2"),
        ([OPENED, confirmed(2, 20, ANN)], Law.PLACE, "1000-2"),
        ([OPENED, reserved(2, 20, ann), reserved(3, 20, Granted(ANN, "c2", ((0, 1),)))], Law.PLACE, "1000-3"),
        (
            [OPENED, reserved(2, 20, ann, msgspec.structs.replace(again, command_id="c1"))],
            Law.COMMAND_ONCE,
            "1000-3",
        ),
        ([OPENED, reserved(2, 20, Granted(ANN, "c1", ((0, 3),)))], Law.LIMIT, "1000-2"),
        ([OPENED, reserved(2, 20, ann), reserved(3, 20, two_more)], Law.LIMIT, "1000-3"),
        ([OPENED, reserved(2, 20, Granted(ANN, "c1", ((1, 2),)))], Law.NEGATIVE, "1000-2"),
        ([OPENED, adjusted(2, -4)], Law.NEGATIVE, "1000-2"),
        ([*FEED[:3], one(Released, 5, 40, ref=ANN, command_id="r")], Law.TRANSITION, "1000-5"),
        ([*FEED[:4], one(Expired, 6, 130, refs=(BOB,))], Law.TRANSITION, "1000-6"),
        ([OPENED, BOUGHT, one(Expired, 4, 119, refs=(BOB,))], Law.DUE, "1000-4"),
        ([OPENED, BOUGHT, confirmed(4, 120, ANN)], Law.DUE, "1000-4"),
        ([OPENED, reserved(2, 20, ann, due_ms=EPOCH + 119)], Law.DUE, "1000-2"),
        ([OPENED, reserved(2, 20, Granted(ANN, "c1", ((2, 1),)))], Law.ITEM, "1000-2"),
        ([OPENED, reserved(2, 20, Granted(ANN, "c1", ((0, 1), (0, 1))))], Law.ITEM, "1000-2"),
        ([OPENED, reserved(2, 20, Granted(ANN, "c1", ((0, 0),)))], Law.ITEM, "1000-2"),
        ([OPENED, adjusted(2, 0)], Law.ITEM, "1000-2"),
        ([OPENED, PAUSE, reserved(3, 20, ann)], Law.WINDOW, "1000-3"),
        ([OPENED, CLOSED, one(Resumed, 3, 6, actor="eve", command_id="x")], Law.WINDOW, "1000-3"),
        ([OPENED, BOUGHT, FREEZE, msgspec.structs.replace(FEED[2], first=5, last=5)], Law.WINDOW, "1000-5"),
        ([*FEED[:4], CLOSE, one(ConfirmedLate, 7, 140, ref=BOB, command_id="p")], Law.WINDOW, "1000-7"),
        ([*FEED[:3], one(ConfirmedLate, 5, 40, ref=BOB, command_id="p")], Law.TRANSITION, "1000-5"),
        ([*FEED[:5], one(ConfirmedLate, 7, 140, ref=BOB, command_id="p")], Law.NEGATIVE, "1000-7"),
        ([*FEED[:3], one(RefundDue, 5, 40, ref=ANN, command_id="p")], Law.TRANSITION, "1000-5"),
        ([*FEED[:3], RETURN_BOB], Law.TRANSITION, "1000-5"),
    ],
)  # fmt: skip
def test_the_first_row_that_breaks_a_law_is_named(feed: list[AnyRow], law: Law, where: str) -> None:
    with pytest.raises(BrokenLawError) as broken:
        fold(feed)
    assert (broken.value.law, broken.value.where) == (law, where)


@pytest.mark.parametrize("limit_back", [False, True])
def test_what_comes_back_is_available_and_counts_against_the_limit_unless_said(limit_back: bool) -> None:
    end = fold([*FEED[:3], one(Returned, 5, 40, ref=ANN, command_id="r", limit_back=limit_back)])
    assert (end.available, end.confirmed) == ([2, 0], [0, 0])
    assert end.buyers["ann"].units == (0 if limit_back else 2)
    assert end.state[ANN] is ReservationState.RETURNED


def test_paid_late_takes_units_anew_and_a_refund_takes_none() -> None:
    late = fold([*FEED[:4], one(ConfirmedLate, 6, 130, ref=BOB, command_id="p")])
    assert (late.available, late.confirmed, late.buyers["bob"].units) == ([0, 0], [3, 1], 2)
    due = fold([*FEED[:4], one(RefundDue, 6, 130, ref=BOB, command_id="p")])
    assert (due.available, due.confirmed, due.buyers["bob"].units) == ([1, 1], [2, 0], 0)
    assert due.state[BOB] is ReservationState.REFUND_DUE


def test_a_pause_ends() -> None:
    resume = one(Resumed, 3, 6, actor="eve", command_id="y")
    assert fold([OPENED, PAUSE]).paused
    assert fold([OPENED, PAUSE, resume, reserved(4, 20, ann)]).held == [1, 0]


def test_a_kind_it_cannot_fold_is_reported_not_skipped() -> None:
    class Gift(Row, frozen=True, kw_only=True):
        pass

    gift: Any = Gift(epoch=EPOCH, first=2, last=2, at_ms=EPOCH)
    with pytest.raises(BrokenLawError) as broken:
        fold([OPENED, gift])
    assert (broken.value.law, broken.value.where) == (Law.UNKNOWN_KIND, "1000-2")


LINE_SPEC = SaleSpec("s1", (SaleItem("red", 1), SaleItem("blue", 1)), 2, EPOCH, EPOCH + 500, HOLD_MS, 2)
CAT, DAN = Ref("cat", 0), Ref("dan", 0)
WAITING: list[AnyRow] = [
    Opened(epoch=EPOCH, first=1, last=1, at_ms=EPOCH, spec=LINE_SPEC, command_id="o1"),
    reserved(2, 10, Granted(ANN, "c1", ((0, 1),))),
    Waited(
        epoch=EPOCH, first=3, last=4, at_ms=EPOCH + 20,
        orders=(Granted(BOB, "c1", ((0, 1),)), Granted(CAT, "c1", ((0, 1),))),
    ),
]  # fmt: skip
BACK = one(Released, 5, 30, ref=ANN, command_id="r")


def served(first: int, *refs: Ref, due: int = HOLD_MS) -> Served:
    last = first + len(refs) - 1
    at_ms = EPOCH + 30
    return Served(epoch=EPOCH, first=first, last=last, at_ms=at_ms, due_ms=at_ms + due, refs=refs)


def test_a_line_is_served_in_its_order_and_a_place_is_left() -> None:
    waiting = fold(WAITING)
    assert (waiting.available, waiting.held) == ([0, 1], [1, 0])
    assert waiting.line == [{BOB: 3, CAT: 4}, {}]
    assert packed_buyer(waiting.buyers["cat"]) == "0;c1 0=1 w0;"
    first = fold([*WAITING, BACK, served(6, BOB)])
    assert (first.available, first.held, first.line) == ([0, 1], [1, 0], [{CAT: 4}, {}])
    assert packed_buyer(first.buyers["bob"]) == f"1;c1 0=1 h{EPOCH + 130};"
    assert (EPOCH, 6) in first.calls
    left = fold([*WAITING, one(Released, 5, 30, ref=BOB, command_id="r")])
    assert (left.line, left.available) == ([{CAT: 4}, {}], [0, 1])
    assert left.state[BOB] is ReservationState.RELEASED


@pytest.mark.parametrize(
    ("feed", "law", "where"),
    [
        ([*WAITING, BACK, served(6, CAT)], Law.LINE, "1000-6"),
        ([*WAITING, BACK, served(6, ANN)], Law.LINE, "1000-6"),
        ([*WAITING, BACK, served(6, DAN)], Law.PLACE, "1000-6"),
        ([*WAITING, BACK, served(6, BOB, due=1)], Law.DUE, "1000-6"),
        ([*WAITING, BACK, served(6, BOB, CAT)], Law.NEGATIVE, "1000-7"),
        ([*WAITING, BACK, reserved(6, 30, Granted(DAN, "c1", ((0, 1),)))], Law.LINE, "1000-6"),
        ([*WAITING, BACK, one(ConfirmedLate, 6, 31, ref=ANN, command_id="p")], Law.LINE, "1000-6"),
        ([*WAITING, one(Skipped, 5, 30, refs=(BOB,))], Law.LINE, "1000-5"),
        ([*WAITING, one(Waited, 5, 30, orders=(Granted(DAN, "c1", ((0, 1),)),))], Law.LINE, "1000-5"),
        ([*WAITING[:2], one(Waited, 3, 30, orders=(Granted(DAN, "c1", ((0, 2),)),))], Law.LINE, "1000-3"),
        ([*WAITING[:2], one(Waited, 3, 30, orders=(Granted(DAN, "c1", ((1, 1),)),))], Law.LINE, "1000-3"),
        ([*WAITING, one(Closed, 5, 30, actor="", command_id=""), served(6, BOB)], Law.WINDOW, "1000-6"),
        ([*WAITING, one(Confirmed, 5, 30, ref=BOB, command_id="p")], Law.TRANSITION, "1000-5"),
    ],
)  # fmt: skip
def test_the_first_row_that_overtakes_is_named(feed: list[AnyRow], law: Law, where: str) -> None:
    with pytest.raises(BrokenLawError) as broken:
        fold(feed)
    assert (broken.value.law, broken.value.where) == (law, where)


def test_negative_is_seen_inside_a_row() -> None:
    """Its first change fits, its second takes more than is left."""
    over = reserved(2, 20, Granted(ANN, "c1", ((0, 2),)), Granted(BOB, "c1", ((0, 2),)))
    with pytest.raises(BrokenLawError) as broken:
        fold([OPENED, over])
    assert (broken.value.law, broken.value.where) == (Law.NEGATIVE, "1000-3")
