"""Sales nobody watches: found by their keys, swept where something is due, left alone where nothing is."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from redis.exceptions import ConnectionError as StoreAway
from structlog.testing import capture_logs

from liveserver.stock.fold import fold
from liveserver.stock.patrol import Patrol, with_something_due
from liveserver.stock.port import SaleStatus
from liveserver.stock.rows import Closed, Expired
from liveserver.stock.sales import find_sales, sales_with
from liveserver.stock.scripts import keys_of
from liveserver.stock.sweeper import Sweeper
from tests.stock.conftest import HOLD_MS, SALE_MS, ValkeyBench


async def due(bench: ValkeyBench, *sales: str) -> list[str]:
    return await with_something_due(bench.client, sales, bench.clock.now_ms())


def patrol(bench: ValkeyBench, swept: list[str]) -> Patrol:
    def quiet(_: object) -> None: ...

    sweeper = Sweeper(bench.ledger, bench.clock, lambda: (), on_expired=quiet, on_view=quiet)

    async def sweep(sales: Collection[str]) -> None:
        swept.extend(sales)
        await sweeper.sweep(sales)

    return Patrol(bench.client, bench.clock, sweep)


async def test_a_hold_past_its_due_and_a_closing_time_past(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    await bench.open(bench.spec())
    await bench.open(bench.spec(sale_id="quiet"))
    assert await due(bench, "s1", "quiet", "nobody") == []
    await bench.buy("ann", "c1")
    await bench.advance(HOLD_MS - 1)
    assert await due(bench, "s1", "quiet") == []
    await bench.advance(1)
    assert await due(bench, "s1", "quiet") == ["s1"]
    await bench.ledger.expire("s1")
    assert await due(bench, "s1", "quiet") == []
    await bench.advance(SALE_MS - HOLD_MS)
    assert await due(bench, "s1", "quiet") == ["s1", "quiet"]


async def test_somebody_waiting_in_line_is_something(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    await bench.open(bench.spec((0,), waitlist=1))
    assert await due(bench, "s1") == []
    await bench.buy("ann", "c1")
    assert await due(bench, "s1") == ["s1"]
    await bench.ledger.close("s1", actor="eve", command_id="close-1")
    assert await due(bench, "s1") == []


async def test_a_restart_is_something_in_every_sale_that_runs(valkey_bench: ValkeyBench) -> None:
    """And once only: the sweep decides whether the sale may go on, and writes down the run."""
    bench = valkey_bench
    for sale_id in ("open", "paused", "frozen", "closed", "rebuilding"):
        await bench.open(bench.spec(sale_id=sale_id))
    await bench.ledger.pause("paused", actor="eve", command_id="c1")
    await bench.ledger.freeze("frozen", actor="eve", command_id="c1")
    await bench.ledger.close("closed", actor="eve", command_id="c1")
    swept: list[str] = []
    walking = patrol(bench, swept)
    await walking.beat()
    assert swept == []
    for sale_id in await find_sales(bench.client):
        await bench.client.hset(keys_of(sale_id)[0], mapping={"run": "an earlier one", "safe": "0"})
    await bench.client.hset(keys_of("rebuilding")[0], "rebuilding", "1")
    with capture_logs() as logs:
        await walking.beat()
        await walking.beat()
    assert sorted(swept) == ["open", "paused"]
    for sale_id in swept:
        assert (await bench.ledger.view(sale_id)).status is SaleStatus.FROZEN
    told = [(log["sale"], log["log_level"]) for log in logs if log["event"].startswith("a sale is frozen")]
    assert sorted(told) == [("open", "error"), ("paused", "error")]


async def test_a_restart_that_lost_nothing_is_no_freeze(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    await bench.open(bench.spec())
    await bench.client.hset(keys_of("s1")[0], mapping={"run": "an earlier one", "safe": "1"})
    assert await due(bench, "s1") == ["s1"]
    with capture_logs() as logs:
        await patrol(bench, []).beat()
    assert (await bench.ledger.view("s1")).status is SaleStatus.OPEN
    assert logs == [] and await due(bench, "s1") == []


async def test_a_forgotten_sale_ends_by_itself(valkey_bench: ValkeyBench) -> None:
    """Nobody calls for it any more: its holds expire, it closes, and the next walk finds nothing to do."""
    bench = valkey_bench
    for number in range(3):
        await bench.open(bench.spec(sale_id=f"s{number}"))
    for number in range(5):
        await bench.buy(f"u{number}", "c1")
    await bench.advance(SALE_MS)
    before = len(await bench.feed())
    swept: list[str] = []
    walking = patrol(bench, swept)
    await walking.beat()
    assert sorted(swept) == ["s0", "s1", "s2"]
    rows = (await bench.feed())[before:]
    assert {type(row) for row in rows} == {Expired, Closed}
    assert fold(await bench.feed()).held == [0]
    swept.clear()
    await walking.beat()
    assert swept == []


async def test_a_store_that_is_away_is_left_for_the_next_walk(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    await bench.open(bench.spec())
    await bench.advance(SALE_MS)
    swept: list[str] = []
    walking = patrol(bench, swept)
    scan, failures = bench.client.scan, 0

    async def away(*_: object, **__: object) -> None:
        nonlocal failures
        failures += 1
        raise StoreAway

    bench.client.scan = away  # type: ignore[method-assign, assignment]
    running = asyncio.ensure_future(walking.run())
    while not bench.clock.sleepers:  # noqa: ASYNC110  a walk's end is no event
        await asyncio.sleep(0.001)
    assert (failures, swept) == (1, [])
    bench.client.scan = scan  # type: ignore[method-assign]
    await bench.advance(10_000)
    while not swept or not bench.clock.sleepers:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    running.cancel()
    assert swept == ["s1"]


async def test_only_keys_of_ours_name_a_sale(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    for number in range(30):
        await bench.open(bench.spec(sale_id=f"s{number}"))
    await bench.client.set("{sale:other}:metadata", "x")
    await bench.client.set("{sale:a b}:meta", "x")
    found = [sale_id async for page in sales_with(bench.client, "meta") for sale_id in page]
    assert sorted(set(found)) == sorted(f"s{number}" for number in range(30))
    assert await find_sales(bench.client) == sorted(set(found))
