"""What processes tell each other of a sale comes late, twice, in any order; the latch lives by it."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack

import pytest

from liveserver.commands.ports import decided
from liveserver.hub.stock_desk import StockDesk
from liveserver.stock.audit import audit
from liveserver.stock.feed import read_feed
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import Outcome, StockView, Verdict
from liveserver.valkey.connect import call_client
from tests.clock import ManualClock
from tests.conftest import StartValkey
from tests.linear.checker import check
from tests.linear.recorder import STALE_NS, Process, Recorder, spec
from tests.stock.conftest import ValkeyBench, order

OPS = 3_000
SELLERS = 2
ELSEWHERE = 100


class Reordering(Process):
    """Its latch hears of views in any order; of some twice, of some never."""

    def __init__(self, number: int, store_url: str) -> None:
        super().__init__(number, store_url)
        self._draw = random.Random(number)
        self._late: list[StockView] = []

    def _learn(self, view: StockView) -> None:
        self._late.append(view)
        while len(self._late) > 8:
            told = self._late.pop(self._draw.randrange(len(self._late)))
            for _ in range(self._draw.randrange(3)):
                super()._learn(told)


async def test_views_in_any_order_never_make_the_latch_lie(durable_valkey: StartValkey) -> None:
    """Every latched answer names a place where it was true, and none is older than a view may be."""
    store = await durable_valkey(fsync="no")
    async with AsyncExitStack() as stack:
        admin = call_client(store.url)
        stack.push_async_callback(admin.aclose)
        sellers = [await stack.enter_async_context(Reordering(k, store.url)) for k in range(SELLERS)]
        await sellers[0].ledger.open(spec(OPS, scarce=True), command_id="open-1")
        recorder = Recorder(sellers, admin, seed=7, ops_max=OPS)
        await recorder.run(OPS, at_once=24)
        feed = await read_feed(admin, "s1", rows_max=100_000)
        assert (await audit(admin, "s1")).findings == []
    for op in recorder.ops:
        if op.latched:
            op.process += ELSEWHERE  # a latch never goes back, but may not know what its process was told
    assert recorder.counted["latched"] > 0
    assert [str(one) for one in check(recorder.ops, feed, stale=STALE_NS)] == []


@pytest.mark.parametrize("seed", range(5))
async def test_a_restock_is_sold_whatever_is_heard_after_it(seed: int, valkey_bench: ValkeyBench) -> None:
    """Another process sells, takes back and restocks; all it says arrives here shuffled. What is the newest
    decides, so whoever asks here is granted the unit that is there."""
    bench, draw = valkey_bench, random.Random(seed)
    clock: ManualClock = bench.clock
    desk = StockDesk(bench.ledger, clock, deadline_ms=300)
    elsewhere = ValkeyLedger(bench.client, clock)
    await bench.open(bench.spec((1,)))
    for number in range(8):
        told: list[StockView] = []
        verdicts, view = await elsewhere.reserve("s1", [order(f"u{number}", f"c{number}")])
        assert verdicts[0].outcome is Outcome.RESERVED and view.available == {"i0": 0}
        told.append(view)
        desk.observe(view)
        assert (await _asked(desk, f"x{number}")).outcome is Outcome.SOLD_OUT
        kept = verdicts[0].reservation
        assert kept is not None
        if draw.random() < 0.5:
            told.append((await elsewhere.release(kept.reservation_id, command_id="r")).view)
        else:
            command = f"more{number}"
            more = await elsewhere.adjust("s1", "i0", 1, actor="eve", reason="", command_id=command)
            told.append(more)
        told += draw.choices(told, k=3)
        draw.shuffle(told)
        for late in told:
            desk.observe(late)
        got = await _asked(desk, f"y{number}")
        assert got.outcome is Outcome.RESERVED and got.reservation is not None
        await bench.ledger.confirm(got.reservation.reservation_id, command_id="p")
        one_more = f"again{number}"
        await elsewhere.adjust("s1", "i0", 1, actor="eve", reason="", command_id=one_more)
    assert desk.outcomes.latched == 8
    await desk.aclose()
    assert (await audit(bench.client, "s1")).findings == []


async def _asked(desk: StockDesk, command_id: str) -> Verdict:
    return await decided(desk.purchase("s1", order("ann", command_id), attempt=0))
