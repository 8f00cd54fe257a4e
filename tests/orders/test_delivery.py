"""From a sale's feed to an order service: every row once in effect, in order, under whatever it answers."""

from __future__ import annotations

import asyncio
import random

import pytest
from redis.asyncio import Redis

from liveserver.orders import limits
from liveserver.orders.attempts import Patience
from liveserver.orders.keys import keys_of_group
from liveserver.orders.lag import Lag, lags, waiting
from liveserver.orders.letters import letters, move
from liveserver.orders.store import Letter
from liveserver.stock.feed import read_feed
from liveserver.stock.ids import reservation_id
from liveserver.stock.port import Outcome
from liveserver.stock.scripts import feed_key, keys_of
from tests.orders.conftest import SOON, WITHIN_S, MakeDeliverer, drained, end, until
from tests.orders.order_service import GARBAGE, OK, OrderService, Row, answer
from tests.orders.shop import arrived, expected, folded_units, in_order, units_of
from tests.stock.conftest import HOLD_MS, ValkeyBench, order
from tests.stock.history import busy


async def lag_of(client: Redis, sale_id: str = "s1", group: str = "orders") -> Lag:
    return next(lag for lag in await lags(client, sale_id) if lag.group == group)


async def dead(client: Redis, sale_id: str = "s1", group: str = "orders") -> list[Letter]:
    found = [letter async for letter in letters(client, sale_id, group)]
    return sorted(found, key=lambda letter: letter.row.seq)


async def nothing_left(client: Redis, sale_id: str = "s1") -> None:
    """All acknowledged, nothing remembered of rows, no lease."""
    lag = await lag_of(client, sale_id)
    assert (lag.behind, lag.pending, lag.again, lag.deliverer) == (0, 0, 0, "")
    keys = keys_of_group(sale_id, "orders")
    assert await client.exists(keys.rows, keys.lease, keys.again) == 0


async def remembered(client: Redis) -> bool:
    return bool(await client.exists(keys_of_group("s1", "orders").rows))


async def drained_lag(client: Redis, sale_id: str = "s1") -> bool:
    return (await lag_of(client, sale_id)).drained


async def all_ends(bench: ValkeyBench) -> None:
    """Each of three buyers' reservations comes to another end; and one is paid too late, one returned."""
    await bench.open(bench.spec((4, 1)))
    await bench.ledger.reserve(
        "s1", [order("ann", "c1", (0, 2), (1, 1)), order("bob", "b1"), order("cid", "d1")]
    )
    await bench.ledger.confirm(reservation_id("s1", "ann", 0), command_id="pay-1")
    await bench.ledger.release(reservation_id("s1", "bob", 0), command_id="no-1")
    await bench.ledger.return_order(reservation_id("s1", "ann", 0), command_id="back-1", limit_back=True)
    await bench.advance(HOLD_MS)
    await bench.ledger.expire("s1")
    await bench.ledger.close("s1", actor="eve", command_id="close-1")
    await bench.ledger.confirm(reservation_id("s1", "cid", 0), command_id="pay-late")


async def test_what_the_order_service_gets(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    await all_ends(bench)
    await drained(await deliverer())
    epoch = (await bench.ledger.view("s1")).epoch
    at_ms = bench.clock.now_ms()
    got = sorted(service.effects.values(), key=lambda row: row["seq"])
    assert [(row["kind"], row["userId"], row["byCommandId"]) for row in got] == [
        ("held", "ann", "c1"),
        ("held", "bob", "b1"),
        ("held", "cid", "d1"),
        ("confirmed", "ann", "pay-1"),
        ("released", "bob", "no-1"),
        ("returned", "ann", "back-1"),
        ("expired", "cid", ""),
        ("refundDue", "cid", "pay-late"),
    ]
    assert got[0] == {
        "id": f"s1/{epoch}-2",
        "saleId": "s1",
        "epoch": epoch,
        "seq": 2,
        "atMs": at_ms - HOLD_MS,
        "kind": "held",
        "reservationId": "s1~ann~0",
        "userId": "ann",
        "commandId": "c1",
        "byCommandId": "c1",
        "lines": [{"itemId": "i0", "quantity": 2}, {"itemId": "i1", "quantity": 1}],
        "expiresAtMs": at_ms,
    }
    assert {row["commandId"] for row in got if row["userId"] == "cid"} == {"d1"}
    assert {row["expiresAtMs"] for row in got[3:]} == {0}
    assert set(service.seen.values()) == {1}
    await nothing_left(bench.client)


async def test_the_line_is_told_too(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    """bob is served what ann gives back; cid, who bought something else meanwhile, is skipped; dan goes."""
    await bench.open(bench.spec((1, 5), limit=1, waitlist=9))
    await bench.buy("ann", "a1")
    for user in ("bob", "cid", "dan"):
        assert (await bench.buy(user, "w1")).outcome is Outcome.WAITING
    await bench.buy("cid", "c2", (1, 1))
    await bench.ledger.release(reservation_id("s1", "dan", 0), command_id="go-1")
    await bench.ledger.release(reservation_id("s1", "ann", 0), command_id="no-1")
    await bench.ledger.release(reservation_id("s1", "bob", 0), command_id="no-2")
    await drained(await deliverer())
    got = sorted(service.effects.values(), key=lambda row: row["seq"])
    assert [(row["kind"], row["userId"], row["byCommandId"]) for row in got] == [
        ("held", "ann", "a1"),
        ("waiting", "bob", "w1"),
        ("waiting", "cid", "w1"),
        ("waiting", "dan", "w1"),
        ("held", "cid", "c2"),
        ("released", "dan", "go-1"),
        ("released", "ann", "no-1"),
        ("held", "bob", ""),
        ("released", "bob", "no-2"),
        ("skipped", "cid", ""),
    ]
    due_ms = bench.clock.now_ms() + HOLD_MS
    assert [row["expiresAtMs"] for row in got if row["userId"] == "bob"] == [0, due_ms, 0]
    assert arrived(service.effects) == expected("s1", await bench.feed())
    assert in_order(service.arrived)


async def test_a_busy_sale_arrives_whole_and_in_order(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    await busy(bench)
    await busy(bench, sale_id="s2", seed=2, calls=10)
    await drained(await deliverer())
    feed = await bench.feed()
    want = expected("s1", feed) | expected("s2", await bench.feed("s2"))
    assert len(want) > 500
    assert arrived(service.effects) == want
    assert set(service.seen.values()) == {1}
    assert in_order(service.arrived)
    held, confirmed = folded_units(feed)
    told = units_of([row for row in service.effects.values() if row["saleId"] == "s1"])
    for counted, kind in ((held, "held"), (confirmed, "confirmed")):
        assert [told.get(kind, {}).get(f"i{number}", 0) for number in range(2)] == counted
    await nothing_left(bench.client)
    await nothing_left(bench.client, "s2")


async def test_what_comes_later_is_delivered_to_each_group_by_itself(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    await busy(bench, calls=3)
    await drained(await deliverer())
    first = dict(service.seen)
    await bench.buy("late", "c1")
    await drained(await deliverer())
    assert len(service.seen) == len(first) + 1
    service.seen.clear()
    await drained(await deliverer(group="accounts"))
    assert service.seen.keys() == service.effects.keys()
    assert (await lag_of(bench.client, group="accounts")).drained


@pytest.mark.parametrize("seed", range(3))
async def test_every_row_once_in_effect_under_a_bad_order_service(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer, seed: int
) -> None:
    """Errors, drops with the row taken, garbage, redirects, a wrong length; each row is answered in the
    end."""
    await busy(bench, seed=seed, calls=20)
    draw = random.Random(seed)
    bad: list[bytes | None] = [
        answer(500, "oh"),
        answer(503, Retry_After="0"),
        answer(429),
        answer(408),
        answer(409, "under way"),
        answer(302, Location="http://127.0.0.1:1/"),
        GARBAGE,
        b"",
        None,
        None,
    ]
    plan: dict[str, list[bytes | None]] = {}

    def behave(row: Row, nth: int) -> bytes | None:
        wrongs = plan.setdefault(row["id"], draw.choices(bad, k=draw.choice([0, 0, 0, 1, 2])))
        return wrongs[nth - 1] if nth <= len(wrongs) else OK

    service.behave = behave
    one = await deliverer(timeout_ms=300)
    await drained(one)
    want = expected("s1", await bench.feed())
    assert arrived(service.effects) == want
    assert sum(service.seen.values()) > len(want) * 1.2
    assert in_order(service.arrived)
    assert (one.totals.dead, await dead(bench.client)) == (0, [])
    await nothing_left(bench.client)


async def test_a_refused_row_is_a_dead_letter_and_blocks_nobody(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    await all_ends(bench)

    def behave(row: Row, nth: int) -> bytes:
        if row["kind"] == "held" and row["userId"] == "ann":
            return answer(422, "no such shop")
        return answer(500) if row["kind"] == "released" else OK

    service.behave = behave
    one = await deliverer()
    await drained(one)
    assert one.totals.dead == 2
    refused, tired = await dead(bench.client)
    assert (refused.row.kind, refused.attempts, refused.why) == ("held", 1, "HTTP 422: no such shop")
    assert (tired.row.kind, tired.attempts) == ("released", SOON.attempts_max)
    assert tired.why == "4 attempts, the last: HTTP 500"
    want = expected("s1", await bench.feed())
    del want[refused.row.id], want[tired.row.id]
    assert arrived(service.effects) == want
    lag = await lag_of(bench.client)
    assert (lag.pending, lag.behind, lag.dead, lag.drained) == (0, 0, 2, True)

    service.behave = lambda row, nth: OK
    assert await move(bench.client, "s1", "orders", [f"{refused.row.epoch}-{refused.row.seq}"], "again") == 1
    assert not (await lag_of(bench.client)).drained
    await drained(await deliverer())
    assert refused.row.id in service.effects and tired.row.id not in service.effects
    assert [letter.row.id for letter in await dead(bench.client)] == [tired.row.id]
    assert await move(bench.client, "s1", "orders", [f"{tired.row.epoch}-{tired.row.seq}"], "drop") == 1
    assert await move(bench.client, "s1", "orders", ["1-1"], "drop") == 0
    await nothing_left(bench.client)


async def test_a_dead_letter_that_fails_again_is_one_again(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    await bench.open(bench.spec())
    await bench.buy("ann", "c1")
    service.behave = lambda row, nth: answer(400, "first") if nth == 1 else answer(410, "gone")
    await drained(await deliverer())
    (first,) = await dead(bench.client)
    place = f"{first.row.epoch}-{first.row.seq}"
    await move(bench.client, "s1", "orders", [place], "again")
    await drained(await deliverer())
    (second,) = await dead(bench.client)
    assert (second.row, second.why) == (first.row, "HTTP 410: gone")
    await nothing_left(bench.client)


async def test_no_more_dead_letters_than_there_may_be(
    bench: ValkeyBench,
    service: OrderService,
    deliverer: MakeDeliverer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rows beyond are tried on and on, and taken when the order service has come to its senses."""
    monkeypatch.setattr(limits, "DEAD_MAX", 2)
    await bench.open(bench.spec())
    for number in range(4):
        await bench.buy(f"u{number}", "c1")
    service.behave = lambda row, nth: answer(400) if nth < 5 else OK
    await drained(await deliverer())
    assert len(await dead(bench.client)) == 2
    assert len(service.effects) == 2
    await nothing_left(bench.client)


async def test_a_slow_order_service_holds_up_neither_sale_nor_other_reservations(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    """One row's answer never comes: its reservation waits, all others are delivered, and the sale sells
    on."""
    await bench.open(bench.spec((1_000,)))
    await bench.buy("slow", "c1")
    await bench.ledger.confirm(reservation_id("s1", "slow", 0), command_id="pay-1")
    stuck, free = asyncio.Event(), asyncio.Event()

    async def behave(row: Row) -> bytes:
        if row["userId"] == "slow" and row["kind"] == "held":
            stuck.set()
            await free.wait()
        return OK

    service.behave = lambda row, nth: behave(row)
    one = await deliverer(timeout_ms=11_000)
    running = asyncio.create_task(one.run())
    async with asyncio.timeout(WITHIN_S):
        await stuck.wait()
        for number in range(200):
            assert (await bench.buy(f"u{number}", "c1")).outcome is Outcome.RESERVED
    await until(lambda: len(service.effects) == 200)
    assert not any(row["userId"] == "slow" for row in service.effects.values())
    free.set()
    await until(lambda: len(service.effects) == 202)
    await until(lambda: drained_lag(bench.client))
    await end(running)
    assert in_order(service.arrived)
    await nothing_left(bench.client)


async def test_an_answer_that_drips_or_never_comes_is_cut_off(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    await bench.open(bench.spec())
    await bench.buy("ann", "c1")
    await bench.buy("bob", "c1")

    async def never(row: Row, nth: int) -> bytes:
        if nth == 1:
            await asyncio.sleep(WITHIN_S)
        return OK

    service.behave = never
    one = await deliverer(timeout_ms=100)
    await drained(one)
    assert one.totals.failed == 2
    assert set(service.seen.values()) == {2} and len(service.effects) == 2


async def test_an_order_service_that_asks_for_quiet_is_left_alone(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    """Between the refusal and the next request of any row lies the time it asked for."""
    await bench.open(bench.spec())
    for number in range(5):
        await bench.buy(f"u{number}", "c1")
    at: list[float] = []
    loop = asyncio.get_running_loop()

    def behave(row: Row, nth: int) -> bytes:
        at.append(loop.time())
        return answer(429, Retry_After="1") if len(at) == 1 else OK

    service.behave = behave
    await drained(await deliverer(at_once=1))
    assert len(service.effects) == 5
    assert at[1] - at[0] >= 0.99


async def test_nobody_listens_until_somebody_does(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    await bench.open(bench.spec())
    await bench.buy("ann", "c1")
    one = await deliverer(url="http://127.0.0.1:1/")
    await drained(one)
    assert (one.totals.delivered, one.totals.dead) == (0, 1)
    (letter,) = await dead(bench.client)
    assert "Cannot connect" in letter.why


# -- several processes, and their ends ------------------------------------------------------------------


async def test_a_row_that_was_told_to_be_delivered_does_not_come_again_after_a_crash(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    """One call's three rows; the process dies between the second and the third. The entry is not
    acknowledged, so the next process reads it again, and delivers what is left of it."""
    await bench.open(bench.spec())
    await bench.ledger.reserve("s1", [order(f"u{number}", "c1") for number in range(3)])
    third = asyncio.Event()

    async def behave(row: Row, nth: int) -> bytes:
        if row["userId"] == "u2" and nth == 1:
            third.set()
            await asyncio.sleep(WITHIN_S)
        return OK

    service.behave = behave
    first = await deliverer(at_once=1, timeout_ms=11_000)
    running = asyncio.create_task(first.run())
    async with asyncio.timeout(WITHIN_S):
        await third.wait()
    await end(running)
    lag = await lag_of(bench.client)
    assert (lag.pending, lag.behind, lag.drained) == (1, 0, False)
    await drained(await deliverer())
    assert [service.seen[f"s1/{lag.end.split('-')[0]}-{seq}"] for seq in (2, 3, 4)] == [1, 1, 2]
    assert len(service.effects) == 3
    await nothing_left(bench.client)


async def test_attempts_are_counted_over_processes(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    await bench.open(bench.spec())
    await bench.buy("ann", "c1")
    service.behave = lambda row, nth: answer(500)
    patient = Patience(attempts_max=4, wait_ms_first=5, wait_ms_most=60_000)
    first = await deliverer(patience=Patience(attempts_max=4, wait_ms_first=60_000, wait_ms_most=60_000))
    running = asyncio.create_task(first.run())
    await until(lambda: remembered(bench.client))
    await end(running)
    assert sum(service.seen.values()) == 1
    await drained(await deliverer(patience=patient))
    assert sum(service.seen.values()) == 4
    assert [letter.attempts for letter in await dead(bench.client)] == [4]


async def test_several_processes_share_the_sales_and_no_row_comes_twice(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    for number in range(4):
        await busy(bench, sale_id=f"s{number}", seed=number, calls=6)
    made = [await deliverer() for _ in range(3)]
    async with asyncio.timeout(WITHIN_S):
        await asyncio.gather(*(one.drain() for one in made))
    want: dict[str, tuple[str, str]] = {}
    for number in range(4):
        want |= expected(f"s{number}", await bench.feed(f"s{number}"))
    assert arrived(service.effects) == want
    assert set(service.seen.values()) == {1}
    assert sum(one.totals.delivered for one in made) == len(want)
    assert in_order(service.arrived)


async def test_a_process_that_lost_its_lease_delivers_and_writes_nothing_more(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    """It stood still, its lease ran out, another took over; its late answer is written down by nobody."""
    await bench.open(bench.spec())
    await bench.buy("ann", "c1")
    asked, free = asyncio.Event(), asyncio.Event()

    async def behave(row: Row, nth: int) -> bytes:
        if nth == 1:
            asked.set()
            await free.wait()
            return answer(400, "of the first process")
        return OK

    service.behave = behave
    late = await deliverer(timeout_ms=11_000)
    running = asyncio.create_task(late.run())
    async with asyncio.timeout(WITHIN_S):
        await asked.wait()
    await bench.client.delete(keys_of_group("s1", "orders").lease)
    other = await deliverer()
    await drained(other)
    free.set()
    await until(lambda: not late.working)
    await end(running)
    assert (other.totals.delivered, late.totals.delivered, late.totals.dead) == (1, 0, 0)
    assert await dead(bench.client) == []
    await nothing_left(bench.client)


async def test_a_store_that_is_away_for_a_moment(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    """All connections are killed between rows, again and again: everything arrives, once in effect."""
    await busy(bench, calls=12)
    cuts = 0

    async def behave(row: Row, nth: int) -> bytes:
        nonlocal cuts
        if cuts < 4 and len(service.effects) >= 30 * (cuts + 1):
            cuts += 1
            await bench.client.client_kill_filter(_type="normal", skipme=True)
        return OK

    service.behave = lambda row, nth: behave(row, nth)
    one = await deliverer()
    running = asyncio.create_task(one.run())
    want = expected("s1", await read_feed(bench.client, "s1", rows_max=10_000))
    await until(lambda: len(service.effects) >= len(want))
    await until(lambda: drained_lag(bench.client))
    await end(running)
    assert cuts == 4
    assert arrived(service.effects) == want
    assert in_order(service.arrived)


async def test_a_feed_that_can_not_be_read_is_said_and_holds_up_no_other_sale(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    await busy(bench, calls=2)
    await busy(bench, calls=2, sale_id="s2")
    await bench.client.xadd(feed_key("s1"), {"kind": "poetry", "first": "9", "at": "1"}, id="9999999999999-9")
    one = await deliverer()
    running = asyncio.create_task(one.run())
    want = expected("s2", await bench.feed("s2"))
    await until(lambda: want.keys() <= service.effects.keys())
    await until(lambda: drained_lag(bench.client, "s2"))
    await end(running)
    assert not (await lag_of(bench.client)).drained


async def test_a_sale_archived_while_it_is_taken_up_holds_up_no_other(
    bench: ValkeyBench,
    service: OrderService,
    deliverer: MakeDeliverer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was found to have something to do, and is gone before the group is made."""
    await busy(bench, calls=2)
    await busy(bench, calls=2, sale_id="s2")

    async def archived_behind(client: Redis, sale_ids: list[str], group: str) -> list[str]:
        found = await waiting(client, sale_ids, group)
        await bench.client.delete(*keys_of("s1"))
        return sorted(found)

    monkeypatch.setattr("liveserver.orders.deliverer.waiting", archived_behind)
    want = expected("s2", await bench.feed("s2"))
    async with asyncio.timeout(WITHIN_S):
        await (await deliverer()).drain()
    assert arrived(service.effects) == want
    assert not await bench.client.exists(feed_key("s1"))
