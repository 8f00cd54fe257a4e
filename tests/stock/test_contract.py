"""What every ledger promises, asked of the model and of Valkey alike."""

from __future__ import annotations

import msgspec
import pytest

from liveserver.stock import limits
from liveserver.stock.fold import fold
from liveserver.stock.ids import reservation_id
from liveserver.stock.port import (
    BelowHeldError,
    Change,
    Line,
    Order,
    Outcome,
    OutOfRangeError,
    ReservationState,
    SaleClosedError,
    SaleConflictError,
    SaleFrozenError,
    SaleItem,
    SaleSpec,
    SaleStatus,
    StockView,
    TooManyAdjustsError,
    UnknownItemError,
    UnknownReservationError,
    UnknownSaleError,
    Verdict,
    WrongStateError,
)
from liveserver.stock.rows import (
    Closed,
    ConfirmedLate,
    Expired,
    Frozen,
    Opened,
    Paused,
    Ref,
    RefundDue,
    Reserved,
    Resumed,
    Returned,
    Served,
    Skipped,
)
from liveserver.stock.transitions import ANSWERED, TRANSITIONS, End
from tests.stock.conftest import HOLD_MS, SALE_MS, Bench, order


def id_of(verdict: Verdict) -> str:
    assert verdict.reservation is not None
    return verdict.reservation.reservation_id


def units(view: StockView, item_id: str = "i0") -> tuple[int, int, int]:
    return view.available[item_id], view.held[item_id], view.confirmed[item_id]


# Opening


async def test_opening_again_with_the_same_spec_changes_nothing(bench: Bench) -> None:
    spec = bench.spec((3, 0))
    first = await bench.open(spec)
    assert (first.seq, first.status, first.initial) == (1, SaleStatus.OPEN, {"i0": 3, "i1": 0})
    await bench.buy("ann", "c1")
    again = await bench.ledger.open(spec, command_id="open-2")
    assert (again.epoch, again.seq, again.available) == (first.epoch, 2, {"i0": 2, "i1": 0})


async def test_opening_again_with_another_spec_is_a_conflict(bench: Bench) -> None:
    await bench.open(bench.spec((3,), limit=1))
    with pytest.raises(SaleConflictError):
        await bench.ledger.open(bench.spec((3,), limit=2), command_id="open-1")
    with pytest.raises(SaleConflictError):
        await bench.ledger.open(bench.spec((4,), limit=1), command_id="open-1")


async def test_what_a_sale_was_opened_with_is_told_again(bench: Bench) -> None:
    """The spread and the presale are terms like the others: in the feed's first row, and part of what is
    equal."""
    plain = bench.spec((3, 0), limit=2)
    presale = msgspec.structs.replace(plain, spread_ms=3_000, ships_at_ms=plain.closes_at_ms + 1)
    await bench.open(presale)
    assert await bench.ledger.terms("s1") == presale
    opened = (await bench.feed())[0]
    assert isinstance(opened, Opened) and opened.spec == presale
    for other in (
        plain,
        msgspec.structs.replace(presale, spread_ms=0),
        msgspec.structs.replace(presale, ships_at_ms=plain.closes_at_ms + 2),
    ):
        with pytest.raises(SaleConflictError):
            await bench.ledger.open(other, command_id="open-1")
    assert (await bench.buy("ann", "c1")).outcome is Outcome.RESERVED, "sold as ever"
    with pytest.raises(UnknownSaleError):
        await bench.ledger.terms("nope")


async def test_a_presale_ships_after_its_close(bench: Bench) -> None:
    plain = bench.spec((3,))
    for wrong in (
        {"ships_at_ms": plain.closes_at_ms},
        {"ships_at_ms": 1},
        {"ships_at_ms": -1},
        {"spread_ms": -1},
        {"spread_ms": 60_001},
    ):
        with pytest.raises(OutOfRangeError):
            await bench.open(msgspec.structs.replace(plain, **wrong))


async def test_before_its_time_and_after_it_nothing_is_sold(bench: Bench) -> None:
    await bench.open(bench.spec((3,), opens_in_ms=1_000))
    assert (await bench.ledger.view("s1")).status is SaleStatus.SCHEDULED
    await bench.advance(999)
    assert (await bench.buy("ann", "c1")).outcome is Outcome.NOT_STARTED
    await bench.advance(1)
    assert (await bench.buy("ann", "c1")).outcome is Outcome.RESERVED
    await bench.advance(SALE_MS - 1_001)
    assert (await bench.buy("bob", "c1")).outcome is Outcome.RESERVED
    await bench.advance(1)
    assert (await bench.buy("cat", "c1")).outcome is Outcome.CLOSED
    assert (await bench.ledger.view("s1")).status is SaleStatus.CLOSED


# Buying


async def test_a_purchase_holds_units_until_its_due(bench: Bench) -> None:
    await bench.open(bench.spec((3,)))
    verdict = await bench.buy("ann", "c1", (0, 2))
    held = verdict.reservation
    assert held is not None
    assert (verdict.outcome, verdict.seq, verdict.replayed) == (Outcome.RESERVED, 2, False)
    assert (held.state, held.lines) == (ReservationState.HELD, (Line("i0", 2),))
    assert held.expires_at_ms == bench.clock.now_ms() + HOLD_MS
    assert units(await bench.ledger.view("s1")) == (1, 2, 0)
    assert await bench.ledger.reservation(held.reservation_id) == held
    assert await bench.ledger.lookup("s1", "ann", "c1") == held
    assert await bench.ledger.reservations_of("s1", "ann") == [held]


async def test_the_reservations_of_many_are_told_in_one_call(bench: Bench) -> None:
    await bench.open(bench.spec((9,)))
    ann, cleo = await bench.buy("ann", "c1", (0, 2)), await bench.buy("cleo", "c1", (0, 1))
    more = await bench.buy("ann", "c2", (0, 1))
    found = await bench.ledger.reservations_of_each("s1", ["cleo", "bob", "ann"])
    assert found == [[cleo.reservation], [], [ann.reservation, more.reservation]]
    crowd = [f"nobody-{number}" for number in range(limits.LOOKUP_USERS_MAX - 1)]
    assert await bench.ledger.reservations_of_each("s1", [*crowd, "cleo"]) == [
        *([] for _ in crowd),
        [cleo.reservation],
    ]
    with pytest.raises(UnknownSaleError):
        await bench.ledger.reservations_of_each("s2", ["ann"])


async def test_a_repeated_command_answers_the_same_reservation_as_it_now_is(bench: Bench) -> None:
    await bench.open(bench.spec((3,)))
    first = await bench.buy("ann", "c1", (0, 2))
    again = await bench.buy("ann", "c1", (0, 2))
    assert (again.outcome, again.replayed, again.seq) == (Outcome.RESERVED, True, 2)
    assert again.reservation == first.reservation
    await bench.ledger.confirm(id_of(first), command_id="p1")
    await bench.ledger.close("s1", actor="eve", command_id="x1")
    later = await bench.buy("ann", "c1", (0, 2))
    assert later.outcome is Outcome.RESERVED and later.replayed and later.reservation is not None
    assert later.reservation.state is ReservationState.CONFIRMED
    assert units(await bench.ledger.view("s1")) == (1, 0, 2)


async def test_a_known_command_with_other_lines_is_a_conflict(bench: Bench) -> None:
    await bench.open(bench.spec((3, 3)))
    await bench.buy("ann", "c1", (0, 1))
    for lines in ([(0, 2)], [(1, 1)], [(0, 1), (1, 1)], [(0, 11)]):
        assert (await bench.buy("ann", "c1", *lines)).outcome is Outcome.CONFLICT
    assert (await bench.buy("bob", "c1", (1, 1))).outcome is Outcome.RESERVED  # ids are each user's own


async def test_a_command_id_is_not_found_inside_another(bench: Bench) -> None:
    await bench.open(bench.spec((9,)))
    assert (await bench.buy("ann", "c11")).outcome is Outcome.RESERVED
    for command_id in ("c1", "11", "1", "c"):
        verdict = await bench.buy("ann", command_id)
        assert verdict.outcome is Outcome.RESERVED and not verdict.replayed


async def test_a_refusal_is_not_remembered(bench: Bench) -> None:
    await bench.open(bench.spec((0,)))
    assert (await bench.buy("ann", "c1")).outcome is Outcome.SOLD_OUT
    await bench.ledger.adjust("s1", "i0", 1, actor="eve", reason="found one", command_id="a1")
    again = await bench.buy("ann", "c1")
    assert again.outcome is Outcome.RESERVED and not again.replayed


async def test_lines_naming_the_same_item_are_summed_first(bench: Bench) -> None:
    await bench.open(bench.spec((3,)))
    assert (await bench.buy("ann", "c1", (0, 2), (0, 2))).outcome is Outcome.SOLD_OUT
    verdict = await bench.buy("ann", "c2", (0, 2), (0, 1))
    assert verdict.reservation is not None and verdict.reservation.lines == (Line("i0", 3),)
    assert (await bench.buy("ann", "c2", (0, 3))).replayed


async def test_an_order_is_all_or_nothing(bench: Bench) -> None:
    await bench.open(bench.spec((5, 1)))
    assert (await bench.buy("ann", "c1", (0, 1), (1, 2))).outcome is Outcome.SOLD_OUT
    assert (await bench.buy("ann", "c1", (1, 2), (0, 1))).outcome is Outcome.SOLD_OUT
    view = await bench.ledger.view("s1")
    assert (view.seq, view.available, view.held) == (1, {"i0": 5, "i1": 1}, {"i0": 0, "i1": 0})


async def test_the_limit_counts_all_items_held_and_confirmed(bench: Bench) -> None:
    await bench.open(bench.spec((9, 9), limit=3))
    assert (await bench.buy("ann", "c1", (0, 2), (1, 2))).outcome is Outcome.LIMIT_REACHED
    first = await bench.buy("ann", "c2", (0, 1), (1, 1))
    await bench.ledger.confirm(id_of(first), command_id="p1")
    assert (await bench.buy("ann", "c3", (0, 2))).outcome is Outcome.LIMIT_REACHED
    assert (await bench.buy("ann", "c4", (0, 1))).outcome is Outcome.RESERVED
    assert (await bench.buy("ann", "c5", (1, 1))).outcome is Outcome.LIMIT_REACHED
    assert (await bench.buy("bob", "c5", (1, 3))).outcome is Outcome.RESERVED


async def test_a_buyer_has_a_bounded_number_of_reservations(bench: Bench) -> None:
    await bench.open(bench.spec((999,)))
    batch = [order("ann", f"c{number}") for number in range(limits.RECORDS_PER_BUYER_MAX + 1)]
    verdicts, _ = await bench.ledger.reserve("s1", batch)
    assert [verdict.outcome for verdict in verdicts[:-1]] == [Outcome.RESERVED] * (len(batch) - 1)
    assert verdicts[-1].outcome is Outcome.LIMIT_REACHED
    again, _ = await bench.ledger.reserve("s1", batch)
    assert [verdict.reservation for verdict in again] == [verdict.reservation for verdict in verdicts]


async def test_a_batch_means_its_orders_one_by_one(bench: Bench) -> None:
    batch = [
        order("ann", "c1", (0, 2)),
        order("ann", "c1", (0, 2)),  # the same command id again
        order("ann", "c1", (0, 1)),
        order("bob", "c1", (0, 1), (1, 1)),
        order("ann", "c2", (0, 1)),  # the same user again, over the limit
        order("cat", "c9", (0, 2)),  # one left
        order("dan", "c1", (0, 1)),
        order("cat", "c9", (0, 1)),  # refused before, so this is a new one; nothing left
    ]
    spec = bench.spec((4, 1), limit=2)
    await bench.open(spec)
    together, view = await bench.ledger.reserve("s1", batch)
    expected = [
        "reserved",
        "reserved",
        "conflict",
        "reserved",
        "limit_reached",
        "sold_out",
        "reserved",
        "sold_out",
    ]
    assert [verdict.outcome for verdict in together] == expected
    assert [verdict.seq for verdict in together] == [2, 2, 2, 3, 3, 3, 4, 4]
    assert [verdict.replayed for verdict in together] == [False, True] + [False] * 6
    assert (view.available, view.seq) == ({"i0": 0, "i1": 0}, 4)
    other = bench.spec((4, 1), limit=2, sale_id="s2")
    await bench.open(other)
    for alone, joint in zip(batch, together, strict=True):
        verdicts, _ = await bench.ledger.reserve("s2", [alone])
        assert (verdicts[0].outcome, verdicts[0].seq) == (joint.outcome, joint.seq)
    rows = [row for row in await bench.feed() if isinstance(row, Reserved)]
    assert len(rows) == 1 and len(rows[0].orders) == 3
    assert fold(await bench.feed("s1")).state == fold(await bench.feed("s2")).state


async def test_sold_out_is_true_at_its_seq(bench: Bench) -> None:
    await bench.open(bench.spec((2,)))
    verdicts, _ = await bench.ledger.reserve(
        "s1", [order("a", "c", (0, 2)), order("b", "c"), order("c", "c", (0, 3))]
    )
    assert [(verdict.outcome, verdict.seq) for verdict in verdicts[1:]] == [(Outcome.SOLD_OUT, 2)] * 2


# The ends of a reservation


async def in_state(bench: Bench, state: ReservationState) -> str:
    if state is ReservationState.WAITING:
        await bench.ledger.adjust("s1", "i0", -1, actor="eve", reason="", command_id="a0")
    reservation = id_of(await bench.buy("ann", f"c-{state}"))
    match state:
        case ReservationState.CONFIRMED:
            await bench.ledger.confirm(reservation, command_id="p")
        case ReservationState.RELEASED:
            await bench.ledger.release(reservation, command_id="r")
        case ReservationState.EXPIRED:
            await bench.advance(HOLD_MS)
            await bench.ledger.expire("s1")
        case ReservationState.REFUND_DUE:
            await bench.ledger.release(reservation, command_id="r")
            await bench.ledger.adjust("s1", "i0", -1, actor="eve", reason="", command_id="a1")
            await bench.ledger.confirm(reservation, command_id="p")
            await bench.ledger.adjust("s1", "i0", 1, actor="eve", reason="", command_id="a2")
        case ReservationState.RETURNED:
            await bench.ledger.confirm(reservation, command_id="p")
            await bench.ledger.return_order(reservation, command_id="b", limit_back=True)
    return reservation


@pytest.mark.parametrize("state", ReservationState)
@pytest.mark.parametrize("end", ANSWERED)
async def test_every_pair_of_the_table(bench: Bench, state: ReservationState, end: End) -> None:
    await bench.open(bench.spec((1,), limit=1, waitlist=1))
    reservation = await in_state(bench, state)
    before = await bench.ledger.view("s1")

    async def act(reservation_id: str, *, command_id: str) -> Change:
        match end:
            case End.CONFIRM:
                return await bench.ledger.confirm(reservation_id, command_id=command_id)
            case End.RELEASE:
                return await bench.ledger.release(reservation_id, command_id=command_id)
        return await bench.ledger.return_order(reservation_id, command_id=command_id, limit_back=True)

    if state in ANSWERED[end]:
        change = await act(reservation, command_id="again")
        assert not change.changed and change.view == before
    elif end is End.CONFIRM and state in TRANSITIONS[End.CONFIRM_LATE]:
        change = await act(reservation, command_id="now")
        assert change.changed and change.reservation.state is ReservationState.CONFIRMED
        assert change.view.seq == before.seq + 1
    elif state in TRANSITIONS[end]:
        change = await act(reservation, command_id="now")
        assert change.changed and change.reservation.state is TRANSITIONS[end][state]
        assert change.view.seq == before.seq + 1
    else:
        with pytest.raises(WrongStateError) as caught:
            await act(reservation, command_id="no")
        assert caught.value.reservation.state is state
        assert await bench.ledger.view("s1") == before
    now = (await bench.ledger.reservation(reservation)).state
    if now is ReservationState.WAITING or state is ReservationState.WAITING:
        folded = fold(await bench.feed())
        assert len(folded.line[0]) == (now is ReservationState.WAITING)
        return
    free = (await bench.ledger.reservation(reservation)).state not in (
        ReservationState.HELD,
        ReservationState.CONFIRMED,
    )
    bought = await bench.buy("ann", "next")  # gives back the unit and the limit, or neither
    assert bought.outcome is (Outcome.RESERVED if free else Outcome.LIMIT_REACHED)
    fold(await bench.feed())


async def test_expiring_gives_units_and_limit_back_once(bench: Bench) -> None:
    await bench.open(bench.spec((2,), limit=1))
    first = await bench.buy("ann", "c1")
    await bench.advance(HOLD_MS - 1)
    assert (await bench.ledger.expire("s1")).expired == []
    assert (await bench.buy("ann", "c2")).outcome is Outcome.LIMIT_REACHED
    await bench.advance(1)
    swept = await bench.ledger.expire("s1")
    assert [one.reservation_id for one in swept.expired] == [id_of(first)]
    assert swept.expired[0].state is ReservationState.EXPIRED and not swept.more
    assert units(swept.view) == (2, 0, 0)
    again = await bench.ledger.expire("s1")
    assert again.expired == [] and again.view == swept.view
    assert (await bench.buy("ann", "c2")).outcome is Outcome.RESERVED
    replayed = await bench.buy("ann", "c1")
    assert replayed.replayed and replayed.reservation is not None
    assert replayed.reservation.state is ReservationState.EXPIRED


async def test_a_hold_past_its_due_cannot_be_released_even_before_a_sweep(bench: Bench) -> None:
    await bench.open(bench.spec((1,)))
    reservation = id_of(await bench.buy("ann", "c1"))
    await bench.advance(HOLD_MS)
    with pytest.raises(WrongStateError) as caught:
        await bench.ledger.release(reservation, command_id="r1")
    assert caught.value.reservation.state is ReservationState.EXPIRED
    assert units(await bench.ledger.view("s1")) == (1, 0, 0)
    assert (await bench.ledger.expire("s1")).expired == []
    assert [row for row in await bench.feed() if isinstance(row, Expired)] != []


# Payments that come late


async def test_a_hold_past_its_due_expires_before_it_is_paid_late(bench: Bench) -> None:
    await bench.open(bench.spec((12,)))
    reservation = id_of(await bench.buy("ann", "c1", (0, 10)))
    await bench.advance(HOLD_MS)
    change = await bench.ledger.confirm(reservation, command_id="p1")
    assert change.changed and change.reservation.state is ReservationState.CONFIRMED
    assert (units(change.view), change.view.seq) == ((2, 0, 10), 4)
    feed = await bench.feed()
    assert [type(row) for row in feed] == [Opened, Reserved, Expired, ConfirmedLate]
    again = await bench.ledger.confirm(reservation, command_id="p2")
    assert not again.changed and again.reservation == change.reservation and again.view == change.view
    assert await bench.ledger.reservations_of("s1", "ann") == [change.reservation]
    assert (await bench.ledger.expire("s1")).expired == []
    fold(feed)


async def test_a_late_payment_sweeps_before_it_says_that_nothing_is_left(bench: Bench) -> None:
    await bench.open(bench.spec((1,)))
    ann = id_of(await bench.buy("ann", "c1"))
    await bench.ledger.release(ann, command_id="r")
    await bench.buy("bob", "c1")
    await bench.advance(HOLD_MS)
    change = await bench.ledger.confirm(ann, command_id="p")
    assert change.reservation.state is ReservationState.CONFIRMED
    assert units(change.view) == (0, 0, 1)
    fold(await bench.feed())


async def test_a_late_payment_whose_hold_the_bounded_sweep_did_not_reach(bench: Bench) -> None:
    """Ten units: its user's count loses a digit by expiring."""
    await bench.open(bench.spec((999,)))
    for call in range(2):
        await bench.ledger.reserve("s1", [order(f"u{call}-{number}", "c") for number in range(60)])
    ann = id_of(await bench.buy("ann", "c1", (0, 10)))
    await bench.advance(HOLD_MS)
    change = await bench.ledger.confirm(ann, command_id="p")
    assert change.changed and change.reservation.state is ReservationState.CONFIRMED
    assert units(change.view) == (989, 0, 10)
    assert await bench.ledger.reservations_of("s1", "ann") == [change.reservation]
    folded = fold(await bench.feed())
    assert folded.buyers["ann"].units == 10 and folded.state[Ref("ann", 0)] is ReservationState.CONFIRMED


@pytest.mark.parametrize("why", ["units", "limit", "closed", "clock", "frozen"])
async def test_a_late_payment_that_cannot_be_had_is_due_back_for_good(bench: Bench, why: str) -> None:
    await bench.open(bench.spec((4,), limit=2))
    ann = id_of(await bench.buy("ann", "c1", (0, 2)))
    await bench.ledger.release(ann, command_id="r")
    match why:
        case "units":
            await bench.ledger.adjust("s1", "i0", -3, actor="eve", reason="", command_id="a1")
        case "limit":
            await bench.buy("ann", "c2")
        case "closed":
            await bench.ledger.close("s1", actor="eve", command_id="x")
        case "clock":
            await bench.advance(SALE_MS)
        case "frozen":
            seen = await bench.ledger.view("s1")
            bench.ledger.learn(StockView("s1", seen.epoch, 99, SaleStatus.OPEN, {"i0": 0}, 0, 1))
    before = await bench.ledger.view("s1")
    change = await bench.ledger.confirm(ann, command_id="p")
    assert change.changed and change.reservation.state is ReservationState.REFUND_DUE
    assert (change.view.available, change.view.held) == (before.available, before.held)
    last = (await bench.feed())[-1]
    assert isinstance(last, RefundDue) and last.command_id == "p"
    if why == "units":
        await bench.ledger.adjust("s1", "i0", 3, actor="eve", reason="", command_id="a2")
    again = await bench.ledger.confirm(ann, command_id="p")
    assert not again.changed and again.reservation == change.reservation
    with pytest.raises(WrongStateError):
        await bench.ledger.return_order(ann, command_id="b", limit_back=True)
    fold(await bench.feed())


async def test_a_late_payment_fits_a_limit_that_is_just_enough(bench: Bench) -> None:
    await bench.open(bench.spec((3, 1), limit=3))
    ann = id_of(await bench.buy("ann", "c1", (0, 1), (1, 1)))
    await bench.ledger.release(ann, command_id="r")
    await bench.buy("ann", "c2")
    change = await bench.ledger.confirm(ann, command_id="p")
    assert change.reservation.state is ReservationState.CONFIRMED
    assert (change.view.available, change.view.confirmed) == ({"i0": 1, "i1": 0}, {"i0": 1, "i1": 1})
    assert (await bench.buy("ann", "c3")).outcome is Outcome.LIMIT_REACHED
    fold(await bench.feed())


async def test_a_paused_sale_takes_late_payments(bench: Bench) -> None:
    await bench.open(bench.spec((1,)))
    ann = id_of(await bench.buy("ann", "c1"))
    await bench.ledger.release(ann, command_id="r")
    await bench.ledger.pause("s1", actor="eve", command_id="x")
    change = await bench.ledger.confirm(ann, command_id="p")
    assert change.reservation.state is ReservationState.CONFIRMED


# Returns


@pytest.mark.parametrize("limit_back", [True, False])
async def test_a_return_gives_units_back_and_the_limit_if_asked_to(bench: Bench, limit_back: bool) -> None:
    await bench.open(bench.spec((2,), limit=2))
    ann = id_of(await bench.buy("ann", "c1", (0, 2)))
    await bench.ledger.confirm(ann, command_id="p")
    change = await bench.ledger.return_order(ann, command_id="b", limit_back=limit_back)
    assert change.changed and change.reservation.state is ReservationState.RETURNED
    assert (units(change.view), change.view.seq) == ((2, 0, 0), 4)
    last = (await bench.feed())[-1]
    assert isinstance(last, Returned) and (last.command_id, last.limit_back) == ("b", limit_back)
    again = await bench.ledger.return_order(ann, command_id="b2", limit_back=not limit_back)
    assert not again.changed and again.view == change.view
    with pytest.raises(WrongStateError):
        await bench.ledger.confirm(ann, command_id="p2")
    expected = Outcome.RESERVED if limit_back else Outcome.LIMIT_REACHED
    assert (await bench.buy("ann", "c2")).outcome is expected
    assert (await bench.buy("bob", "c1")).outcome is Outcome.RESERVED
    fold(await bench.feed())


async def test_what_comes_back_after_the_close_is_available_and_not_sold(bench: Bench) -> None:
    await bench.open(bench.spec((1,)))
    ann = id_of(await bench.buy("ann", "c1"))
    await bench.ledger.confirm(ann, command_id="p")
    await bench.ledger.close("s1", actor="eve", command_id="x")
    change = await bench.ledger.return_order(ann, command_id="b", limit_back=False)
    assert units(change.view) == (1, 0, 0)
    assert (await bench.buy("bob", "c1")).outcome is Outcome.CLOSED
    fold(await bench.feed())


async def test_a_purchase_expires_what_is_due_before_it_says_sold_out(bench: Bench) -> None:
    await bench.open(bench.spec((1,)))
    await bench.buy("ann", "c1")
    await bench.advance(HOLD_MS)
    verdict = await bench.buy("bob", "c1")
    assert (verdict.outcome, verdict.seq) == (Outcome.RESERVED, 4)


async def test_a_sweep_is_bounded_and_says_that_more_is_due(bench: Bench) -> None:
    await bench.open(bench.spec((999,)))
    for call in range(5):
        await bench.ledger.reserve("s1", [order(f"u{call}-{number}", "c") for number in range(60)])
        await bench.advance(7)
    paid = await bench.ledger.reservations_of("s1", "u0-0")
    await bench.ledger.confirm(paid[0].reservation_id, command_id="p")
    await bench.advance(HOLD_MS)
    sweeps = [await bench.ledger.expire("s1") for _ in range(3)]
    assert [(len(swept.expired), swept.more) for swept in sweeps] == [(119, True), (120, True), (60, False)]
    assert units(sweeps[-1].view) == (998, 0, 1)


async def test_only_its_owner_releases(bench: Bench) -> None:
    await bench.open(bench.spec((1,)))
    reservation = id_of(await bench.buy("ann", "c1"))
    with pytest.raises(UnknownReservationError):
        await bench.ledger.release(reservation, command_id="r", user_id="bob")
    assert (await bench.ledger.release(reservation, command_id="r", user_id="ann")).changed


# Adjusting and closing


async def test_an_adjust_counts_once(bench: Bench) -> None:
    await bench.open(bench.spec((2, 0)))
    for _ in range(2):
        view = await bench.ledger.adjust("s1", "i1", 5, actor="eve", reason="补货", command_id="a1")
        assert (view.seq, view.available, view.adjusted) == (2, {"i0": 2, "i1": 5}, {"i0": 0, "i1": 5})
    for item_id, delta, reason in (("i1", 4, "补货"), ("i0", 5, "补货"), ("i1", 5, "other")):
        with pytest.raises(SaleConflictError):
            await bench.ledger.adjust("s1", item_id, delta, actor="eve", reason=reason, command_id="a1")


async def test_an_adjust_takes_only_what_is_available(bench: Bench) -> None:
    await bench.open(bench.spec((3,)))
    await bench.buy("ann", "c1", (0, 2))
    with pytest.raises(BelowHeldError):
        await bench.ledger.adjust("s1", "i0", -2, actor="eve", reason="", command_id="a1")
    view = await bench.ledger.adjust("s1", "i0", -1, actor="eve", reason="", command_id="a1")
    assert units(view) == (0, 2, 0)


async def test_adjusts_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.open(bench.spec((1,)))
    for number in range(limits.ADJUSTS_MAX):
        await bench.ledger.adjust("s1", "i0", 1, actor="eve", reason="", command_id=f"a{number}")
    with pytest.raises(TooManyAdjustsError):
        await bench.ledger.adjust("s1", "i0", 1, actor="eve", reason="", command_id="one-more")
    view = await bench.ledger.adjust("s1", "i0", 1, actor="eve", reason="", command_id="a0")
    assert view.adjusted == {"i0": limits.ADJUSTS_MAX}


async def test_closing_keeps_what_was_promised(bench: Bench) -> None:
    await bench.open(bench.spec((3,)))
    paid, unpaid = id_of(await bench.buy("ann", "c1")), id_of(await bench.buy("bob", "c1"))
    closed = await bench.ledger.close("s1", actor="eve", command_id="x1")
    assert closed.status is SaleStatus.CLOSED
    assert await bench.ledger.close("s1", actor="dan", command_id="x2") == closed
    assert (await bench.buy("cat", "c1")).outcome is Outcome.CLOSED
    with pytest.raises(SaleClosedError):
        await bench.ledger.adjust("s1", "i0", 1, actor="eve", reason="", command_id="a1")
    assert (await bench.ledger.confirm(paid, command_id="p")).changed
    await bench.advance(HOLD_MS)
    swept = await bench.ledger.expire("s1")
    assert [one.reservation_id for one in swept.expired] == [unpaid]
    assert units(swept.view) == (2, 0, 1)
    fold(await bench.feed())


@pytest.mark.parametrize("by", ["expire", "view", "reserve", "adjust", "close"])
async def test_closing_by_the_clock_is_written_down_once_by_whoever_comes_first(
    bench: Bench, by: str
) -> None:
    await bench.open(bench.spec((3,)))
    await bench.advance(SALE_MS - 1)
    await bench.ledger.expire("s1")
    assert (await bench.ledger.view("s1")).status is SaleStatus.OPEN
    await bench.advance(1)
    match by:
        case "expire":
            await bench.ledger.expire("s1")
        case "view":
            assert (await bench.ledger.view("s1")).status is SaleStatus.CLOSED
        case "reserve":
            verdict = await bench.buy("ann", "c1")
            assert (verdict.outcome, verdict.seq) == (Outcome.CLOSED, 2)
        case "adjust":
            with pytest.raises(SaleClosedError):
                await bench.ledger.adjust("s1", "i0", 1, actor="eve", reason="", command_id="a1")
    await bench.ledger.close("s1", actor="eve", command_id="x1")
    closings = [row for row in await bench.feed() if isinstance(row, Closed)]
    assert [(row.actor, row.last) for row in closings] == [("", 2)]
    assert (await bench.ledger.view("s1")).seq == 2


# Pausing and freezing


async def test_a_paused_sale_sells_nothing_and_keeps_its_promises(bench: Bench) -> None:
    await bench.open(bench.spec((3,)))
    paid, unpaid = id_of(await bench.buy("ann", "c1")), id_of(await bench.buy("bob", "c1"))
    view = await bench.ledger.pause("s1", actor="eve", command_id="x1")
    assert (view.status, view.seq) == (SaleStatus.PAUSED, 4)
    assert (await bench.buy("cat", "c1")).outcome is Outcome.PAUSED
    assert (await bench.ledger.confirm(paid, command_id="p")).changed
    await bench.advance(HOLD_MS)
    swept = await bench.ledger.expire("s1")
    assert [one.reservation_id for one in swept.expired] == [unpaid]
    view = await bench.ledger.resume("s1", actor="dan", command_id="x2")
    assert (view.status, view.seq) == (SaleStatus.OPEN, 7)
    assert (await bench.buy("cat", "c1")).outcome is Outcome.RESERVED
    switches = [row for row in await bench.feed() if isinstance(row, Paused | Resumed)]
    assert [(type(row), row.actor, row.command_id) for row in switches] == [
        (Paused, "eve", "x1"),
        (Resumed, "dan", "x2"),
    ]
    fold(await bench.feed())


async def test_a_pause_said_again_after_the_resume_does_not_pause_again(bench: Bench) -> None:
    await bench.open(bench.spec((3,)))
    await bench.ledger.pause("s1", actor="eve", command_id="x0")
    await bench.ledger.pause("s1", actor="eve", command_id="x1")  # it changes nothing, and counts
    resumed = await bench.ledger.resume("s1", actor="eve", command_id="x2")
    for command_id in ("x0", "x1"):
        assert await bench.ledger.pause("s1", actor="eve", command_id=command_id) == resumed
    await bench.ledger.adjust("s1", "i0", 1, actor="eve", reason="", command_id="a1")
    for wrong in (
        bench.ledger.pause("s1", actor="eve", command_id="x2"),
        bench.ledger.pause("s1", actor="dan", command_id="x1"),
        bench.ledger.resume("s1", actor="eve", command_id="a1"),
        bench.ledger.adjust("s1", "i0", 1, actor="eve", reason="", command_id="x1"),
    ):
        with pytest.raises(SaleConflictError):
            await wrong
    assert (await bench.buy("ann", "c1")).outcome is Outcome.RESERVED
    fold(await bench.feed())


async def test_a_sale_paused_before_it_opens_opens_paused(bench: Bench) -> None:
    await bench.open(bench.spec((3,), opens_in_ms=1_000))
    view = await bench.ledger.pause("s1", actor="eve", command_id="x1")
    assert view.status is SaleStatus.SCHEDULED
    assert (await bench.buy("ann", "c1")).outcome is Outcome.NOT_STARTED
    await bench.advance(1_000)
    assert (await bench.buy("ann", "c1")).outcome is Outcome.PAUSED


@pytest.mark.parametrize("closed", [False, True])
async def test_after_a_freeze_nothing_is_sold_or_confirmed(bench: Bench, closed: bool) -> None:
    """Closing before the freeze or after it makes no hold payable."""
    await bench.open(bench.spec((4,)))
    done, kept, given = [id_of(await bench.buy(user, "c1")) for user in ("ann", "bob", "cat")]
    await bench.ledger.confirm(done, command_id="p1")
    if closed:
        await bench.ledger.close("s1", actor="eve", command_id="x0")
    froze = await bench.ledger.freeze("s1", actor="eve", command_id="x1")
    assert froze.changed
    assert froze.view.status is (SaleStatus.CLOSED if closed else SaleStatus.FROZEN)
    again = await bench.ledger.freeze("s1", actor="eve", command_id="x2")
    assert not again.changed and again.view == froze.view
    rows = [row for row in await bench.feed() if isinstance(row, Frozen)]
    assert [(row.reason, row.seen, row.actor, row.command_id) for row in rows] == [
        ("ordered", "", "eve", "x1")
    ]
    assert (await bench.buy("dan", "c1")).outcome is (Outcome.CLOSED if closed else Outcome.FROZEN)
    assert not (await bench.ledger.confirm(done, command_id="p1")).changed
    for _ in range(2):
        with pytest.raises(SaleFrozenError):
            await bench.ledger.confirm(kept, command_id="p2")
        await bench.ledger.close("s1", actor="eve", command_id="x3")
    assert (await bench.ledger.release(given, command_id="r")).changed
    refund = await bench.ledger.confirm(given, command_id="p3")
    assert refund.reservation.state is ReservationState.REFUND_DUE
    await bench.advance(HOLD_MS)
    late = await bench.ledger.confirm(kept, command_id="p2")
    assert late.changed and late.reservation.state is ReservationState.REFUND_DUE
    assert units(late.view) == (3, 0, 1)
    fold(await bench.feed())


async def test_a_frozen_or_closed_sale_is_not_paused_or_resumed(bench: Bench) -> None:
    await bench.open(bench.spec((4,)))
    await bench.ledger.freeze("s1", actor="eve", command_id="x1")
    for act in (bench.ledger.pause, bench.ledger.resume):
        with pytest.raises(SaleFrozenError):
            await act("s1", actor="eve", command_id="x2")
    await bench.ledger.close("s1", actor="eve", command_id="x3")
    for act in (bench.ledger.pause, bench.ledger.resume):
        with pytest.raises(SaleClosedError):
            await act("s1", actor="eve", command_id="x4")
    fold(await bench.feed())


async def test_what_is_held_is_read_whole_page_by_page(bench: Bench) -> None:
    await bench.open(bench.spec((999,)))
    assert await bench.ledger.held("s1") == []
    for call in range(5):
        await bench.ledger.reserve("s1", [order(f"u{call}-{number}", "c") for number in range(60)])
        await bench.advance(7)
    for user in ("u0-0", "u2-30"):
        await bench.ledger.release(
            (await bench.ledger.reservations_of("s1", user))[0].reservation_id, command_id="r"
        )
    held = await bench.ledger.held("s1")
    assert {one.user_id for one in held} == {f"u{call}-{n}" for call in range(5) for n in range(60)} - {
        "u0-0",
        "u2-30",
    }
    assert len(held) == 298 and all(one.state is ReservationState.HELD for one in held)
    await bench.advance(HOLD_MS - 35)
    await bench.ledger.expire("s1")
    assert len(await bench.ledger.held("s1")) == 298 - 59


# Waiting in line


def places(verdicts: list[Verdict]) -> list[tuple[str, int]]:
    return [(verdict.outcome.value, verdict.ahead) for verdict in verdicts]


async def test_without_a_waitlist_nobody_waits(bench: Bench) -> None:
    await bench.open(bench.spec((0,)))
    assert (await bench.buy("ann", "c1")).outcome is Outcome.SOLD_OUT


async def test_what_is_freed_goes_to_the_head_of_the_line_with_its_own_time(bench: Bench) -> None:
    await bench.open(bench.spec((1,), waitlist=9))
    ann = id_of(await bench.buy("ann", "c1"))
    batch = [order("bob", "c1"), order("cat", "c1"), order("bob", "c1"), order("ann", "c1")]
    verdicts, view = await bench.ledger.reserve("s1", batch)
    assert places(verdicts) == [("waiting", 0), ("waiting", 1), ("waiting", 0), ("reserved", 0)]
    assert [verdict.replayed for verdict in verdicts] == [False, False, True, True]
    assert [verdict.seq for verdict in verdicts] == [3, 4, 4, 4] and view.seq == 4
    waiting = verdicts[0].reservation
    assert waiting is not None and (waiting.state, waiting.expires_at_ms) == (ReservationState.WAITING, 0)
    again = await bench.buy("cat", "c1")
    assert (again.outcome, again.ahead, again.replayed) == (Outcome.WAITING, 1, True)
    assert (await bench.buy("cat", "c1", (0, 2))).outcome is Outcome.CONFLICT

    await bench.advance(1_000)
    change = await bench.ledger.release(ann, command_id="r1")
    assert units(change.view) == (0, 1, 0)
    served = await bench.buy("bob", "c1")
    assert (served.outcome, served.replayed) == (Outcome.RESERVED, True)
    assert served.reservation is not None and served.reservation.state is ReservationState.HELD
    assert served.reservation.expires_at_ms == bench.clock.now_ms() + HOLD_MS
    assert (await bench.buy("cat", "c1")).ahead == 0
    await bench.advance(HOLD_MS - 1)
    assert (await bench.ledger.expire("s1")).expired == []
    await bench.advance(1)
    swept = await bench.ledger.expire("s1")
    assert [one.user_id for one in swept.expired] == ["bob"] and units(swept.view) == (0, 1, 0)
    assert (await bench.ledger.confirm(id_of(await bench.buy("cat", "c1")), command_id="p")).changed
    fold(await bench.feed())


@pytest.mark.parametrize("by", ["reserve", "expire", "release", "return", "adjust", "late payment", "resume"])
async def test_every_step_that_frees_units_serves_the_line(bench: Bench, by: str) -> None:
    await bench.open(bench.spec((1,), waitlist=9))
    ann = id_of(await bench.buy("ann", "c1"))
    if by == "return":
        await bench.ledger.confirm(ann, command_id="p")
    assert (await bench.buy("bob", "c1")).outcome is Outcome.WAITING
    match by:
        case "reserve" | "expire" | "late payment":
            await bench.advance(HOLD_MS)
            if by == "reserve":
                assert (await bench.buy("dan", "c1")).outcome is Outcome.WAITING
            elif by == "expire":
                await bench.ledger.expire("s1")
            else:
                late = await bench.ledger.confirm(ann, command_id="p")
                assert late.reservation.state is ReservationState.REFUND_DUE
        case "release":
            await bench.ledger.release(ann, command_id="r")
        case "return":
            await bench.ledger.return_order(ann, command_id="b", limit_back=True)
        case "adjust":
            await bench.ledger.adjust("s1", "i0", 1, actor="eve", reason="", command_id="a1")
        case "resume":
            await bench.ledger.pause("s1", actor="eve", command_id="x1")
            view = (await bench.ledger.release(ann, command_id="r")).view
            assert units(view) == (1, 0, 0), "nobody is served in a pause"
            await bench.ledger.resume("s1", actor="eve", command_id="x2")
    assert (await bench.ledger.reservations_of("s1", "bob"))[0].state is ReservationState.HELD
    assert (await bench.ledger.view("s1")).available == {"i0": 0}
    fold(await bench.feed())


async def test_nobody_is_granted_while_somebody_waits_for_the_same_item(bench: Bench) -> None:
    await bench.open(bench.spec((1, 5), waitlist=9))
    ann = id_of(await bench.buy("ann", "c1"))
    await bench.buy("bob", "c1")
    await bench.ledger.pause("s1", actor="eve", command_id="x1")
    await bench.ledger.release(ann, command_id="r")
    await bench.ledger.adjust("s1", "i0", 1, actor="eve", reason="", command_id="a1")
    resumed = await bench.ledger.resume("s1", actor="eve", command_id="x2")
    assert units(resumed) == (1, 1, 0), "one for bob, who waited; one left"
    assert (await bench.buy("cat", "c1", (0, 1), (1, 1))).outcome is Outcome.RESERVED
    assert (await bench.buy("dan", "c1")).outcome is Outcome.WAITING
    assert (await bench.buy("eli", "c1", (0, 1), (1, 1))).outcome is Outcome.SOLD_OUT
    assert (await bench.buy("eli", "c2", (1, 1))).outcome is Outcome.RESERVED, "nobody waits for that one"
    fold(await bench.feed())


async def test_a_line_is_bounded_and_one_unit_a_place(bench: Bench) -> None:
    await bench.open(bench.spec((0, 0), limit=2, waitlist=3))
    assert (await bench.buy("ann", "c0", (0, 2))).outcome is Outcome.SOLD_OUT
    assert (await bench.buy("ann", "c0", (0, 1), (1, 1))).outcome is Outcome.SOLD_OUT
    assert (await bench.buy("ann", "c1")).outcome is Outcome.WAITING
    assert (await bench.buy("ann", "c2", (1, 1))).outcome is Outcome.WAITING
    assert (await bench.buy("ann", "c3")).outcome is Outcome.SOLD_OUT, "no more places than his limit"
    verdicts, _ = await bench.ledger.reserve("s1", [order("bob", "c1"), order("cat", "c1")])
    assert places(verdicts) == [("waiting", 1), ("sold_out", 0)]
    fold(await bench.feed())


async def test_a_head_now_over_its_limit_is_skipped(bench: Bench) -> None:
    await bench.open(bench.spec((1, 5), limit=1, waitlist=9))
    eve = id_of(await bench.buy("eve", "c1"))
    for user in ("ann", "bob"):
        assert (await bench.buy(user, "c1")).outcome is Outcome.WAITING
    assert (await bench.buy("ann", "c2", (1, 1))).outcome is Outcome.RESERVED
    await bench.ledger.release(eve, command_id="r")
    assert [one.state.value for one in await bench.ledger.reservations_of("s1", "ann")] == [
        "released",
        "held",
    ]
    assert [one.state.value for one in await bench.ledger.reservations_of("s1", "bob")] == ["held"]
    rows = (await bench.feed())[-2:]
    assert isinstance(rows[0], Skipped) and rows[0].refs == (Ref("ann", 0),)
    assert isinstance(rows[1], Served) and rows[1].refs == (Ref("bob", 0),)
    fold(await bench.feed())


async def test_leaving_the_line(bench: Bench) -> None:
    await bench.open(bench.spec((0,), waitlist=2))
    ann, bob = [id_of(await bench.buy(user, "c1")) for user in ("ann", "bob")]
    with pytest.raises(WrongStateError):
        await bench.ledger.confirm(ann, command_id="p")
    assert (await bench.ledger.release(ann, command_id="r", user_id="ann")).changed
    assert (await bench.buy("bob", "c1")).ahead == 0
    assert (await bench.buy("cat", "c1")).ahead == 1
    await bench.ledger.adjust("s1", "i0", 1, actor="eve", reason="", command_id="a1")
    assert (await bench.ledger.reservation(bob)).state is ReservationState.HELD
    fold(await bench.feed())


@pytest.mark.parametrize("how", ["closed", "clock", "frozen"])
async def test_the_line_closes_with_the_sale(bench: Bench, how: str) -> None:
    await bench.open(bench.spec((1,), waitlist=2))
    ann, bob = [id_of(await bench.buy(user, "c1")) for user in ("ann", "bob")]
    match how:
        case "closed":
            await bench.ledger.close("s1", actor="eve", command_id="x")
        case "clock":
            await bench.advance(SALE_MS)
        case "frozen":
            await bench.ledger.freeze("s1", actor="eve", command_id="x")
    await bench.ledger.expire("s1")
    if how != "clock":
        await bench.ledger.release(ann, command_id="r")
    assert units(await bench.ledger.view("s1")) == (1, 0, 0)
    assert (await bench.ledger.reservation(bob)).state is ReservationState.WAITING
    assert (await bench.ledger.release(bob, command_id="r")).changed
    fold(await bench.feed())


async def test_serving_is_bounded_and_nobody_overtakes_those_it_did_not_reach(bench: Bench) -> None:
    await bench.open(bench.spec((1, 9), waitlist=1_000))
    late = id_of(await bench.buy("late", "c1"))
    await bench.ledger.release(late, command_id="r")
    await bench.buy("ann", "c1")
    for call in range(4):
        batch = [order(f"u{call}-{number}", "c") for number in range(120)]
        verdicts, _ = await bench.ledger.reserve("s1", batch)
        assert [verdict.ahead for verdict in verdicts] == list(range(120 * call, 120 * (call + 1)))
    view = await bench.ledger.adjust("s1", "i0", 900, actor="eve", reason="", command_id="a1")
    assert units(view) == (800, 101, 0)
    new = await bench.buy("new", "c1")
    assert (new.outcome, new.ahead) == (Outcome.WAITING, 280), "its own call has served a hundred first"
    assert (await bench.buy("new", "c2", (0, 1), (1, 1))).outcome is Outcome.SOLD_OUT
    paid = await bench.ledger.confirm(late, command_id="p")
    assert paid.reservation.state is ReservationState.REFUND_DUE
    assert units(paid.view) == (419, 482, 0), "when it was decided 81 waited; then they were served too"
    assert not (await bench.ledger.expire("s1")).more
    assert (await bench.buy("dan", "c1")).outcome is Outcome.RESERVED
    fold(await bench.feed())


# What a ledger refuses


async def test_unknown_things_are_named(bench: Bench) -> None:
    with pytest.raises(UnknownSaleError):
        await bench.buy("ann", "c1")
    with pytest.raises(UnknownSaleError):
        await bench.ledger.view("s1")
    with pytest.raises(UnknownSaleError):
        await bench.ledger.lookup("s1", "ann", "c1")
    for text in (
        reservation_id("s1", "ann", 0),
        "s1~ann",
        "",
        "s1~ann~00",
        "s1~a b~0",
        "s1~ann~64",
        "~" * 300,
    ):
        with pytest.raises(UnknownReservationError):
            await bench.ledger.confirm(text, command_id="p")
        with pytest.raises(UnknownReservationError):
            await bench.ledger.reservation(text)
    await bench.open(bench.spec((3,)))
    assert await bench.ledger.lookup("s1", "ann", "c1") is None
    assert await bench.ledger.reservations_of("s1", "ann") == []
    await bench.buy("ann", "c1")
    with pytest.raises(UnknownReservationError):
        await bench.ledger.release(reservation_id("s1", "ann", 1), command_id="r")
    with pytest.raises(UnknownItemError) as caught:
        await bench.ledger.reserve(
            "s1", [order("a", "c", (7, 1)), order("b", "c"), order("c", "c", (0, 1), (8, 1))]
        )
    assert caught.value.orders == (0, 2)
    with pytest.raises(UnknownItemError):
        await bench.ledger.adjust("s1", "i9", 1, actor="eve", reason="", command_id="a1")
    assert (await bench.ledger.view("s1")).seq == 2


@pytest.mark.parametrize(
    "wrong",
    [
        Order("a b", "c1", (Line("i0", 1),)),
        Order("ann\n", "c1", (Line("i0", 1),)),
        Order("ann", "c;1", (Line("i0", 1),)),
        Order("ann", "", (Line("i0", 1),)),
        Order("a" * 65, "c1", (Line("i0", 1),)),
        Order("ann", "c1", ()),
        Order("ann", "c1", (Line("i0", 0),)),
        Order("ann", "c1", (Line("i0", -1),)),
        Order("ann", "c1", (Line("i0", limits.MAX_QUANTITY + 1),)),
        Order("ann", "c1", (Line("i0", 1),) * (limits.LINES_MAX + 1)),
    ],
)
async def test_a_malformed_order_is_refused_before_anything_is_done(bench: Bench, wrong: Order) -> None:
    await bench.open(bench.spec((3,)))
    with pytest.raises(OutOfRangeError) as caught:
        await bench.ledger.reserve("s1", [order("bob", "c1"), wrong, order("cat", "c1"), wrong])
    assert caught.value.orders == (1, 3)
    assert (await bench.ledger.view("s1")).seq == 1


@pytest.mark.parametrize(
    "wrong",
    [
        SaleSpec("s 1", (SaleItem("i0", 1),), 0, 0, 1, 1),
        SaleSpec("s1", (), 0, 0, 1, 1),
        SaleSpec("s1", (SaleItem("i0", 1), SaleItem("i0", 2)), 0, 0, 1, 1),
        SaleSpec("s1", (SaleItem("i=0", 1),), 0, 0, 1, 1),
        SaleSpec("s1", (SaleItem("i0", -1),), 0, 0, 1, 1),
        SaleSpec("s1", (SaleItem("i0", limits.UNITS_MAX + 1),), 0, 0, 1, 1),
        SaleSpec("s1", (SaleItem("i0", 1),), -1, 0, 1, 1),
        SaleSpec("s1", (SaleItem("i0", 1),), 0, 1, 1, 1),
        SaleSpec("s1", (SaleItem("i0", 1),), 0, 0, 1, 0),
    ],
)
async def test_a_malformed_sale_is_refused(bench: Bench, wrong: SaleSpec) -> None:
    with pytest.raises(OutOfRangeError):
        await bench.ledger.open(wrong, command_id="open-1")


# Fences


async def test_a_store_behind_what_was_seen_freezes_the_sale(bench: Bench) -> None:
    view = await bench.open(bench.spec((3,)))
    kept = id_of(await bench.buy("ann", "c1"))
    ahead = StockView("s1", view.epoch, 9, SaleStatus.OPEN, {"i0": 0}, 0, 1)
    bench.ledger.learn(ahead)
    assert (await bench.buy("bob", "c1")).outcome is Outcome.FROZEN
    frozen = (await bench.feed())[-1]
    assert isinstance(frozen, Frozen) and (frozen.reason, frozen.seen) == ("behind", f"{view.epoch}-9")
    assert (await bench.ledger.view("s1")).status is SaleStatus.FROZEN
    assert (await bench.buy("cat", "c1")).outcome is Outcome.FROZEN
    assert (await bench.buy("ann", "c1")).replayed
    with pytest.raises(SaleFrozenError):
        await bench.ledger.confirm(kept, command_id="p")
    assert (await bench.ledger.release(kept, command_id="r")).changed
    fold(await bench.feed())
