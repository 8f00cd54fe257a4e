"""Faults between a process and the store: scripts forgotten, connections killed, calls and replies lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from liveserver.stock import scripts
from liveserver.stock.port import LedgerPendingError, LedgerUnavailableError, Outcome
from liveserver.stock.port import ReservationState as State
from tests.conftest import StartValkey
from tests.faults.conftest import Clients
from tests.faults.proxy import Proxy
from tests.faults.rush import Rush, judge, sale
from tests.stock.conftest import order


async def while_it_runs(rush: asyncio.Task[None], harm: Callable[[], Awaitable[object]]) -> int:
    """The harm again and again, until the rush is over. Answers how often."""
    done = 0
    while not rush.done() and done < 500:
        await harm()
        done += 1
        await asyncio.sleep(0.004)
    await rush
    return done


async def test_scripts_forgotten_in_mid_sale(durable_valkey: StartValkey, clients: Clients) -> None:
    """NOSCRIPT is certain: nobody even hears of it."""
    store = await durable_valkey(fsync="no")
    client = clients.client(store.url)
    ledgers = [clients.ledger(store.url) for _ in range(2)]
    await ledgers[0].open(sale(), command_id="open-1")
    rush = Rush(ledgers)
    flushed = await while_it_runs(asyncio.create_task(rush.run(400)), client.script_flush)
    felt = await client.info("errorstats")
    assert flushed > 5 and felt["errorstat_NOSCRIPT"]["count"] > 5
    assert (rush.unknown, rush.refused) == (0, 0)
    await judge(client, rush)


async def test_connections_killed_in_mid_call(durable_valkey: StartValkey, clients: Clients) -> None:
    store = await durable_valkey(fsync="no")
    client = clients.client(store.url)
    ledgers = [clients.ledger(store.url) for _ in range(2)]
    await ledgers[0].open(sale(), command_id="open-1")
    rush = Rush(ledgers)

    async def kill() -> None:
        await client.client_kill_filter(_type="normal", skipme=True)

    await while_it_runs(asyncio.create_task(rush.run(400)), kill)
    assert rush.unknown > 0, "no kill met a call"
    await judge(client, rush)


async def test_a_reply_lost_after_execution(durable_valkey: StartValkey, clients: Clients) -> None:
    """Unknown is what is said, and the same command again tells what it did, once."""
    store = await durable_valkey(fsync="no")
    client = clients.client(store.url)
    await teach(client)
    async with Proxy(store.url) as wire:
        ledger = clients.ledger(wire.url)
        await ledger.open(sale(10, limit=2), command_id="open-1")
        rush = Rush([ledger])
        await ledger.expire("s1")
        seq = 1
        for number in range(5):
            asked = [order(f"ann{number}", "c1", (0, 2))]
            wire.lose_reply = True
            with pytest.raises(LedgerPendingError):
                await ledger.reserve("s1", asked)
            verdicts, view = await ledger.reserve("s1", asked)
            seq += 1
            assert (verdicts[0].outcome, verdicts[0].replayed, view.seq) == (Outcome.RESERVED, True, seq)
            assert view.available == {"i0": 8 - 2 * number}
            rush.note(f"ann{number}", "c1", verdicts[0])
        told = list(rush.told.values())
        for act, state in (
            (ledger.confirm, State.CONFIRMED),
            (ledger.release, State.RELEASED),
        ):
            named = told.pop()
            wire.lose_reply = True
            with pytest.raises(LedgerPendingError):
                await act(named, command_id="e1")
            change = await act(named, command_id="e1")
            seq += 1
            assert (change.changed, change.reservation.state, change.view.seq) == (False, state, seq)
        wire.lose_reply = True
        with pytest.raises(LedgerPendingError):
            await ledger.adjust("s1", "i0", 7, actor="eve", reason="", command_id="a1")
        view = await ledger.adjust("s1", "i0", 7, actor="eve", reason="", command_id="a1")
        assert (view.seq, view.adjusted) == (seq + 1, {"i0": 7})
        wire.lose_reply = True
        with pytest.raises(LedgerPendingError):
            await ledger.close("s1", actor="eve", command_id="x1")
        assert (await ledger.close("s1", actor="eve", command_id="x1")).seq == seq + 2
    await judge(client, rush)


async def test_a_call_lost_before_execution(durable_valkey: StartValkey, clients: Clients) -> None:
    """To the buyer the same as a lost reply; asked again it is done for the first time."""
    store = await durable_valkey(fsync="no")
    client = clients.client(store.url)
    await teach(client)
    async with Proxy(store.url) as wire:
        ledger = clients.ledger(wire.url)
        await ledger.open(sale(), command_id="open-1")
        await ledger.expire("s1")
        rush = Rush([ledger])
        asked = [order("ann", "c1", (0, 2))]
        wire.lose_call = True
        with pytest.raises(LedgerPendingError):
            await ledger.reserve("s1", asked)
        assert (await ledger.view("s1")).seq == 1
        verdicts, _ = await ledger.reserve("s1", asked)
        assert (verdicts[0].outcome, verdicts[0].replayed) == (Outcome.RESERVED, False)
        rush.note("ann", "c1", verdicts[0])
    await judge(client, rush)


@pytest.mark.parametrize(("act_within_ms", "granted"), [(60_000, True), (250, False)])
async def test_a_call_that_arrives_after_its_retry_was_answered(
    act_within_ms: int, granted: bool, durable_valkey: StartValkey, clients: Clients
) -> None:
    """The zombie: ann's call is on the wire while she is told *sold out*; then a unit is free again, and it
    arrives. Past its last moment it does nothing. With all the time in the world, the control, it grants."""
    store = await durable_valkey(fsync="no")
    client = clients.client(store.url)
    bob = clients.ledger(store.url)
    await bob.open(sale(1), command_id="open-1")
    await teach(client)
    async with Proxy(store.url) as wire:
        ann = clients.ledger(wire.url, act_within_ms=act_within_ms)
        await ann.expire("s1")
        wire.hold_call = True
        zombie = asyncio.create_task(ann.reserve("s1", [order("ann", "c1")]))
        for _ in range(1_000):
            if wire.held:
                break
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)  # at the instant a write ends, Python 3.11's wait_for swallows a cancel
        zombie.cancel()
        await asyncio.gather(zombie, return_exceptions=True)
        verdicts, _ = await bob.reserve("s1", [order("bob", "c1")])
        taken = verdicts[0].reservation
        assert taken is not None
        await asyncio.sleep(0.3)
        told, _ = await ann.reserve("s1", [order("ann", "c1")])
        assert told[0].outcome is Outcome.SOLD_OUT
        await bob.release(taken.reservation_id, command_id="r1")
        calls = await script_calls(client)
        await wire.deliver()
        await until_answered(client, calls + 1)
        found = await bob.lookup("s1", "ann", "c1")
        assert (found is not None) is granted
    rush = Rush([bob])
    rush.told["bob", "c1"] = taken.reservation_id
    if found is not None:
        rush.told["ann", "c1"] = found.reservation_id
    report = await judge(client, rush)
    assert report.available == {"i0": 0 if granted else 1}


async def teach(client: Redis) -> None:
    """A script's first call is refused as unknown: here it must be the call itself that is lost."""
    for script in (scripts.RESERVE, scripts.CONFIRM, scripts.RELEASE, scripts.ADJUST, scripts.CLOSE):
        await client.script_load(script.text)


async def script_calls(client: Redis) -> int:
    stats = await client.info("commandstats")
    return sum(int(stats[name]["calls"]) for name in ("cmdstat_evalsha", "cmdstat_eval") if name in stats)


async def until_answered(client: Redis, calls: int) -> None:
    """Until the store has run that many scripts: it counts a call when it is over."""
    for _ in range(1_000):
        if await script_calls(client) >= calls:
            return
        await asyncio.sleep(0.002)
    raise AssertionError("the call never arrived")


async def test_a_read_only_replica_sells_nothing_and_says_so(
    durable_valkey: StartValkey, clients: Clients
) -> None:
    store = await durable_valkey(fsync="no")
    client, ledger = clients.client(store.url), clients.ledger(store.url)
    await ledger.open(sale(), command_id="open-1")
    rush = Rush([ledger])
    await rush.run(5)
    before = await ledger.view("s1")
    await client.replicaof("127.0.0.1", "1")  # nobody there: it keeps its data and refuses to write
    for _ in range(3):
        with pytest.raises(LedgerUnavailableError):
            await ledger.reserve("s1", [order("ann", "c1")])
    assert (await ledger.view("s1")).seq == before.seq
    await client.replicaof("NO", "ONE")
    await rush.run(5)
    assert (rush.unknown, rush.refused) == (0, 0)
    await judge(client, rush)


async def test_out_of_memory_refuses_and_heals(durable_valkey: StartValkey, clients: Clients) -> None:
    """Refused up front, so it is certain: nobody is told *unknown*, nothing is half done."""
    store = await durable_valkey(fsync="no")
    client = clients.client(store.url)
    ledger = clients.ledger(store.url)
    await ledger.open(sale(), command_id="open-1")
    rush = Rush([ledger])
    await rush.run(20)

    async def squeeze() -> None:
        await client.config_set("maxmemory", "1")
        await asyncio.sleep(0.02)
        await client.config_set("maxmemory", "0")

    await while_it_runs(asyncio.create_task(rush.run(300)), squeeze)
    assert rush.refused > 5 and rush.unknown == 0
    await judge(client, rush)
