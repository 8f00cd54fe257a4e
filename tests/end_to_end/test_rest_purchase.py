"""A shop's backend buys for its users over REST: the same ledger, the same outcomes, the same ids."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.error
import urllib.request
from typing import Any

from liveserver.app import Running
from protocol.replies import Done
from tests.conftest import StartValkey

from .conftest import StartServer
from .raw import Raw
from .shop import list_oil, open_oil_sale


class Backend:
    def __init__(self, server: Running, role: str = "service") -> None:
        self._url = server.http_url
        self._token = server.mint(role, "shop")

    async def buy(self, user: str, key: str, quantity: int = 1, attempt: int = 0, sale: str = "s1") -> Any:
        lines = [{"itemId": "jar", "quantity": quantity}]
        body = {"userId": user, "lines": lines, "attempt": attempt}
        return await self._ask("POST", f"/v1/sales/{sale}/orders", key, body)

    async def bought(self, user: str, key: str) -> Any:
        return await self._ask("GET", f"/v1/sales/s1/reservations?user={user}&command={key}")

    async def _ask(self, method: str, path: str, key: str = "", body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        sent = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, sent, headers, method=method)

        def ask() -> Any:
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return json.loads(answer.read())
            except urllib.error.HTTPError as error:
                return json.loads(error.read())

        return await asyncio.to_thread(ask)


async def opened(server: Running, stock: int, limit: int = 0) -> None:
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await eve.join("r1")
        assert isinstance(await list_oil(eve, stock=stock), Done)
        await open_oil_sale(eve, limit=limit)


async def test_outcomes_replays_and_lookups(server: Running) -> None:
    await opened(server, stock=3, limit=2)
    shop = Backend(server)
    first = await shop.buy("ann", "k1", 2)
    assert (first["outcome"], first["reservation"]["state"], first["id"]) == ("reserved", "held", "k1")
    assert first["durability"] == "memory"
    again = await shop.buy("ann", "k1", 2, attempt=1)
    assert (again["outcome"], again["replayed"]) == ("reserved", True)
    assert again["reservation"] == first["reservation"]
    assert (await shop.buy("ann", "k1", 1))["outcome"] == "conflict"
    assert (await shop.buy("ann", "k2"))["outcome"] == "limit_reached"
    assert (await shop.buy("bob", "k1", 2))["outcome"] == "sold_out"
    assert (await shop.buy("bob", "k2"))["outcome"] == "reserved"
    assert await shop.bought("ann", "k1") == first["reservation"]
    assert (await shop.bought("bob", "k1"))["code"] == "unknown_reservation"
    unknown = await shop.buy("ann", "k9", sale="nothing")
    assert (unknown["status"], unknown["code"], unknown["field"]) == (404, "unknown_sale", "saleId")


async def test_a_streamer_s_or_viewer_s_token_buys_for_nobody_else(server: Running) -> None:
    await opened(server, stock=1)
    for role in ("viewer", "moderator", "streamer"):
        refused = await Backend(server, role).buy("ann", "k1")
        assert (refused["status"], refused["code"]) == (403, "forbidden")
    assert (await Backend(server).buy("ann", "k1"))["outcome"] == "reserved"


async def test_a_store_that_stands_still(durable_valkey: StartValkey, start_server: StartServer) -> None:
    """Unknown is a 504, and the same key tells the truth after it."""
    store = await durable_valkey()
    server = await start_server(redis_url=store.url)
    await opened(server, stock=1)
    shop = Backend(server)
    os.kill(store.pid, signal.SIGSTOP)
    try:
        stopped = await shop.buy("ann", "k1")
        assert (stopped["status"], stopped["code"]) in [(504, "pending"), (503, "unavailable")]
        assert stopped["retryMs"] > 0
    finally:
        os.kill(store.pid, signal.SIGCONT)
    until_s = time.monotonic() + 10
    attempt = 1
    while (told := await shop.buy("ann", "k1", attempt=attempt)).get("outcome") is None:
        assert time.monotonic() < until_s, told
        attempt += 1
        await asyncio.sleep(0.05)
    assert told["outcome"] == "reserved"
    assert (await shop.buy("bob", "k1"))["outcome"] == "sold_out"
