"""The fences around the scripts: a store that lags, restarts, sleeps or has another clock."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from liveserver.stock import limits
from liveserver.stock.feed import read_feed
from liveserver.stock.fold import fold
from liveserver.stock.ledger import ACT_WITHIN_MS, ValkeyLedger
from liveserver.stock.limits import SKEW_MS_MAX
from liveserver.stock.port import (
    LedgerPendingError,
    LedgerUnavailableError,
    Line,
    Outcome,
    SaleConflictError,
    SaleItem,
    SaleSpec,
    SaleStatus,
    StockView,
    UnknownSaleError,
)
from liveserver.stock.rows import Frozen
from liveserver.stock.scripts import keys_of
from liveserver.store.embedded import EmbeddedValkey
from liveserver.valkey.connect import call_client
from tests.clock import ManualClock
from tests.conftest import StartValkey
from tests.stock.conftest import HOLD_MS, ValkeyBench, order


async def set_store_time(bench: ValkeyBench, ahead_ms: int) -> None:
    await bench.client.hset(keys_of("s1")[0], "pinned_ms", str(bench.clock.now_ms() + ahead_ms))


async def test_a_call_past_its_last_moment_does_nothing(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    await bench.open(bench.spec((3,)))
    await set_store_time(bench, ACT_WITHIN_MS + 1)
    with pytest.raises(LedgerUnavailableError):
        await bench.buy("ann", "c1")
    await set_store_time(bench, ACT_WITHIN_MS)
    assert (await bench.buy("ann", "c1")).seq == 2


async def test_clocks_too_far_apart_sell_and_expire_nothing(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    await bench.open(bench.spec((3,)))
    await bench.buy("ann", "c1")
    await bench.clock.advance(HOLD_MS)
    await set_store_time(bench, -SKEW_MS_MAX - 1)
    with pytest.raises(LedgerUnavailableError):
        await bench.buy("bob", "c1")
    with pytest.raises(LedgerUnavailableError):
        await bench.ledger.expire("s1")
    assert (await bench.ledger.view("s1")).seq == 2
    patient = ValkeyLedger(bench.client, bench.clock, act_within_ms=60_000)
    await set_store_time(bench, SKEW_MS_MAX + 1)
    with pytest.raises(LedgerUnavailableError):
        await patient.expire("s1")
    await set_store_time(bench, SKEW_MS_MAX)
    assert len((await patient.expire("s1")).expired) == 1


async def test_opening_asks_the_clock_too(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    for ahead_ms in (-SKEW_MS_MAX - 1, ACT_WITHIN_MS + 1):
        await set_store_time(bench, ahead_ms)
        with pytest.raises(LedgerUnavailableError):
            await bench.ledger.open(bench.spec((3,)), command_id="open-1")
    with pytest.raises(UnknownSaleError):
        await bench.ledger.view("s1")


async def test_time_never_goes_back(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    await bench.open(bench.spec((3,)))
    await bench.advance(1_000)
    first = await bench.buy("ann", "c1")
    await set_store_time(bench, -700)
    second = await bench.buy("bob", "c1")
    assert first.reservation is not None and second.reservation is not None
    assert second.reservation.expires_at_ms == first.reservation.expires_at_ms
    fold(await bench.feed())


async def test_a_sale_opened_anew_is_newer_and_its_items_are_learnt_again(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    await bench.open(bench.spec((3, 0)))
    await bench.buy("ann", "c1")
    await bench.client.delete(*keys_of("s1"))
    await bench.advance(5)
    now_ms = bench.clock.now_ms()
    spec = SaleSpec("s1", (SaleItem("other", 7), SaleItem("i0", 5)), 0, now_ms, now_ms + 99_000, HOLD_MS)
    await ValkeyLedger(bench.client, bench.clock).open(spec, command_id="open-2")
    verdicts, view = await bench.ledger.reserve("s1", [order("ann", "c1", (0, 2))])
    assert verdicts[0].reservation is not None and not verdicts[0].replayed
    assert verdicts[0].reservation.lines == (Line("i0", 2),)
    assert view.available == {"other": 7, "i0": 3}
    assert await bench.ledger.reservations_of("s1", "ann") == [verdicts[0].reservation]


async def test_word_of_a_newer_epoch_that_the_store_never_had_freezes(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    view = await bench.open(bench.spec((3,)))
    bench.ledger.learn(StockView("s1", view.epoch + 1, 1, SaleStatus.OPEN, {}, 0, 1))
    assert (await bench.buy("ann", "c1")).outcome is Outcome.FROZEN


async def test_a_process_that_saw_nothing_goes_by_the_others_freeze(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    view = await bench.open(bench.spec((3,)))
    bench.ledger.learn(StockView("s1", view.epoch, 2, SaleStatus.OPEN, {}, 0, 1))
    await bench.ledger.expire("s1")
    other = ValkeyLedger(bench.client, bench.clock)
    verdicts, _ = await other.reserve("s1", [order("ann", "c1")])
    assert verdicts[0].outcome is Outcome.FROZEN
    assert [row.seen for row in await bench.feed() if isinstance(row, Frozen)] == [f"{view.epoch}-2"]


async def test_a_sales_meta_is_kept_as_a_table(valkey_bench: ValkeyBench) -> None:
    """As a list every field of it would be searched for, at every call."""
    await valkey_bench.open(valkey_bench.spec((9,)))
    assert await valkey_bench.client.object("ENCODING", keys_of("s1")[0]) == b"hashtable"


async def test_a_sale_of_a_newer_version_is_left_alone(valkey_bench: ValkeyBench) -> None:
    """An older process, still running beside newer ones, doesn't know all that such a sale keeps."""
    bench = valkey_bench
    await bench.open(bench.spec((9,)))
    verdict = await bench.buy("ann", "c1")
    assert verdict.reservation is not None
    meta = keys_of("s1")[0]
    await bench.client.hset(meta, "format", limits.FORMAT + 1)
    before = await bench.client.dump(meta)
    with pytest.raises(LedgerUnavailableError, match="newer version"):
        await bench.buy("bob", "c1")
    with pytest.raises(LedgerUnavailableError, match="newer version"):
        await bench.ledger.confirm(verdict.reservation.reservation_id, command_id="p")
    assert await bench.client.dump(meta) == before
    assert (await bench.ledger.lookup("s1", "ann", "c1")) == verdict.reservation
    await bench.client.hset(meta, "format", limits.FORMAT)
    assert (await bench.buy("bob", "c1")).outcome is Outcome.RESERVED


async def test_nothing_is_opened_on_what_is_left_of_a_lost_sale(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    spec = bench.spec((3,))
    await bench.open(spec)
    await bench.buy("ann", "c1")
    for lost in (keys_of("s1")[0], keys_of("s1")[2]):
        await bench.client.delete(lost)
        with pytest.raises(SaleConflictError):
            await ValkeyLedger(bench.client, bench.clock).open(spec, command_id="open-2")


# Restarts


@pytest.fixture
async def clients() -> AsyncIterator[list[Redis]]:
    made: list[Redis] = []
    yield made
    for client in made:
        await client.aclose()


def bench_on(store: EmbeddedValkey, clock: ManualClock, clients: list[Redis]) -> ValkeyBench:
    client = call_client(store.url)
    clients.append(client)
    return ValkeyBench(clock, client)


async def test_after_a_kill_a_fsynced_store_goes_on(
    durable_valkey: StartValkey, tmp_path: Path, clock: ManualClock, clients: list[Redis]
) -> None:
    store = await durable_valkey(tmp_path / "data")
    bench = bench_on(store, clock, clients)
    view = await bench.open(bench.spec((3,)))
    bought = await bench.buy("ann", "c1")
    store.kill()
    await durable_valkey(tmp_path / "data")  # the same socket: the ledger itself finds out
    again = await bench.buy("ann", "c1")
    assert again.replayed and again.reservation == bought.reservation
    verdict = await bench.buy("bob", "c1")
    assert (verdict.outcome, verdict.epoch, verdict.seq) == (Outcome.RESERVED, view.epoch, 3)
    fold(await bench.feed())


async def test_after_a_restart_without_fsync_the_sale_freezes(
    durable_valkey: StartValkey, tmp_path: Path, clock: ManualClock, clients: list[Redis]
) -> None:
    store = await durable_valkey(tmp_path / "data", fsync="everysec")
    bench = bench_on(store, clock, clients)
    await bench.open(bench.spec((3,)))
    await bench.buy("ann", "c1")
    await store.stop()
    await durable_valkey(tmp_path / "data", fsync="everysec")
    assert (await bench.buy("bob", "c1")).outcome is Outcome.FROZEN
    assert (await bench.buy("ann", "c1")).replayed
    assert [row.reason for row in await bench.feed() if isinstance(row, Frozen)] == ["restarted"]
    newcomer = ValkeyLedger(bench.client, clock)
    verdicts, _ = await newcomer.reserve("s1", [order("cat", "c1")])
    assert verdicts[0].outcome is Outcome.FROZEN


async def test_how_safe_the_run_before_was_decides(
    durable_valkey: StartValkey, tmp_path: Path, clock: ManualClock, clients: list[Redis]
) -> None:
    store = await durable_valkey(tmp_path / "data")
    bench = bench_on(store, clock, clients)
    await bench.open(bench.spec((9,)))
    await store.stop()
    store = await durable_valkey(tmp_path / "data", fsync="everysec")
    assert (await bench.buy("ann", "c1")).outcome is Outcome.RESERVED  # the run before was safe
    assert (await bench.buy("ann", "c2")).outcome is Outcome.RESERVED  # and within a run nothing is lost
    await store.stop()
    await durable_valkey(tmp_path / "data")
    assert (await bench.buy("bob", "c1")).outcome is Outcome.FROZEN  # that one wasn't


async def test_a_store_restored_from_an_older_copy_freezes(
    durable_valkey: StartValkey, tmp_path: Path, clock: ManualClock, clients: list[Redis]
) -> None:
    """fsynced by its own account, but not the same data: only what the process has seen tells."""
    store = await durable_valkey(tmp_path / "data")
    bench = bench_on(store, clock, clients)
    await bench.open(bench.spec((3,)))
    keys = keys_of("s1")
    copy = {key: await bench.client.dump(key) for key in keys if await bench.client.exists(key)}
    await bench.buy("ann", "c1")
    await bench.client.delete(*keys)
    for key, value in copy.items():
        assert value is not None
        await bench.client.restore(key, 0, value)
    assert (await bench.buy("bob", "c1")).outcome is Outcome.FROZEN
    store.kill()
    await durable_valkey(tmp_path / "data")
    assert (await bench.buy("bob", "c1")).outcome is Outcome.FROZEN


# Refusals of the store


async def test_what_the_store_refuses_is_unavailable_and_does_nothing(
    durable_valkey: StartValkey, clock: ManualClock, clients: list[Redis]
) -> None:
    bench = bench_on(await durable_valkey(fsync="no"), clock, clients)
    await bench.open(bench.spec((3,)))
    for name, value, back in (("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")):
        await bench.client.config_set(name, value)
        with pytest.raises(LedgerUnavailableError):
            await bench.buy("ann", "c1")
        await bench.client.config_set(name, back)
    assert (await bench.buy("ann", "c1")).seq == 2


async def test_a_timed_out_call_is_pending_is_not_repeated_and_a_reading_one_is_unavailable(
    durable_valkey: StartValkey, clock: ManualClock, clients: list[Redis]
) -> None:
    store = await durable_valkey(fsync="no")
    bench = bench_on(store, clock, clients)
    await bench.open(bench.spec((9,)))
    impatient = call_client(store.url, timeout_ms=200)
    clients.append(impatient)
    ledger = ValkeyLedger(impatient, clock)
    bought = await bench.buy("eve", "c1")
    assert bought.reservation is not None
    await ledger.expire("s1")
    os.kill(store.pid, signal.SIGSTOP)
    try:
        with pytest.raises(LedgerPendingError):
            await ledger.reserve("s1", [order("ann", "c1")])
        with pytest.raises(LedgerUnavailableError):  # no connection was made: it was never sent
            await ledger.confirm(bought.reservation.reservation_id, command_id="p1")
        with pytest.raises(LedgerUnavailableError):
            await ledger.view("s1")
    finally:
        os.kill(store.pid, signal.SIGCONT)
    assert (await bench.buy("ann", "c1")).replayed
    assert (await ledger.view("s1")).seq == 3
    assert (await ledger.confirm(bought.reservation.reservation_id, command_id="p1")).changed


async def test_a_cancelled_call_harms_no_other(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    await bench.open(bench.spec((900,)))
    for number in range(30):
        lost = asyncio.ensure_future(bench.buy(f"lost{number}", "c"))
        await asyncio.sleep(0.0002 * (number % 4))
        lost.cancel()
        kept = await asyncio.gather(*(bench.buy(f"kept{number}-{k}", "c") for k in range(3)))
        for k, verdict in enumerate(kept):
            assert verdict.reservation is not None
            assert verdict.reservation.user_id == f"kept{number}-{k}"
        await asyncio.gather(lost, return_exceptions=True)
        truth = await bench.ledger.lookup("s1", f"lost{number}", "c")
        again = await bench.buy(f"lost{number}", "c")
        assert again.replayed is (truth is not None)
    assert len(fold(await read_feed(bench.client, "s1")).state) == 30 * 4
