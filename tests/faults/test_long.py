"""The long forms: the same faults, more often and from other seeds. ``make faults`` runs them."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from liveserver.stock.port import Outcome
from tests.conftest import StartValkey
from tests.faults.conftest import Clients
from tests.faults.proxy import Proxy
from tests.faults.rush import Rush, judge, lost, sale

KILLS = 10
CALLS = 3_000

pytestmark = pytest.mark.long


@pytest.mark.parametrize("seed", range(3))
async def test_killed_again_and_again_with_every_write_on_disk(
    seed: int, durable_valkey: StartValkey, clients: Clients, tmp_path: Path
) -> None:
    folder, draw = tmp_path / "data", random.Random(seed)
    store = await durable_valkey(folder)
    ledgers = [clients.ledger(store.url) for _ in range(3)]
    epoch = (await ledgers[0].open(sale(100_000), command_id="open-1")).epoch
    rush = Rush(ledgers, seed=seed)
    running = asyncio.create_task(rush.run(CALLS))
    kills = 0
    while kills < KILLS and not running.done():
        await asyncio.sleep(draw.uniform(0.02, 0.15))
        store.kill()
        store = await durable_valkey(folder)
        kills += 1
    await running
    assert kills > KILLS / 2 and rush.unknown + rush.refused > 0
    assert set(rush.answers) == {Outcome.RESERVED}
    client = clients.client(store.url)
    assert (await judge(client, rush)).epoch == epoch and await lost(client, rush) == 0


@pytest.mark.parametrize("seed", range(5))
async def test_everything_the_wire_can_do_at_once(
    seed: int, durable_valkey: StartValkey, clients: Clients
) -> None:
    """Replies and calls lost, calls held back and delivered late, connections killed, scripts forgotten."""
    store = await durable_valkey(fsync="no")
    client, draw = clients.client(store.url), random.Random(seed)
    async with Proxy(store.url) as first, Proxy(store.url) as second:
        ledgers = [clients.ledger(wire.url, act_within_ms=500) for wire in (first, second)]
        await ledgers[0].open(sale(2_000, limit=20), command_id="open-1")
        rush = Rush(ledgers, seed=seed)
        running = asyncio.create_task(rush.run(CALLS, at_once=8))
        while not running.done():
            wire = draw.choice((first, second))
            match draw.randrange(5):
                case 0:
                    wire.lose_reply = True
                case 1:
                    wire.lose_call = True
                case 2:
                    wire.hold_call = True
                case 3:
                    await client.client_kill_filter(_type="normal", skipme=True)
                case 4:
                    await client.script_flush()
            await asyncio.sleep(draw.uniform(0.002, 0.02))
            if draw.random() < 0.3:
                for each in (first, second):
                    each.hold_call = False
                    await each.deliver()
        await running
    assert rush.unknown > 10
    await judge(client, rush)
