"""Where one is easily off by one, or takes one thing for another: each on both ledgers.

A buyer's first order of one line goes a shorter way through ``reserve.lua`` than any other, a sale without
a line a shorter one than a sale with it; so the same edge is asked of each way.
"""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from liveserver.stock import limits
from liveserver.stock.ids import parse_reservation_id
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import (
    Line,
    Order,
    Outcome,
    OutOfRangeError,
    ReservationState,
    SaleConflictError,
    SaleItem,
    SaleStatus,
    UnknownReservationError,
    Verdict,
)
from liveserver.stock.rows import Closed, Served
from liveserver.stock.scripts import keys_of
from liveserver.valkey.connect import CONNECTIONS_MAX
from tests.stock.conftest import Bench, ValkeyBench, order

R = Outcome.RESERVED


async def outcomes(bench: Bench, *asked: tuple[str, tuple[tuple[int, int], ...]]) -> list[Outcome]:
    """Of one call: (user, lines) each, with a command id of its own."""
    orders = [order(user, f"n{number}", *lines) for number, (user, lines) in enumerate(asked)]
    verdicts, _ = await bench.ledger.reserve("s1", orders)
    return [verdict.outcome for verdict in verdicts]


@pytest.mark.parametrize("waitlist", [0, 5])
@pytest.mark.parametrize("before", [0, 1])
async def test_the_limit_to_the_unit(bench: Bench, before: int, waitlist: int) -> None:
    """Of a first order, and of a later one; of one line, and of two."""
    await bench.open(bench.spec((50, 50), limit=4, waitlist=waitlist))
    if before:
        await outcomes(bench, *((user, ((0, before),)) for user in ("ann", "bob", "cem", "dan")))
    left = 4 - before
    verdicts, _ = await bench.ledger.reserve(
        "s1",
        [
            order("ann", "c1", (0, left + 1)),
            order("bob", "c1", (0, left)),
            order("cem", "c1", (0, left), (1, 1)),
            order("dan", "c1", (0, left - 1), (1, 1)),
        ],
    )
    assert [one.outcome for one in verdicts] == [Outcome.LIMIT_REACHED, R, Outcome.LIMIT_REACHED, R]


@pytest.mark.parametrize("waitlist", [0, 5])
@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("lines", [((0, 3),), ((0, 3), (1, 1)), ((1, 1), (0, 3))])
async def test_the_stock_to_the_unit(
    bench: Bench, lines: tuple[tuple[int, int], ...], before: int, waitlist: int
) -> None:
    """One unit too few sells nothing, just enough sells all; what wasn't sold is still there."""
    for stock, expected in ((2, Outcome.SOLD_OUT), (3, R)):
        sale_id = f"s{stock}"
        await bench.open(bench.spec((stock + before, 9), sale_id=sale_id, waitlist=waitlist))
        if before:
            assert (await bench.buy("ann", "c0", (0, 1), sale_id=sale_id)).outcome is R
        assert (await bench.buy("ann", "c1", *lines, sale_id=sale_id)).outcome is expected
        left = (await bench.ledger.view(sale_id)).available
        assert left == {"i0": 2, "i1": 9} if expected is not R else {"i0": 0, "i1": 9 - (len(lines) - 1)}


async def test_of_two_lines_either_may_be_the_one_that_is_short(bench: Bench) -> None:
    await bench.open(bench.spec((1, 1)))
    assert (await bench.buy("ann", "c1", (0, 2), (1, 1))).outcome is Outcome.SOLD_OUT
    assert (await bench.buy("ann", "c2", (0, 1), (1, 2))).outcome is Outcome.SOLD_OUT
    view = await bench.ledger.view("s1")
    assert (view.available, view.held) == ({"i0": 1, "i1": 1}, {"i0": 0, "i1": 0})
    assert (await bench.buy("ann", "c3", (0, 1), (1, 1))).outcome is R
    view = await bench.ledger.view("s1")
    assert (view.available, view.held) == ({"i0": 0, "i1": 0}, {"i0": 1, "i1": 1})


async def test_lines_that_begin_or_end_alike_are_not_the_same(bench: Bench) -> None:
    """1 and 11 of an item; item 1 and item 11; one line and that line with another."""
    await bench.open(bench.spec((100,) * 12))
    for number, (one, other) in enumerate(
        [
            (((0, 1),), ((0, 11),)),
            (((0, 11),), ((0, 1),)),
            (((1, 1),), ((11, 1),)),
            (((0, 1),), ((0, 1), (1, 1))),
            (((0, 1), (1, 1)), ((1, 1),)),
        ]
    ):
        before = await bench.ledger.view("s1")
        first, second = order(f"a{number}", "c", *one), order(f"b{number}", "c", *other)
        verdicts, view = await bench.ledger.reserve("s1", [first, second])
        assert [v.reservation.lines for v in verdicts if v.reservation] == [first.lines, second.lines]
        for item in range(12):
            taken = sum(units for number_, units in (*one, *other) if number_ == item)
            assert before.available[f"i{item}"] - view.available[f"i{item}"] == taken
        changed = order(f"a{number}", "c", *other)
        verdicts, _ = await bench.ledger.reserve("s1", [changed, first])
        assert [v.outcome for v in verdicts] == [Outcome.CONFLICT, R]
        assert verdicts[1].replayed


async def test_one_user_several_times_in_one_call(bench: Bench) -> None:
    """His second order sees his first, also where that was his very first; his third repeats it."""
    await bench.open(bench.spec((9,), limit=3))
    verdicts, view = await bench.ledger.reserve(
        "s1",
        [
            order("ann", "c1", (0, 2)),
            order("ann", "c2", (0, 2)),
            order("ann", "c1", (0, 2)),
            order("ann", "c1", (0, 1)),
            order("ann", "c3", (0, 1)),
        ],
    )
    assert [one.outcome for one in verdicts] == [R, Outcome.LIMIT_REACHED, R, Outcome.CONFLICT, R]
    assert [one.replayed for one in verdicts] == [False, False, True, False, False]
    assert view.available == {"i0": 6}
    assert [one.command_id for one in await bench.ledger.reservations_of("s1", "ann")] == ["c1", "c3"]


async def test_a_lookup_finds_the_one_it_is_asked_for(bench: Bench) -> None:
    await bench.open(bench.spec((9,)))
    first, second = await bench.buy("ann", "c1"), await bench.buy("ann", "c2")
    assert await bench.ledger.lookup("s1", "ann", "c1") == first.reservation
    assert await bench.ledger.lookup("s1", "ann", "c2") == second.reservation
    assert await bench.ledger.lookup("s1", "ann", "c3") is None
    assert await bench.ledger.lookup("s1", "bob", "c1") is None


@pytest.mark.parametrize("how", ["pause", "close", "freeze"])
async def test_a_known_command_is_known_also_where_nothing_is_sold(bench: Bench, how: str) -> None:
    await bench.open(bench.spec((9,)))
    bought = await bench.buy("ann", "c1")
    await getattr(bench.ledger, how)("s1", actor="eve", command_id="x")
    again = await bench.buy("ann", "c1")
    assert (again.outcome, again.replayed, again.reservation) == (R, True, bought.reservation)
    assert (await bench.buy("ann", "c1", (0, 2))).outcome is Outcome.CONFLICT
    refused = {"pause": Outcome.PAUSED, "close": Outcome.CLOSED, "freeze": Outcome.FROZEN}[how]
    assert (await bench.buy("ann", "c2")).outcome is refused
    assert (await bench.buy("bob", "c1")).outcome is refused


async def test_opening_again_changes_nothing_of_a_sale_that_has_sold(bench: Bench) -> None:
    spec = bench.spec((3,))
    await bench.open(spec)
    assert (await bench.buy("ann", "c1", (0, 2))).outcome is R
    again = await bench.ledger.open(spec, command_id="open-2")
    assert (again.seq, again.available, again.held) == (2, {"i0": 1}, {"i0": 2})
    with pytest.raises(SaleConflictError):
        await bench.ledger.open(bench.spec((4,)), command_id="open-3")
    assert (await bench.ledger.view("s1")).seq == 2


async def test_an_overdue_hold_found_by_its_release_serves_the_line(bench: Bench) -> None:
    await bench.open(bench.spec((1,), waitlist=3, hold_ms=1_000))
    held = (await bench.buy("ann", "c1")).reservation
    waits = (await bench.buy("bob", "c1")).reservation
    assert held is not None and waits is not None and waits.state is ReservationState.WAITING
    await bench.advance(1_000)
    with pytest.raises(Exception, match="expired"):
        await bench.ledger.release(held.reservation_id, command_id="r")
    assert (await bench.ledger.reservation(waits.reservation_id)).state is ReservationState.HELD
    assert isinstance((await bench.feed())[-1], Served)


async def test_a_line_longer_than_one_step_serves_is_served_by_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``more`` says so, and goes away when the line is done."""
    heads = 2 * limits.SERVED_MAX + 1
    await bench.open(bench.spec((1,), waitlist=heads))
    assert (await bench.buy("ann", "c1")).outcome is R
    for first in range(0, heads, limits.BATCH_MAX):
        batch = [order(f"u{k}", "c1") for k in range(first, min(heads, first + limits.BATCH_MAX))]
        verdicts, _ = await bench.ledger.reserve("s1", batch)
        assert {one.outcome for one in verdicts} == {Outcome.WAITING}
    view = await bench.ledger.adjust("s1", "i0", heads + 1, actor="eve", reason="", command_id="a1")
    assert view.held == {"i0": 1 + limits.SERVED_MAX}
    swept = await bench.ledger.expire("s1")
    assert (swept.view.held, swept.more) == ({"i0": heads}, True)
    swept = await bench.ledger.expire("s1")
    assert (swept.view.held, swept.more) == ({"i0": heads + 1}, False)
    assert (await bench.buy("zoe", "c1")).outcome is R


async def test_a_buyer_with_two_places_is_served_twice_in_one_step(bench: Bench) -> None:
    await bench.open(bench.spec((1,), waitlist=9))
    assert (await bench.buy("ann", "c1")).outcome is R
    for user, command in (("bob", "c1"), ("bob", "c2"), ("cem", "c1")):
        assert (await bench.buy(user, command)).outcome is Outcome.WAITING
    await bench.ledger.adjust("s1", "i0", 3, actor="eve", reason="", command_id="a1")
    for user, count in (("bob", 2), ("cem", 1)):
        states = [one.state for one in await bench.ledger.reservations_of("s1", user)]
        assert states == [ReservationState.HELD] * count
    view = await bench.ledger.view("s1")
    assert (view.available, view.held) == ({"i0": 0}, {"i0": 4})
    assert (await bench.ledger.confirm("s1~bob~0", command_id="p")).changed
    assert (await bench.ledger.confirm("s1~bob~1", command_id="p")).changed


async def test_one_call_more_than_a_sweep_takes_is_said_to_be_left(bench: Bench) -> None:
    calls = limits.SWEEP_ORDERS + 1
    await bench.open(bench.spec((calls,), hold_ms=1_000))
    for number in range(calls):
        assert (await bench.buy(f"u{number}", "c1")).outcome is R
    await bench.advance(1_000)
    swept = await bench.ledger.expire("s1")
    assert (len(swept.expired), swept.more) == (calls - 1, True)
    swept = await bench.ledger.expire("s1")
    assert (len(swept.expired), swept.more) == (1, False)


@pytest.mark.parametrize("delta", [0, limits.UNITS_MAX + 1, -limits.UNITS_MAX - 1])
async def test_an_adjust_of_nothing_or_too_much_is_refused(bench: Bench, delta: int) -> None:
    before = await bench.open(bench.spec((5,)))
    with pytest.raises(OutOfRangeError, match="delta"):
        await bench.ledger.adjust("s1", "i0", delta, actor="eve", reason="", command_id="a1")
    assert await bench.ledger.view("s1") == before


@pytest.mark.parametrize("how", ["pause", "freeze"])
async def test_a_stopped_sale_closes_by_the_clock_all_the_same(bench: Bench, how: str) -> None:
    spec = bench.spec((5,))
    await bench.open(spec)
    await getattr(bench.ledger, how)("s1", actor="eve", command_id="x")
    await bench.advance(spec.closes_at_ms - bench.clock.now_ms())
    assert (await bench.ledger.expire("s1")).view.status is SaleStatus.CLOSED
    assert isinstance((await bench.feed())[-1], Closed)
    assert (await bench.buy("ann", "c1")).outcome is Outcome.CLOSED


@pytest.mark.parametrize("waitlist", [0, 500])
async def test_reservations_of_a_buyer_are_bounded_with_and_without_a_line(
    bench: Bench, waitlist: int
) -> None:
    """Places in line are among them."""
    most = limits.RECORDS_PER_BUYER_MAX
    await bench.open(bench.spec((most // 2,), waitlist=waitlist))
    batch = [order("ann", f"c{number}") for number in range(most + 1)]
    verdicts, _ = await bench.ledger.reserve("s1", batch)
    then = Outcome.WAITING if waitlist else Outcome.SOLD_OUT
    last = Outcome.LIMIT_REACHED if waitlist else Outcome.SOLD_OUT
    assert [one.outcome for one in verdicts] == [R] * (most // 2) + [then] * (most // 2) + [last]


async def test_a_place_in_line_is_given_to_the_very_end(bench: Bench) -> None:
    spec = bench.spec((1,), waitlist=5)
    await bench.open(spec)
    assert (await bench.buy("ann", "c1")).outcome is R
    await bench.advance(spec.closes_at_ms - bench.clock.now_ms() - 1)
    assert (await bench.buy("bob", "c1")).outcome is R  # ann's hold ran out
    assert (await bench.buy("cem", "c1")).outcome is Outcome.WAITING
    await bench.advance(1)
    assert (await bench.buy("dan", "c1")).outcome is Outcome.CLOSED


async def test_a_lookup_names_the_items_of_the_sale_as_it_is_now(valkey_bench: ValkeyBench) -> None:
    """Opened anew with other items, by another process; this one has only looked before."""
    bench = valkey_bench
    await bench.open(bench.spec((5, 5)))
    await bench.buy("ann", "c1", (0, 1))
    assert (await bench.ledger.reservations_of("s1", "ann"))[0].lines == (Line("i0", 1),)
    await bench.client.delete(*keys_of("s1"))
    await bench.advance(1_000)
    spec = msgspec.structs.replace(bench.spec((5,)), items=(SaleItem("other", 5),))
    elsewhere = ValkeyLedger(bench.client, bench.clock)
    await elsewhere.open(spec, command_id="open-2")
    await bench.pin()
    await elsewhere.reserve("s1", [Order("ann", "c1", (Line("other", 2),))])
    assert (await bench.ledger.reservations_of("s1", "ann"))[0].lines == (Line("other", 2),)


async def test_word_of_a_sale_opened_anew_comes_before_its_items_are_judged(
    valkey_bench: ValkeyBench,
) -> None:
    """An item this process has never heard of is not unknown, as long as there may be a newer sale."""
    bench = valkey_bench
    await bench.open(bench.spec((5,)))
    await bench.buy("ann", "c1")
    await bench.client.delete(*keys_of("s1"))
    await bench.advance(1_000)
    spec = msgspec.structs.replace(bench.spec((5,)), items=(SaleItem("other", 5),))
    told = await ValkeyLedger(bench.client, bench.clock).open(spec, command_id="open-2")
    await bench.pin()
    bench.ledger.learn(told)
    verdicts, view = await bench.ledger.reserve("s1", [Order("ann", "c1", (Line("other", 2),))])
    assert (verdicts[0].outcome, view.available) == (R, {"other": 3})


async def test_whatever_else_is_asked_at_once_there_is_room_for_a_purchase(
    valkey_bench: ValkeyBench,
) -> None:
    """More calls than a client has connections: they take turns, and none is refused."""
    bench = valkey_bench
    await bench.open(bench.spec((5,)))
    views = [bench.ledger.view("s1") for _ in range(3 * CONNECTIONS_MAX)]
    *seen, bought = await asyncio.gather(*views, bench.buy("ann", "c1"))
    assert isinstance(bought, Verdict) and bought.outcome is R
    assert len(seen) == 3 * CONNECTIONS_MAX


async def test_a_reason_longer_than_it_may_be_is_refused(bench: Bench) -> None:
    before = await bench.open(bench.spec((5,)))
    for length, fits in ((limits.REASON_CHARS_MAX + 1, False), (limits.REASON_CHARS_MAX, True)):
        asked = bench.ledger.adjust("s1", "i0", 1, actor="eve", reason="长" * length, command_id="a1")
        if fits:
            assert (await asked).seq == before.seq + 1
        else:
            with pytest.raises(OutOfRangeError, match="reason"):
                await asked


@pytest.mark.parametrize("sale", ["", "a b", "s1\n", "s1}", "s1;", "s1,s2", "s" * 65])
@pytest.mark.parametrize("shape", ["{}~ann~0", "s1~{}~0"])
async def test_a_reservation_id_with_what_no_id_has_in_it_is_unknown(
    bench: Bench, shape: str, sale: str
) -> None:
    await bench.open(bench.spec((5,)))
    with pytest.raises(UnknownReservationError):
        parse_reservation_id(shape.format(sale))
    with pytest.raises(UnknownReservationError):
        await bench.ledger.confirm(shape.format(sale), command_id="p")
