"""The shipped counter under concurrent clients and broken wires: every history is linearizable."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack

import msgspec
import pytest

from liveserver.stock import durable_call
from liveserver.stock.audit import audit
from liveserver.stock.feed import read_feed
from liveserver.stock.latch import SoldOutLatch
from liveserver.stock.port import Outcome, StockView, Verdict
from liveserver.stock.rows import AnyRow, Served, Waited
from liveserver.valkey.connect import call_client
from tests.conftest import StartValkey
from tests.linear.checker import check, did
from tests.linear.history import Kind, Op
from tests.linear.recorder import STALE_NS, Process, Recorder, spec

OPS = 12_000
OPS_LINE = 4_000
OPS_LONG = 100_000
WAITLIST = 40
PROCESSES = 3
AT_ONCE = 48
ROUNDS, ROUNDS_MAX = 4, 24
ROWS_MAX = 1_000_000
SAID = {
    *("granted", "replayed", "sold_out", "limit_reached", "paused", "latched", "unavailable"),
    *("confirm: confirmed", "confirm: refund_due", "release: released", "return: returned"),
}
SAID_IN_LINE = SAID - {"latched", "limit_reached"} | {"waiting"}


async def recorded(
    durable_valkey: StartValkey,
    *,
    seed: int,
    ops: int,
    until: Callable[[Counter[str]], bool] = lambda _: True,
    scarce: bool = False,
    waitlist: int = 0,
) -> tuple[Recorder, list[AnyRow]]:
    """The history and the feed, which holds every law. How soon ``until`` holds is up to the machine, so it
    goes on until it does."""
    store = await durable_valkey(fsync="no")
    admin = call_client(store.url)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(admin.aclose)
        processes = [await stack.enter_async_context(Process(k, store.url)) for k in range(PROCESSES)]
        await processes[0].ledger.open(spec(ops, scarce=scarce, waitlist=waitlist), command_id="open-1")
        recorder = Recorder(processes, admin, seed=seed, ops_max=ops)
        for _ in range(ROUNDS_MAX):
            await recorder.run(ops // ROUNDS, at_once=AT_ONCE)
            if len(recorder.ops) >= ops and until(recorder.counted):
                break
        feed = await read_feed(admin, "s1", rows_max=ROWS_MAX)
        assert (await audit(admin, "s1")).findings == []
    return recorder, feed


def says(said: Collection[str]) -> Callable[[Counter[str]], bool]:
    return lambda counted: counted.keys() >= set(said)


def judge(
    recorder: Recorder, feed: list[AnyRow], said: Collection[str], capsys: pytest.CaptureFixture[str]
) -> None:
    counted, rows = recorder.counted, Counter(type(row).__name__ for row in feed)
    with capsys.disabled():
        print(f"\n{counted['ops']} operations, {counted['unknown']} unknown; {len(feed)} rows")
        for one in (counted, rows):
            print("  " + ", ".join(f"{name} {n}" for name, n in one.most_common()))
    assert counted["unknown"] >= counted["ops"] / 20
    assert counted.keys() >= set(said)
    assert [str(one) for one in check(recorder.ops, feed, stale=STALE_NS)] == []


@pytest.mark.slow
async def test_ten_thousand_operations_are_linearizable(
    durable_valkey: StartValkey, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder, feed = await recorded(durable_valkey, seed=1, ops=OPS, until=says(SAID))
    judge(recorder, feed, SAID, capsys)
    assert recorder.counted["ops"] >= 10_000
    for plant in (stale_sold_out, granted_twice, never_granted, paid_and_lost):
        ops = copy.deepcopy(recorder.ops)
        number = plant(ops)
        assert number in {found.op for found in check(ops, feed, stale=STALE_NS)}, plant.__name__


async def test_a_line_is_served_in_its_order_whatever_is_lost(
    durable_valkey: StartValkey, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same of a sale with a waitlist, and little stock. (Nothing of it is latched.)"""
    recorder, feed = await recorded(
        durable_valkey, seed=5, ops=OPS_LINE, until=says(SAID_IN_LINE), scarce=True, waitlist=WAITLIST
    )
    judge(recorder, feed, SAID_IN_LINE, capsys)
    assert {Waited, Served} <= {type(row) for row in feed}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 5))
async def test_a_hundred_thousand_operations_are_linearizable(
    seed: int, durable_valkey: StartValkey, capsys: pytest.CaptureFixture[str]
) -> None:
    line = WAITLIST if seed % 2 else 0
    said = SAID_IN_LINE if line else SAID
    recorder, feed = await recorded(durable_valkey, seed=seed, ops=OPS_LONG, until=says(said), waitlist=line)
    judge(recorder, feed, said, capsys)


def stale_sold_out(ops: list[Op]) -> int:
    """One is told, at the very end, what was true long before. Answers its number."""
    told = [op for op in ops if not op.latched and outcome(op) is Outcome.SOLD_OUT]
    told[0].start = told[0].end = max(op.end or 0 for op in ops) + 1
    return told[0].number


def granted_twice(ops: list[Op]) -> int:
    """A second one is told that it was the one who got the units."""
    first = next(op for op in ops if did(op) and op.asked.kind is Kind.PURCHASE)
    ops.append(msgspec.structs.replace(first, number=len(ops)))
    return len(ops) - 1


def never_granted(ops: list[Op]) -> int:
    """A purchase is acknowledged and nowhere in the feed."""
    first = next(op for op in ops if did(op) and op.asked.kind is Kind.PURCHASE)
    asked = msgspec.structs.replace(first.asked, command_id="never")
    ops.append(msgspec.structs.replace(first, number=len(ops), asked=asked))
    return len(ops) - 1


def paid_and_lost(ops: list[Op]) -> int:
    """A payment is acknowledged; the feed has no word of it."""
    first = next(op for op in ops if did(op) and op.asked.kind is Kind.CONFIRM)
    first.asked = msgspec.structs.replace(first.asked, command_id="lost")
    return first.number


def outcome(op: Op) -> Outcome | None:
    return op.answer.outcome if isinstance(op.answer, Verdict) else None


async def test_a_ledger_that_says_unavailable_where_it_should_say_pending_is_found(
    durable_valkey: StartValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A true lie, not a planted one: every lost reply is called certainly not executed."""
    monkeypatch.setattr(durable_call, "certainly_not_executed", lambda _: True)
    recorder, feed = await recorded(durable_valkey, seed=1, ops=2_000, until=lambda n: n["unavailable"] > 50)
    found = check(recorder.ops, feed, stale=STALE_NS)
    assert any("nobody who may have done it" in one.text for one in found), found


async def test_a_latch_that_hears_nothing_new_is_found(
    durable_valkey: StartValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on saying sold out when its own process has long been told of more."""

    def deaf(latch: SoldOutLatch, view: StockView, now_ms: int) -> None:
        known = latch._known.get(view.sale_id)
        if known is None or 0 not in known.view.available.values():
            hear(latch, view, now_ms)
        else:
            known.fresh_until_ms = known.probe_at_ms = now_ms + 60_000

    hear = SoldOutLatch.learn
    monkeypatch.setattr(SoldOutLatch, "learn", deaf)
    recorder, feed = await recorded(
        durable_valkey, seed=1, ops=2_000, until=lambda n: n["latched"] > 50, scarce=True
    )
    latched = {op.number for op in recorder.ops if op.latched}
    assert {one.op for one in check(recorder.ops, feed, stale=STALE_NS)} & latched
