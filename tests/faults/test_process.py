"""The process that sells is gone: killed in the middle of a purchase, or nobody is there at all."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from liveserver.stock import scripts
from liveserver.stock.audit import audit
from liveserver.stock.feed import read_feed
from liveserver.stock.ids import reservation_id
from liveserver.stock.port import Outcome
from liveserver.stock.port import ReservationState as State
from liveserver.stock.rows import Expired, Reserved
from tests.conftest import StartValkey
from tests.faults.conftest import Clients
from tests.faults.proxy import Proxy
from tests.faults.rush import Rush, judge, sale
from tests.stock.conftest import ValkeyBench, order

ROOT = Path(__file__).parent.parent.parent
BUYER = """
import asyncio, sys
from liveserver.stock.ledger import ValkeyLedger
from liveserver.valkey.connect import call_client
from tests.faults.rush import WallClock
from tests.stock.conftest import order

async def main():
    ledger = ValkeyLedger(call_client(sys.argv[1]), WallClock())
    await ledger.expire("s1")
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await ledger.reserve("s1", [order("ann", "c1", (0, 2)), order("bob", "c1", (0, 1))])
    print("answered", flush=True)

asyncio.run(main())
"""


async def test_killed_between_the_script_and_its_reply(durable_valkey: StartValkey, clients: Clients) -> None:
    """The buyers' command ids tell the next process what the dead one did."""
    store = await durable_valkey(fsync="no")
    client, ledger = clients.client(store.url), clients.ledger(store.url)
    await ledger.open(sale(10, limit=2), command_id="open-1")
    await client.script_load(scripts.RESERVE.text)
    async with Proxy(store.url) as wire, asyncio.timeout(20):
        seller = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", BUYER, wire.url),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert seller.stdin is not None and seller.stdout is not None
        try:
            assert await seller.stdout.readline() == b"ready\n"
            wire.keep_reply = True
            seller.stdin.write(b"\n")
            await wire.kept.wait()
        finally:
            seller.kill()
        assert await seller.wait() == -signal.SIGKILL
        assert await seller.stdout.read() == b""  # it never heard
    feed = await read_feed(client, "s1", rows_max=10)
    assert isinstance(feed[1], Reserved) and len(feed[1].orders) == 2
    rush = Rush([ledger])
    asked = [order("ann", "c1", (0, 2)), order("bob", "c1", (0, 1))]
    verdicts, view = await ledger.reserve("s1", asked)
    assert [(one.outcome, one.replayed) for one in verdicts] == [(Outcome.RESERVED, True)] * 2
    assert (view.seq, view.available) == (3, {"i0": 7})
    for one, verdict in zip(asked, verdicts, strict=True):
        rush.note(one.user_id, one.command_id, verdict)
    await judge(client, rush)


@pytest.mark.parametrize("first", ["a purchase", "a payment", "a release", "a sweep"])
async def test_holds_fall_due_while_no_process_is_there(first: str, valkey_bench: ValkeyBench) -> None:
    """Nobody sweeps for an hour. Whoever comes first, for whatever, finds the units where they belong; and no
    law is broken before."""
    bench = valkey_bench
    await bench.open(bench.spec((2,), limit=1, hold_ms=5_000))
    for user in ("ann", "bob"):
        assert (await bench.buy(user, "c1")).outcome is Outcome.RESERVED
    await bench.advance(3_000_000)
    assert (await audit(bench.client, "s1")).findings == []
    ann = reservation_id("s1", "ann", 0)
    match first:
        case "a purchase":
            assert (await bench.buy("ann", "c2", (0, 1))).outcome is Outcome.RESERVED
        case "a payment":
            assert (await bench.ledger.confirm(ann, command_id="p")).reservation.state is State.CONFIRMED
        case "a release":
            with pytest.raises(Exception, match="expired"):
                await bench.ledger.release(ann, command_id="r")
        case "a sweep":
            assert len((await bench.ledger.expire("s1")).expired) == 2
    ended = [ref.user_id for row in await bench.feed() if isinstance(row, Expired) for ref in row.refs]
    assert ended == (["ann"] if first == "a release" else ["ann", "bob"])
    view = await bench.ledger.view("s1")
    assert sum(view.available.values()) == (1 if first in ("a purchase", "a payment", "a release") else 2)
    assert (await audit(bench.client, "s1")).findings == []
