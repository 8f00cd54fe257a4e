"""The beat that expires what is due, and the reader of the feed."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from liveserver.stock import port
from liveserver.stock.feed import read_feed
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import Reservation, ReservationState, SaleStatus, StockView
from liveserver.stock.rows import Closed, Reserved
from liveserver.stock.sweeper import Sweeper
from tests.stock.conftest import HOLD_MS, SALE_MS, Bench, ValkeyBench, order


class Swept:
    def __init__(self, bench: Bench, *sales: str) -> None:
        self.expired: list[Reservation] = []
        self.views: list[StockView] = []
        self.sweeper = Sweeper(
            bench.ledger,
            bench.clock,
            lambda: sales,
            on_expired=self.expired.extend,
            on_view=self.views.append,
        )


async def test_a_beat_expires_all_that_is_due_and_closes_by_the_clock(bench: Bench) -> None:
    await bench.open(bench.spec((999,)))
    for call in range(4):
        await bench.ledger.reserve("s1", [order(f"u{call}-{number}", "c") for number in range(70)])
    swept = Swept(bench, "s1")
    await swept.sweeper.beat()
    assert swept.expired == [] and [view.available for view in swept.views] == [{"i0": 999 - 280}]
    await bench.advance(HOLD_MS)
    await swept.sweeper.beat()
    assert len(swept.expired) == 280
    assert {one.state for one in swept.expired} == {ReservationState.EXPIRED}
    assert swept.views[-1].available == {"i0": 999}
    await bench.advance(SALE_MS)
    await swept.sweeper.beat()
    assert swept.views[-1].status is SaleStatus.CLOSED
    assert isinstance((await bench.feed())[-1], Closed)


async def test_a_sale_found_frozen_is_told_once(bench: Bench) -> None:
    await bench.open(bench.spec((3,)))
    swept = Swept(bench, "s1")
    with capture_logs() as logs:
        await swept.sweeper.beat()
        assert logs == []
        await bench.ledger.freeze("s1", actor="eve", command_id="f1")
        for _ in range(3):
            await swept.sweeper.beat()
    (told,) = logs
    assert (told["log_level"], told["sale"]) == ("error", "s1")
    assert told["tells_why"] == "liveserver ledger rebuild s1 --dry-run"


async def test_what_nobody_foresaw_in_one_sale_stops_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.open(bench.spec((3,)))
    expire = bench.ledger.expire

    async def failing(sale_id: str) -> port.Swept:
        if sale_id == "odd":
            raise RuntimeError
        return await expire(sale_id)

    monkeypatch.setattr(bench.ledger, "expire", failing)
    swept = Swept(bench, "odd", "s1")
    await swept.sweeper.beat()
    assert len(swept.views) == 1


async def test_it_beats_each_second_and_an_unknown_sale_stops_nothing(bench: Bench) -> None:
    await bench.open(bench.spec((3,)))
    swept = Swept(bench, "nobody", "s1")
    beating = asyncio.ensure_future(swept.sweeper.run())
    for beats in (1, 2, 3):
        for _ in range(1_000):
            if len(swept.views) >= beats and bench.clock.sleepers:
                break
            await asyncio.sleep(0.001)
        assert len(swept.views) == beats
        await bench.advance(999)
        assert len(swept.views) == beats
        await bench.advance(1)
    beating.cancel()


async def test_holds_found_due_by_a_purchase_are_told_too(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    told: list[Reservation] = []
    ledger = bench.ledger = ValkeyLedger(bench.client, bench.clock, on_expired=told.extend)
    await bench.open(bench.spec((1,)))
    first = await bench.buy("ann", "c1")
    await bench.advance(HOLD_MS)
    await bench.buy("bob", "c1")
    assert [one.reservation_id for one in told] == [first.reservation and first.reservation.reservation_id]
    assert (await ledger.expire("s1")).expired == []


async def test_the_feed_is_read_in_pages(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    view = await bench.open(bench.spec((99,)))
    for number in range(7):
        await bench.buy(f"u{number}", "c")
    everything = await read_feed(bench.client, "s1")
    assert [row.last for row in everything] == list(range(1, 9))
    page = await read_feed(bench.client, "s1", after=(view.epoch, 3), rows_max=2)
    assert page == everything[3:5]
    assert isinstance(everything[-1], Reserved)
    assert await read_feed(bench.client, "s1", after=(view.epoch, 8)) == []
