"""A server killed (-9) in the middle of freezing every sale: another goes on, from what the store says."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

from redis.asyncio import Redis

from liveserver.stock.feed import read_feed
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import SaleItem, SaleSpec, SaleStatus
from liveserver.stock.rows import Frozen, Opened
from protocol import commands as c
from protocol.replies import PurchaseOutcome
from protocol.types import OrderLine
from tests.clock import ManualClock

from .conftest import SECRET, StartServer
from .raw import PATIENCE_S, Raw
from .rest import Rest
from .shop import list_oil, open_oil_sale

SALES = 400
LOOKS_MAX = 2_000
SCRIPT = """
import asyncio, sys
from liveserver.app import running
from liveserver.config import Settings
async def main():
    async with running(Settings(port=0, redis_url=sys.argv[1], secret=sys.argv[2])) as server:
        print(server.http_url, flush=True)
        await server.wait()
asyncio.run(main())
"""


async def test_who_is_killed_in_the_middle_is_followed(
    start_server: StartServer, valkey: Redis, valkey_url: str
) -> None:
    ledger = ValkeyLedger(valkey, ManualClock(int(time.time() * 1000)))
    now_ms = int(time.time() * 1000)
    for number in range(SALES):
        spec = SaleSpec(f"s{number}", (SaleItem("jar", 9),), 0, now_ms, now_ms + 3_600_000, 60_000)
        await ledger.open(spec, command_id="o")
    witness = await start_server()
    async with (
        Raw(witness.url, witness.mint("streamer", "eve")) as eve,
        Raw(witness.url, witness.mint("viewer", "ann")) as ann,
    ):
        await ann.join("r1")
        await list_oil(eve)
        await open_oil_sale(eve, sale_id="a-room-s")
        buy = c.Purchase(id="a1", room="r1", sale_id="a-room-s", lines=[OrderLine(item_id="jar")])
        assert (await ann.ask(buy, PurchaseOutcome)).outcome == "reserved"
        await _killed_in_the_middle(valkey_url, witness.mint("service", "shop"))
        here = [await ledger.view(f"s{number}") for number in range(SALES)]
        frozen_then = sum(view.status is SaleStatus.FROZEN for view in here)
        print(f"{frozen_then} of {SALES} sales were frozen at the kill")
        assert frozen_then > 0
        shop = Rest(witness, witness.mint("service", "shop"))
        async with asyncio.timeout(PATIENCE_S * 3):
            state = await shop.done("GET", "/v1/freeze-all")
            while not state.get("done"):
                await asyncio.sleep(0.1)
                state = await shop.done("GET", "/v1/freeze-all")
        assert state["on"] is True and state.get("failed", []) == []
        after = [await ledger.view(f"s{number}") for number in range(SALES)]
        assert {view.status for view in after} == {SaleStatus.FROZEN}
        for number in range(SALES):
            kinds = [type(row) for row in await read_feed(valkey, f"s{number}", rows_max=9)]
            assert kinds == [Opened, Frozen], "once each"
        await ann.until(lambda message: getattr(message, "kind", "") == "reservationFrozen")


async def _killed_in_the_middle(valkey_url: str, service: str) -> None:
    """Throws the switch at a server of its own process, and kills that when the first sales are frozen."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRIPT, valkey_url, SECRET, stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    url = ""
    while not url.startswith("http://"):
        line = await asyncio.wait_for(server.stdout.readline(), PATIENCE_S * 2)
        assert line, "the server did not start"
        url = line.decode().strip()
    caller = Rest(url, service)
    state = await caller.done("POST", "/v1/freeze-all", key="stop")
    assert state["on"] is True
    for _ in range(LOOKS_MAX):
        if state.get("frozen", 0):
            break
        state = await caller.done("GET", "/v1/freeze-all")
    os.kill(server.pid, signal.SIGKILL)
    await server.wait()
