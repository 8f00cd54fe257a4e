"""Faults of the store itself: killed, its log cut short, its disk full, its clock an hour off.

What was lost is counted: a reservation told to a buyer that the store hasn't after it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from liveserver.app import StoreUnfitError, running
from liveserver.config import Settings
from liveserver.stock.audit import audit
from liveserver.stock.export import feed_entries
from liveserver.stock.ids import reservation_id
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import LedgerUnavailableError, Outcome, SaleStatus
from liveserver.stock.rows import Frozen, parse_row
from liveserver.stock.scripts import keys_of
from liveserver.store.embedded import Fsync
from tests.conftest import StartValkey
from tests.faults.conftest import Clients
from tests.faults.rush import Rush, WallClock, judge, lost, outcome, sale, standing
from tests.stock.conftest import order

HOUR_MS = 3_600_000
CUTS = 6
DISK_BYTES = 6 * 1024 * 1024


async def test_killed_twice_in_mid_sale_with_every_write_on_disk(
    durable_valkey: StartValkey, clients: Clients, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``always``: nothing told is lost, the sale goes on by itself in the same epoch."""
    folder = tmp_path / "data"
    store = await durable_valkey(folder)
    client = clients.client(store.url)
    ledgers = [clients.ledger(store.url) for _ in range(2)]
    epoch = (await ledgers[0].open(sale(), command_id="open-1")).epoch
    rush = Rush(ledgers)
    running = asyncio.create_task(rush.run(600))
    away_ms = []
    for enough in (150, 500):
        while len(rush.told) < enough and not running.done():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        store.kill()
        told, began = dict(rush.told), time.monotonic()
        store = await durable_valkey(folder)
        away_ms.append(1000 * (time.monotonic() - began))
        there = await standing(clients.client(store.url))
        assert {key: there[key].reservation_id for key in told} == told
    await running
    assert rush.unknown + rush.refused > 0, "no kill was felt"
    assert set(rush.answers) == {Outcome.RESERVED}
    report = await judge(client, rush)
    assert report.epoch == epoch and await lost(client, rush) == 0
    with capsys.disabled():
        restarts = ", ".join(f"{each:.0f}" for each in away_ms)
        print(f"\nalways: kill -9 twice, 0 of {len(rush.told)} lost; the store was back after {restarts} ms")


@pytest.mark.parametrize("fsync", ["everysec", "no"])
async def test_killed_without_every_write_on_disk(
    fsync: Fsync,
    durable_valkey: StartValkey,
    clients: Clients,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The kernel has what the killed process wrote, but the next one can't know: it sells nothing more."""
    folder = tmp_path / "data"
    store = await durable_valkey(folder, fsync=fsync)
    ledger = clients.ledger(store.url)
    await ledger.open(sale(), command_id="open-1")
    rush = Rush([ledger])
    running = asyncio.create_task(rush.run(400))
    while len(rush.told) < 300 and not running.done():  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    store.kill()
    store = await durable_valkey(folder, fsync=fsync)
    await running
    assert rush.unknown + rush.refused > 0, "the kill was not felt"
    assert set(rush.answers) == {Outcome.RESERVED, Outcome.FROZEN}
    client = clients.client(store.url)
    gone = await lost(client, rush)
    with capsys.disabled():
        print(f"\n{fsync}: kill -9, {gone} of {len(rush.told)} lost")
    for process in (ledger, clients.ledger(store.url)):  # one that has seen it all, and a newcomer
        assert await outcome(process, "newcomer") is Outcome.FROZEN
    assert (await audit(client, "s1")).findings == []
    for key, one in (await standing(client)).items():  # what is there is what was told
        assert rush.told[key] == one.reservation_id


async def test_a_log_cut_short_leaves_a_whole_sale_and_a_frozen_one(
    durable_valkey: StartValkey, clients: Clients, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a host that crashed before its disk had everything: the tail of the log is missing, from any byte.
    What is left holds every law; a process that had seen more freezes the sale, and so does a newcomer."""
    folder = tmp_path / "data"
    store = await durable_valkey(folder, fsync="everysec")
    ledger = clients.ledger(store.url)
    await ledger.open(sale(), command_id="open-1")
    rush = Rush([ledger])
    await rush.run(150)
    for number in range(30):
        await ledger.confirm(list(rush.told.values())[number * 3], command_id="p1")
    seen = await ledger.view("s1")
    store.kill()
    losses = []
    for cut in range(1, CUTS + 1):
        copy = tmp_path / f"cut{cut}"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.sock", "*.lock"))
        (log,) = (copy / "appendonlydir").glob("*.incr.aof")
        with log.open("r+b") as file:
            size = log.stat().st_size
            file.truncate(size - size * cut // (CUTS + 3) - cut)  # mostly in the middle of a command
        restarted = await durable_valkey(copy, fsync="everysec")
        client = clients.client(restarted.url)
        losses.append(await lost(client, rush))
        before = await audit(client, "s1")
        assert before.findings == [] and before.seq < seen.seq
        witness = clients.ledger(restarted.url)
        if cut % 2:
            witness.learn(seen)
        assert await outcome(witness, "newcomer") is Outcome.FROZEN
        rows = [parse_row("s1", *entry) async for entry in feed_entries(client, "s1")]
        reasons = [row.reason for row in rows if isinstance(row, Frozen)]
        assert reasons == ["behind" if cut % 2 else "restarted"]
        assert (await audit(client, "s1")).findings == []
        restarted.kill()
    with capsys.disabled():
        print(f"\neverysec, the log cut short {CUTS} times: {losses} of {len(rush.told)} lost")
    assert losses == sorted(losses) and losses[-1] > losses[0] >= 0


async def test_a_store_that_evicts_is_refused_at_the_start(
    durable_valkey: StartValkey, clients: Clients
) -> None:
    store = await durable_valkey(fsync="no")
    client = clients.client(store.url)
    settings = Settings(port=0, redis_url=store.url, secret="x" * 32)
    await client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(StoreUnfitError, match="noeviction"):
        async with running(settings):
            pass
    await client.config_set("maxmemory-policy", "noeviction")
    async with running(settings) as server:
        assert server.http_url


# A disk of its own


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave: int) -> Path:
    filler = folder / "filler"
    free = shutil.disk_usage(folder).free
    filler.write_bytes(b"x" * max(0, free - leave))
    return filler


async def test_a_full_disk_ends_a_store_that_promised_the_disk_and_loses_nothing(
    small_disk: Path, durable_valkey: StartValkey, clients: Clients
) -> None:
    """``always`` can't keep its word, so the store ends itself. Given room and started, it goes on."""
    store = await durable_valkey(small_disk)
    ledger = clients.ledger(store.url)
    await ledger.open(sale(1_000_000), command_id="open-1")
    rush = Rush([ledger])
    filler = fill(small_disk, 64 * 1024)
    running = asyncio.create_task(rush.run(900))
    for _ in range(10_000):
        if not store.alive or running.done():
            break
        await asyncio.sleep(0.001)
    assert not store.alive, "the disk never got full"
    filler.unlink()
    store.kill()
    told = dict(rush.told)
    store = await durable_valkey(small_disk)
    client = clients.client(store.url)
    there = await standing(client)
    assert {key: there[key].reservation_id for key in told if key in there} == told
    await running
    await judge(client, rush)


async def test_a_full_disk_stops_sales_and_they_go_on_when_there_is_room(
    small_disk: Path, durable_valkey: StartValkey, clients: Clients
) -> None:
    """``everysec`` refuses writes up front while the disk is full, and heals by itself."""
    store = await durable_valkey(small_disk, fsync="everysec")
    client = clients.client(store.url)
    ledger = clients.ledger(store.url)
    await ledger.open(sale(1_000_000), command_id="open-1")
    rush = Rush([ledger])
    filler = fill(small_disk, 64 * 1024)
    running = asyncio.create_task(rush.run(900))
    for _ in range(10_000):
        if rush.refused > 3 or running.done():
            break
        await asyncio.sleep(0.001)
    assert rush.refused > 3, "the disk never got full"
    filler.unlink()
    await running
    assert store.alive
    await judge(client, rush)


# Its clock


@pytest.mark.parametrize("off_ms", [HOUR_MS, -HOUR_MS])
async def test_a_clock_an_hour_off_neither_sells_nor_expires(
    off_ms: int, durable_valkey: StartValkey, clients: Clients
) -> None:
    store = await durable_valkey(fsync="no")
    client, clock = clients.client(store.url), WallClock()
    ledger = ValkeyLedger(client, clock)
    await ledger.open(sale(), command_id="open-1")
    rush = Rush([ledger])
    await rush.run(20)
    before = await ledger.view("s1")
    user_id, _ = next(iter(rush.told))
    meta = keys_of("s1")[0]
    await client.hset(meta, "pinned_ms", str(clock.now_ms() + off_ms))
    if off_ms < 0:  # a sale's time never goes back, it stands still; so the processes' must have gone on
        clock.ahead_ms = 10_000
    told = reservation_id("s1", user_id, 0)
    for act in (
        lambda: ledger.reserve("s1", [order("late", "c")]),
        lambda: ledger.expire("s1"),
        lambda: ledger.confirm(told, command_id="p"),
        lambda: ledger.release(told, command_id="r"),
        lambda: ledger.adjust("s1", "i0", 1, actor="eve", reason="", command_id="a"),
    ):
        with pytest.raises(LedgerUnavailableError):
            await act()
    held = await ledger.view("s1")
    assert (held.seq, held.held) == (before.seq, before.held)
    await client.hdel(meta, "pinned_ms")
    clock.ahead_ms = 0
    await rush.run(20)
    after = await ledger.view("s1")
    assert after.status is SaleStatus.OPEN and after.seq > before.seq
    await judge(client, rush)
