"""Failover: a replica that had fallen behind takes its primary's place."""

from __future__ import annotations

import asyncio
import socket

import pytest
from redis.asyncio import Redis

from liveserver.stock.audit import audit
from liveserver.stock.export import feed_entries
from liveserver.stock.port import Outcome
from liveserver.stock.rows import Frozen, parse_row
from tests.conftest import StartValkey
from tests.faults.conftest import Clients
from tests.faults.proxy import Proxy
from tests.faults.rush import Rush, lost, outcome, sale, standing


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def replicate(primary: Redis, replica: Redis) -> None:
    """Returns when the replica has all the primary has."""
    port = free_port()
    await primary.config_set("bind", "127.0.0.1")
    await primary.config_set("port", port)
    await primary.config_set("repl-diskless-sync-delay", 0)
    await replica.replicaof("127.0.0.1", str(port))
    for _ in range(500):
        link = await replica.info("replication")
        if link.get("master_link_status") == "up" and await primary.wait(1, 100) == 1:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the replica never followed")


async def test_a_lagging_replica_promoted_sells_nothing(
    durable_valkey: StartValkey, clients: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = await durable_valkey(), await durable_valkey()
    primary, replica = clients.client(first.url), clients.client(second.url)
    async with Proxy(first.url) as wire:
        ledger = clients.ledger(wire.url)
        await ledger.open(sale(), command_id="open-1")
        rush = Rush([ledger])
        await rush.run(30)
        await replicate(primary, replica)
        kept = dict(rush.told)
        await replica.replicaof("127.0.0.1", "1")  # cut off from here on
        await rush.run(30)
        first.kill()
        await replica.replicaof("NO", "ONE")
        wire.lead_to(second.url)
        assert await outcome(ledger, "newcomer") is Outcome.FROZEN
    assert await outcome(clients.ledger(second.url), "newcomer") is Outcome.FROZEN
    there = await standing(replica)
    assert {key: one.reservation_id for key, one in there.items()} == kept
    gone = await lost(replica, rush)
    assert gone == len(rush.told) - len(kept) > 0
    with capsys.disabled():
        print(f"\nfailover to a replica cut off half-way: {gone} of {len(rush.told)} lost")
    rows = [parse_row("s1", *entry) async for entry in feed_entries(replica, "s1")]
    assert [row.reason for row in rows if isinstance(row, Frozen)] == ["behind"]
    assert (await audit(replica, "s1")).findings == []
