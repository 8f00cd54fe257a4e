"""Failover: a replica that had fallen behind takes its primary's place."""

from __future__ import annotations

import pytest

from liveserver.stock.audit import audit
from liveserver.stock.export import feed_entries
from liveserver.stock.port import Outcome
from liveserver.stock.rows import Frozen, parse_row
from tests.conftest import StartValkey
from tests.faults.conftest import Clients
from tests.faults.proxy import Proxy
from tests.faults.replicas import cut_off, promote, replicate
from tests.faults.rush import Rush, lost, outcome, sale, standing


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
        await cut_off(replica)
        await rush.run(30)
        first.kill()
        await promote(replica)
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
