"""After the fault: a frozen sale is rebuilt, as an operator does it, and every promise stands.

Buyers note what they were told (``rush.py``); after the rebuild each command must answer the same
reservation, the ledger must be verified, and the sale must sell on."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from liveserver.cli import ledger as command
from liveserver.stock.journal_files import JournalFiles
from liveserver.stock.journal_ledger import JournalLedger
from liveserver.stock.port import LedgerError, Order, Outcome, ReservationState, Verdict
from liveserver.store.embedded import Fsync
from tests.conftest import StartValkey
from tests.faults.conftest import Clients
from tests.faults.proxy import Proxy
from tests.faults.replicas import replicate
from tests.faults.rush import Rush, WallClock, judge, lost, outcome, sale, standing
from tests.stock.conftest import order
from tests.stock.contents import contents


class Processes:
    """Ledgers that each keep a journal in one folder."""

    def __init__(self, clients: Clients, folder: Path) -> None:
        self._clients = clients
        self.folder = folder
        self.journals: list[JournalFiles] = []

    def ledger(self, url: str) -> JournalLedger:
        name = f"p{len(self.journals)}"
        journal = JournalFiles(self.folder, name, WallClock().now_ms)
        self.journals.append(journal)
        return JournalLedger(self._clients.ledger(url), journal, WallClock())

    async def rebuild(self, url: str, *words: object) -> Result:
        given = ["rebuild", "s1", "--redis-url", url, "--journal", str(self.folder), *map(str, words)]
        return await asyncio.to_thread(CliRunner().invoke, command.app, given, env={})


@pytest.fixture
async def processes(clients: Clients, tmp_path: Path) -> AsyncIterator[Processes]:
    made = Processes(clients, tmp_path / "journal")
    yield made
    for journal in made.journals:
        journal.close()


async def asked_again(ledger: JournalLedger, orders: list[Order]) -> list[Verdict]:
    for _ in range(20):
        try:
            return (await ledger.reserve("s1", orders))[0]
        except LedgerError:  # connections to the killed one
            await asyncio.sleep(0.01)
    raise AssertionError("no answer")


async def sold_on(ledger: JournalLedger, rush: Rush, client: Redis) -> None:
    """Every command answers what it answered, and buyers buy as before."""
    asked = [
        Order(user_id, command_id, one.lines)
        for (user_id, command_id), one in (await standing(client)).items()
        if (user_id, command_id) in rush.told
    ]
    assert len(asked) == len(rush.told)
    for start in range(0, len(asked), 100):
        page = asked[start : start + 100]
        verdicts = await asked_again(ledger, page)
        for one, verdict in zip(page, verdicts, strict=True):
            assert verdict.replayed
            rush.note(one.user_id, one.command_id, verdict)  # the same reservation, or this raises
    more = Rush([ledger], seed=9, users=50)
    more._number = 100_000
    more.told = rush.told
    before = len(rush.told)
    await more.run(20)
    assert set(more.answers) == {Outcome.RESERVED} and len(rush.told) > before
    await judge(client, rush)


@pytest.mark.parametrize("fsync", ["everysec", "no"])
async def test_killed_in_mid_sale_and_rebuilt(
    fsync: Fsync,
    durable_valkey: StartValkey,
    clients: Clients,
    processes: Processes,
    tmp_path: Path,
) -> None:
    """The kernel has what the killed store wrote, but the next one can't know that."""
    folder = tmp_path / "data"
    store = await durable_valkey(folder, fsync=fsync)
    ledger = processes.ledger(store.url)
    epoch = (await ledger.open(sale(), command_id="open-1")).epoch
    rush = Rush([ledger])
    running = asyncio.create_task(rush.run(400))
    while len(rush.told) < 300 and not running.done():  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    store.kill()
    store = await durable_valkey(folder, fsync=fsync)
    await running
    assert set(rush.answers) == {Outcome.RESERVED, Outcome.FROZEN}
    done = await processes.rebuild(store.url, "--yes", "--json")
    assert done.exit_code == 0, done.output
    report: Any = json.loads(done.stdout)["report"]
    assert report["frozen"] == ["restarted"] and report["lost"] == [] and report["conflicts"] == []
    client = clients.client(store.url)
    await sold_on(ledger, rush, client)
    assert (await ledger.view("s1")).epoch > epoch


async def test_a_log_cut_short_is_made_whole_from_the_journal(
    durable_valkey: StartValkey,
    clients: Clients,
    processes: Processes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As a host that crashed before its disk had everything, at any byte: what the store lost, the journals
    of the processes, which ran elsewhere, still have. A dry run before it changes nothing."""
    folder = tmp_path / "data"
    store = await durable_valkey(folder, fsync="everysec")
    ledgers = [processes.ledger(store.url) for _ in range(2)]
    await ledgers[0].open(sale(), command_id="open-1")
    rush = Rush(ledgers)
    await rush.run(150)
    paid = [list(rush.told.values())[number * 3] for number in range(40)]
    for named in paid:
        await ledgers[0].confirm(named, command_id="p1")
    await ledgers[1].adjust("s1", "i0", 7, actor="eve", reason="found", command_id="a1")
    truth = await standing(clients.client(store.url))
    store.kill()
    losses = []
    for cut in range(1, 5):
        copy = tmp_path / f"cut{cut}"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.sock", "*.lock"))
        (log,) = (copy / "appendonlydir").glob("*.incr.aof")
        with log.open("r+b") as file:
            file.truncate(log.stat().st_size * (5 - cut) // 5 + cut)
        store = await durable_valkey(copy, fsync="everysec")
        client = clients.client(store.url)
        gone = await lost(client, rush)
        losses.append(gone)
        before = await contents(client)
        dry = await processes.rebuild(store.url, "--dry-run", "--json")
        assert dry.exit_code == 0, dry.output
        assert await contents(client) == before
        done = await processes.rebuild(store.url, "--yes", "--json")
        assert done.exit_code == 0, done.output
        planned: Any = json.loads(dry.stdout)["report"]
        report: Any = json.loads(done.stdout)["report"]
        assert report["recovered"] == planned["recovered"] and len(report["recovered"]) == gone
        there = await standing(client)
        assert {key: (one.reservation_id, one.state) for key, one in there.items()} == {
            key: (one.reservation_id, one.state) for key, one in truth.items()
        }
        told = dict(rush.told)
        await sold_on(processes.ledger(store.url), rush, client)
        rush.told = told
        for journal in processes.journals[2:]:  # what was told of this copy is nothing of the next one
            journal.close()
            journal._path.unlink(missing_ok=True)
        store.kill()
    assert losses[-1] > 100
    with capsys.disabled():
        print(f"\nrebuilt from the journals: {losses} of {len(rush.told)} lost by the store, 0 after it")


async def test_a_store_that_lost_everything_is_filled_again(
    durable_valkey: StartValkey, clients: Clients, processes: Processes
) -> None:
    store = await durable_valkey()
    ledger = processes.ledger(store.url)
    await ledger.open(sale(), command_id="open-1")
    rush = Rush([ledger])
    await rush.run(60)
    await ledger.confirm(next(iter(rush.told.values())), command_id="p1")
    store.kill()
    other = await durable_valkey()
    done = await processes.rebuild(other.url, "--yes", "--json")
    assert done.exit_code == 0, done.output
    report: Any = json.loads(done.stdout)["report"]
    assert report["afresh"] and len(report["recovered"]) == len(rush.told)
    again = processes.ledger(other.url)
    await sold_on(again, rush, clients.client(other.url))
    first = await again.reservation(next(iter(rush.told.values())))
    assert first.state is ReservationState.CONFIRMED


async def test_after_a_failover_to_a_lagging_replica(
    durable_valkey: StartValkey, clients: Clients, processes: Processes
) -> None:
    first, second = await durable_valkey(), await durable_valkey()
    primary, replica = clients.client(first.url), clients.client(second.url)
    async with Proxy(first.url) as wire:
        ledger = processes.ledger(wire.url)
        await ledger.open(sale(), command_id="open-1")
        rush = Rush([ledger])
        await rush.run(30)
        await replicate(primary, replica)
        await replica.replicaof("127.0.0.1", "1")  # cut off from here on
        await rush.run(30)
        first.kill()
        await replica.replicaof("NO", "ONE")
        wire.lead_to(second.url)
        assert await outcome(clients.ledger(second.url), "stranger") is Outcome.RESERVED  # nobody knows yet
        gone = await lost(replica, rush)
        assert gone > 0
        done = await processes.rebuild(second.url, "--yes", "--json")
        assert done.exit_code == 0, done.output
        report: Any = json.loads(done.stdout)["report"]
        assert report["frozen"] == ["behind"] and len(report["recovered"]) == gone
        rush.told["stranger", "c"] = "s1~stranger~0"  # what was sold meanwhile stands too
        await sold_on(ledger, rush, replica)


async def test_two_primaries_sold_the_same_units(
    durable_valkey: StartValkey, clients: Clients, processes: Processes
) -> None:
    """The promoted replica sold to others what the old primary had sold, and was paid for: that is oversold,
    and said so. What was only held is lost, one by one, and is paid late: the money goes back."""
    first, second = await durable_valkey(), await durable_valkey()
    primary, replica = clients.client(first.url), clients.client(second.url)
    old, new = processes.ledger(first.url), processes.ledger(second.url)
    await old.open(sale(2), command_id="open-1")
    await replicate(primary, replica)
    await replica.replicaof("127.0.0.1", "1")
    await old.reserve("s1", [order("ann", "c1"), order("bob", "c1")])
    await old.confirm("s1~ann~0", command_id="p1")
    first.kill()
    await replica.replicaof("NO", "ONE")
    await new.reserve("s1", [order("cat", "c1"), order("dan", "c1")])
    for named in ("s1~cat~0", "s1~dan~0"):
        await new.confirm(named, command_id="p2")
    done = await processes.rebuild(second.url, "--freeze", "--yes", "--json")
    assert done.exit_code == 3, done.output
    report: Any = json.loads(done.stdout)["report"]
    assert [(one["item_id"], one["units"]) for one in report["oversold"]] == [("i0", 1)]
    assert [(one["reservation_id"], one["why"]) for one in report["lost"]] == [
        ("s1~bob~0", "there are no units for it")
    ]
    states = {key[0]: one.state for key, one in (await standing(replica)).items()}
    paid = ReservationState.CONFIRMED
    assert states == {"ann": paid, "cat": paid, "dan": paid, "bob": ReservationState.EXPIRED}
    late = await new.confirm("s1~bob~0", command_id="p3")
    assert late.reservation.state is ReservationState.REFUND_DUE
