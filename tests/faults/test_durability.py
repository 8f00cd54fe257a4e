"""An answer is given when it has reached what was asked, not before, and says what it has reached."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from liveserver.app import StoreUnfitError, running
from liveserver.config import Settings
from liveserver.stock import durable_call
from liveserver.stock.audit import audit
from liveserver.stock.durability import Promise
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import (
    Durability,
    LedgerPendingError,
    LedgerUnavailableError,
    Outcome,
    Verdict,
)
from liveserver.store.embedded import EmbeddedValkey, Fsync
from protocol.commands import Purchase
from protocol.replies import PurchaseOutcome
from protocol.types import OrderLine
from tests.conftest import StartValkey
from tests.end_to_end.raw import Raw
from tests.end_to_end.shop import list_oil, open_oil_sale
from tests.faults.conftest import Clients
from tests.faults.disk import Disk
from tests.faults.replicas import cut_off, replicate
from tests.faults.rush import outcome, sale, standing
from tests.stock.conftest import order

SECRET = "a secret of the tests, which is long enough for HS256"
FSYNCED = Promise(Durability.FSYNCED)
REPLICATED = Promise(Durability.REPLICATED, replicas=1, wait_ms=50)
IN_NO_HURRY = Promise(Durability.REPLICATED, replicas=1, wait_ms=4_000)
UNANSWERED_S = 0.3  # the wrong answer would come at once; a slow machine only makes the test milder


async def buy(ledger: ValkeyLedger, user_id: str, command_id: str = "c") -> Verdict:
    verdicts, _ = await ledger.reserve("s1", [order(user_id, command_id)])
    return verdicts[0]


async def unanswered(task: asyncio.Task[Any]) -> bool:
    done, _ = await asyncio.wait({task}, timeout=UNANSWERED_S)
    return not done


# fsynced


async def test_fsynced_answers_only_when_the_disk_has_it(
    disk: Disk, disk_valkey: StartValkey, clients: Clients, tmp_path: Path
) -> None:
    store = await disk_valkey(tmp_path / "data")
    ledger = clients.ledger(store.url, promise=FSYNCED)
    await ledger.open(sale(), command_id="open-1")
    disk.hold()
    asked = asyncio.create_task(buy(ledger, "ann"))
    await disk.until_held()
    assert await unanswered(asked)
    disk.release()
    told = await asked
    assert (told.outcome, told.durability) == (Outcome.RESERVED, Durability.FSYNCED)
    store.kill()
    disk.after_a_crash(tmp_path / "data", tmp_path / "found")
    found = await disk_valkey(tmp_path / "found")
    assert ("ann", "c") in await standing(clients.client(found.url))


async def test_everysec_answers_before_the_disk_has_it_and_says_memory(
    disk: Disk, disk_valkey: StartValkey, clients: Clients, tmp_path: Path
) -> None:
    """The control of the test above: the same disk, held in the same way."""
    store = await disk_valkey(tmp_path / "data", fsync="everysec")
    ledger = clients.ledger(store.url)
    await ledger.open(sale(), command_id="open-1")
    disk.hold()
    await buy(ledger, "bob")
    await disk.until_held()
    told = await buy(ledger, "ann")
    assert (told.outcome, told.durability) == (Outcome.RESERVED, Durability.MEMORY)
    store.kill()
    disk.release()
    disk.after_a_crash(tmp_path / "data", tmp_path / "found")
    found = await disk_valkey(tmp_path / "found", fsync="everysec")
    assert ("ann", "c") not in await standing(clients.client(found.url))


@pytest.mark.parametrize(("fsync", "word"), [("always", "fsynced"), ("everysec", "memory")])
async def test_a_buyer_hears_nothing_before_the_disk_has_it(
    fsync: Fsync, word: str, disk: Disk, disk_valkey: StartValkey
) -> None:
    """The whole server, through its socket."""
    store = await disk_valkey(fsync=fsync)
    settings = Settings(port=0, redis_url=store.url, secret=SECRET, purchase_deadline_ms=20_000)
    async with (
        running(settings) as server,
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await eve.join("r1")
        await ann.join("r1")
        await list_oil(eve)
        await open_oil_sale(eve)
        line = OrderLine(item_id="jar", quantity=1)
        purchase = Purchase(id="p1", room="r1", sale_id="s1", lines=[line])
        disk.hold()
        asked = asyncio.create_task(ann.ask(purchase, PurchaseOutcome))
        await disk.until_held()
        if word == "fsynced":
            assert await unanswered(asked)
            disk.release()
        told = await asked
        assert (told.outcome, told.durability) == ("reserved", word)
        disk.release()


async def test_a_store_that_stops_syncing_is_found_out_by_the_call_itself(
    durable_valkey: StartValkey, clients: Clients
) -> None:
    """Asked for ``fsynced``: the call that has run is unknown, the next ones aren't made, until it is put
    right; then the same command id tells the truth."""
    store = await durable_valkey()
    client, ledger = clients.client(store.url), clients.ledger(store.url, promise=FSYNCED)
    await ledger.open(sale(), command_id="open-1")
    assert (await buy(ledger, "ann")).durability is Durability.FSYNCED
    await client.config_set("appendfsync", "everysec")
    with pytest.raises(LedgerPendingError, match="memory"):
        await buy(ledger, "bob")
    seq = (await ledger.view("s1")).seq
    for _ in range(2):
        with pytest.raises(LedgerUnavailableError, match=r"appendfsync is everysec\. Set appendfsync always"):
            await buy(ledger, "cid")
    assert (await ledger.view("s1")).seq == seq
    await client.config_set("appendfsync", "always")
    again = await buy(ledger, "bob")
    assert (again.replayed, again.durability) == (True, Durability.FSYNCED)
    assert (await buy(ledger, "cid")).durability is Durability.FSYNCED
    assert (await audit(client, "s1")).findings == []


async def test_with_nothing_asked_the_word_follows_the_store(
    durable_valkey: StartValkey, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await durable_valkey()
    client, ledger = clients.client(store.url), clients.ledger(store.url)
    await ledger.open(sale(3), command_id="open-1")
    assert (await buy(ledger, "ann")).durability is Durability.FSYNCED
    await client.config_set("appendfsync", "everysec")
    assert [(await buy(ledger, name)).durability for name in ("bob", "cid")] == [Durability.MEMORY] * 2
    await client.config_set("appendfsync", "always")
    monkeypatch.setattr(durable_call, "FACTS_KEPT_S", 0.0)
    again = await buy(ledger, "bob")
    assert (again.replayed, again.durability) == (True, Durability.FSYNCED)
    sold_out = await buy(ledger, "dan")
    assert (sold_out.outcome, sold_out.durability) == (Outcome.SOLD_OUT, None)


@pytest.mark.parametrize("fsync_later", ["everysec", "always"])
async def test_a_run_that_stopped_syncing_does_not_pass_for_safe_after_a_restart(
    fsync_later: Fsync, durable_valkey: StartValkey, clients: Clients, tmp_path: Path
) -> None:
    """Nothing is written but by a sweep and a repeated purchase: the sale must know it all the same."""
    store = await durable_valkey(tmp_path / "data")
    client, ledger = clients.client(store.url), clients.ledger(store.url)
    await ledger.open(sale(), command_id="open-1")
    await buy(ledger, "ann")
    await client.config_set("appendfsync", fsync_later)
    seq = (await ledger.expire("s1")).view.seq
    assert (await buy(ledger, "ann")).replayed
    assert (await ledger.view("s1")).seq == seq
    store.kill()
    store = await durable_valkey(tmp_path / "data")
    expected = Outcome.RESERVED if fsync_later == "always" else Outcome.FROZEN
    assert await outcome(clients.ledger(store.url), "newcomer") is expected


# replicated


async def pair(start: StartValkey, clients: Clients, fsync: Fsync = "no") -> tuple[EmbeddedValkey, ...]:
    """A primary and its replica, in step."""
    first, second = await start(fsync=fsync), await start(fsync=fsync)
    await replicate(clients.client(first.url), clients.client(second.url))
    return first, second


async def test_replicated_answers_only_when_a_replica_has_it(
    durable_valkey: StartValkey, clients: Clients
) -> None:
    first, second = await pair(durable_valkey, clients)
    ledger = clients.ledger(first.url, promise=IN_NO_HURRY)
    await ledger.open(sale(), command_id="open-1")
    await buy(ledger, "first")
    os.kill(second.pid, signal.SIGSTOP)
    asked = asyncio.create_task(buy(ledger, "ann"))
    plain = clients.ledger(first.url)
    for _ in range(1_000):  # it has run …
        if ("ann", "c") in await standing(clients.client(first.url)):
            break
        await asyncio.sleep(0.001)
    assert (await buy(plain, "bob")).durability is Durability.MEMORY  # … the control is answered …
    assert await unanswered(asked)  # … and this one isn't
    os.kill(second.pid, signal.SIGCONT)
    told = await asked
    assert (told.outcome, told.durability) == (Outcome.RESERVED, Durability.REPLICATED)
    assert ("ann", "c") in await standing(clients.client(second.url))


async def test_too_few_replicas_leave_it_unknown_and_the_repetition_proves_it(
    durable_valkey: StartValkey, clients: Clients
) -> None:
    first, second = await pair(durable_valkey, clients)
    ledger = clients.ledger(first.url, promise=REPLICATED)
    await ledger.open(sale(), command_id="open-1")
    os.kill(second.pid, signal.SIGSTOP)
    for _ in range(3):  # a repetition writes nothing of its own, and proves no more than the first
        with pytest.raises(LedgerPendingError, match="done, but memory is all that could be proved"):
            await buy(ledger, "ann")
    os.kill(second.pid, signal.SIGCONT)
    again = await buy(clients.ledger(first.url, promise=IN_NO_HURRY), "ann")
    assert (again.replayed, again.durability) == (True, Durability.REPLICATED)
    for store in (first, second):
        client = clients.client(store.url)
        assert len(await standing(client)) == 1
        assert (await audit(client, "s1")).findings == []


async def test_what_was_granted_for_less_is_not_called_replicated_by_repeating_it(
    durable_valkey: StartValkey, clients: Clients
) -> None:
    """On one connection that has never written: only a write of our own gives WAIT something to count."""
    first, second = await pair(durable_valkey, clients)
    await clients.ledger(first.url).open(sale(), command_id="open-1")
    careful = clients.ledger(first.url, promise=REPLICATED)
    os.kill(second.pid, signal.SIGSTOP)
    assert (await buy(clients.ledger(first.url), "ann")).durability is Durability.MEMORY
    with pytest.raises(LedgerPendingError):
        await buy(careful, "ann")
    os.kill(second.pid, signal.SIGCONT)


ANOTHER = sale(sale_id="s2")


async def test_a_buyer_hears_replicated_when_it_is_and_pending_until_then(
    durable_valkey: StartValkey, clients: Clients
) -> None:
    """The whole server, through its socket."""
    first, second = await pair(durable_valkey, clients)
    settings = Settings(
        port=0,
        redis_url=first.url,
        secret=SECRET,
        durability=Durability.REPLICATED,
        replica_wait_ms=1_000,
        purchase_deadline_ms=20_000,
    )
    async with (
        running(settings) as server,
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await eve.join("r1")
        await ann.join("r1")
        await list_oil(eve)
        await open_oil_sale(eve)
        line = OrderLine(item_id="jar", quantity=1)
        told = await ann.ask(Purchase(id="p1", room="r1", sale_id="s1", lines=[line]), PurchaseOutcome)
        assert (told.outcome, told.durability) == ("reserved", "replicated")
        os.kill(second.pid, signal.SIGSTOP)
        second_try = Purchase(id="p2", room="r1", sale_id="s1", lines=[line])
        unknown = await ann.ask(second_try, PurchaseOutcome)
        assert (unknown.outcome, unknown.durability, unknown.reservation) == ("pending", "", None)
        os.kill(second.pid, signal.SIGCONT)
        again = await ann.ask(
            Purchase(id="p2", room="r1", sale_id="s1", lines=[line], attempt=1), PurchaseOutcome
        )
        assert (again.outcome, again.replayed, again.durability) == ("reserved", True, "replicated")


Call = Callable[[ValkeyLedger, str], Awaitable[object]]
CALLS: list[tuple[str, Call]] = [
    ("open", lambda ledger, _: ledger.open(ANOTHER, command_id="open-2")),
    ("confirm", lambda ledger, held: ledger.confirm(held, command_id="k")),
    ("release", lambda ledger, held: ledger.release(held, command_id="k")),
    ("return", lambda ledger, held: ledger.return_order(held, command_id="k", limit_back=True)),
    ("adjust", lambda ledger, _: ledger.adjust("s1", "i0", 1, actor="eve", reason="", command_id="k")),
    ("pause", lambda ledger, _: ledger.pause("s1", actor="eve", command_id="k")),
    ("resume", lambda ledger, _: ledger.resume("s1", actor="eve", command_id="k")),
    ("freeze", lambda ledger, _: ledger.freeze("s1", actor="eve", command_id="k")),
    ("close", lambda ledger, _: ledger.close("s1", actor="eve", command_id="k")),
    ("expire", lambda ledger, _: ledger.expire("s1")),
]


@pytest.mark.parametrize("call", [call for _, call in CALLS], ids=[name for name, _ in CALLS])
async def test_every_writing_call_waits_for_its_replicas(
    call: Call, durable_valkey: StartValkey, clients: Clients, request: pytest.FixtureRequest
) -> None:
    first, second = await pair(durable_valkey, clients)
    ledger, patient = (clients.ledger(first.url, promise=one) for one in (REPLICATED, IN_NO_HURRY))
    await patient.open(sale(), command_id="open-1")
    bought = await buy(patient, "ann")
    assert bought.reservation is not None
    held = bought.reservation.reservation_id
    if "return" in request.node.name:
        await patient.confirm(held, command_id="paid")
    os.kill(second.pid, signal.SIGSTOP)
    with pytest.raises(LedgerPendingError):
        await call(ledger, held)
    os.kill(second.pid, signal.SIGCONT)
    await call(patient, held)
    assert (await audit(clients.client(second.url), "s1")).findings == []


async def test_replicas_that_are_gone_are_certain_and_nothing_is_done(
    durable_valkey: StartValkey, clients: Clients
) -> None:
    first, second = await pair(durable_valkey, clients)
    ledger = clients.ledger(first.url, promise=REPLICATED)
    await ledger.open(sale(), command_id="open-1")
    await cut_off(clients.client(second.url))
    with pytest.raises(LedgerPendingError):  # nobody had noticed
        await buy(ledger, "ann")
    seq = (await ledger.view("s1")).seq
    with pytest.raises(LedgerUnavailableError, match=r"0 of 1 replicas are in step\. Connect replicas"):
        await buy(ledger, "bob")
    assert (await ledger.view("s1")).seq == seq
    await replicate(clients.client(first.url), clients.client(second.url))
    assert [(await buy(ledger, name)).replayed for name in ("ann", "bob")] == [True, False]


# At the start


async def refused(client: Redis, url: str, **asked: Any) -> str:
    with pytest.raises(StoreUnfitError) as error:
        async with running(Settings(port=0, redis_url=url, secret=SECRET, **asked)):
            pass
    return str(error.value)


async def test_what_the_store_cannot_do_is_refused_at_the_start(
    durable_valkey: StartValkey, clients: Clients
) -> None:
    store = await durable_valkey(fsync="everysec")
    client = clients.client(store.url)
    reason = await refused(client, store.url, durability="fsynced")
    assert "appendfsync is everysec. Set appendfsync always" in reason
    await client.config_set("appendonly", "no")
    assert "writes no log. Set appendonly yes" in await refused(client, store.url, durability="fsynced")
    reason = await refused(client, store.url, durability="replicated", replicas=2)
    assert "0 of 2 replicas are in step" in reason and "LIVESERVER_REPLICAS" in reason
    second = await durable_valkey(fsync="no")
    await replicate(client, clients.client(second.url))
    assert "1 of 2 replicas" in await refused(client, store.url, durability="replicated", replicas=2)
    settings = Settings(port=0, redis_url=store.url, secret=SECRET, durability=Durability.REPLICATED)
    async with running(settings) as server:
        assert server.http_url


async def test_who_asks_for_memory_gets_an_embedded_store_that_does_not_sync_each_write() -> None:
    async with running(Settings(port=0, secret=SECRET, durability=Durability.MEMORY)) as server:
        client = Redis.from_url(server.store_url)
        assert await client.config_get("appendfsync") == {"appendfsync": "everysec"}
        await client.aclose()
