"""A sale nobody came back to: a server that merely runs on its store brings it to its end."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from liveserver.stock.feed import read_feed
from liveserver.stock.fold import fold
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import Line, Order, Outcome, SaleItem, SaleSpec
from liveserver.stock.rows import Closed, Expired, Opened, Reserved
from liveserver.store.server_clock import ServerClock
from liveserver.valkey.connect import call_client
from tests.end_to_end.conftest import StartServer

WITHIN_S = 20.0  # a bound for what must end, and no measure


async def test_a_server_without_any_room_ends_a_forgotten_sale(
    valkey: Redis, valkey_url: str, start_server: StartServer
) -> None:
    client = call_client(valkey_url)
    clock = ServerClock()
    await clock.sync(client)
    ledger = ValkeyLedger(client, clock)
    now_ms = clock.now_ms()
    spec = SaleSpec("forgotten", (SaleItem("oil", 3),), 0, now_ms, now_ms + 500, 100)
    await ledger.open(spec, command_id="open-1")
    verdicts, _ = await ledger.reserve("forgotten", [Order("ann", "c1", (Line("oil", 1),))])
    assert verdicts[0].outcome is Outcome.RESERVED
    async with asyncio.timeout(WITHIN_S):
        while clock.now_ms() <= spec.closes_at_ms + 100:  # noqa: ASYNC110  time is no event
            await asyncio.sleep(0.05)
        feed = await read_feed(client, "forgotten")
        assert [type(row) for row in feed] == [Opened, Reserved]
        await start_server()
        while len(feed) < 4:
            await asyncio.sleep(0.05)
            feed = await read_feed(client, "forgotten")
    assert {type(row) for row in feed[2:]} == {Closed, Expired}
    assert fold(feed).available == [3]
    await client.aclose()
