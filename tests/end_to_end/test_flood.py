"""A flood, as its senders and the others see it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack

from protocol import commands as c
from protocol.replies import Pong, Receipt
from protocol.types import Fate
from tests.clock import ManualClock

from .conftest import StartServer
from .raw import Raw


async def test_one_user_on_many_connections_has_a_few_lines_and_is_told(start_server: StartServer) -> None:
    clock = ManualClock(int(time.time() * 1000))  # it stands: all of it in one second
    server = await start_server(clock=clock)
    async with AsyncExitStack() as stack:
        anns = [
            await stack.enter_async_context(Raw(server.url, server.mint("viewer", "ann"))) for _ in range(4)
        ]
        bob = await stack.enter_async_context(Raw(server.url, server.mint("viewer", "bob")))
        for one in (*anns, bob):
            await one.join("r1")
        receipts = await asyncio.gather(
            *(
                ann.ask(c.SendDanmaku(id=f"{number}", room="r1", text=f"加薇 {place} {number} x"), Receipt)
                for place, ann in enumerate(anns)
                for number in range(3)
            )
        )
        told = Counter((receipt.fate, receipt.reason) for receipt in receipts)
        assert told == {(Fate.SHOWN, ""): 4, (Fate.LIMITED, "rate"): 8}
        assert all(r.retry_ms > 0 for r in receipts if r.reason == "rate")
        receipt = await bob.ask(c.SendDanmaku(id="b", room="r1", text="多少钱"), Receipt)
        assert receipt.fate is Fate.SHOWN


async def test_a_flood_in_one_breath_is_answered_to_the_last(start_server: StartServer) -> None:
    """More than is carried out in one turn of the loop: each gets its receipt, and nobody else is kept."""
    server = await start_server(danmaku_per_s=100, danmaku_burst=100)
    async with AsyncExitStack() as stack:
        crowd = [
            await stack.enter_async_context(Raw(server.url, server.mint("viewer", f"u{n}")))
            for n in range(20)
        ]
        ann = await stack.enter_async_context(Raw(server.url, server.mint("viewer", "ann")))
        for one in crowd:
            await one.join("r1")
        asked = [
            one.ask(c.SendDanmaku(id=f"d{number}", room="r1", text=f"号 {place} {number} x"), Receipt)
            for place, one in enumerate(crowd)
            for number in range(10)
        ]
        receipts, pong = await asyncio.gather(asyncio.gather(*asked), ann.ask(c.Ping(id="p"), Pong))
    assert pong.id == "p"
    fates = Counter((receipt.fate, receipt.reason) for receipt in receipts)
    assert set(fates) <= {(Fate.SHOWN, ""), (Fate.LIMITED, "budget")}
    assert sum(fates.values()) == 200
    assert fates[Fate.SHOWN, ""] >= 30, "a second's worth at the least"
