"""The store stops answering in mid-sale: honest answers, the talk goes on, and it heals by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import urllib.error
import urllib.request

from protocol import commands as c
from protocol.events import SaleOpened
from protocol.replies import Done, ErrorReply, PurchaseOutcome, Receipt, ReservationChanged
from protocol.types import Fate, OrderLine
from tests.clock import ManualClock
from tests.conftest import StartValkey

from .conftest import StartServer
from .raw import Raw
from .shop import draft, list_oil, open_oil_sale


def buy(command_id: str, attempt: int = 0) -> c.Purchase:
    line = OrderLine(item_id="jar", quantity=1)
    return c.Purchase(id=command_id, room="r1", sale_id="s1", lines=[line], attempt=attempt)


async def test_a_stopped_store_in_mid_sale(durable_valkey: StartValkey, start_server: StartServer) -> None:
    store = await durable_valkey()
    clock = ManualClock(int(time.time() * 1000))
    server = await start_server(redis_url=store.url, clock=clock)
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
        Raw(server.url, server.mint("service", "orders")) as orders,
    ):
        await eve.join("r1")
        await ann.join("r1")
        await list_oil(eve, stock=2)
        await open_oil_sale(eve)
        await ann.see_event(SaleOpened)

        os.kill(store.pid, signal.SIGSTOP)
        try:
            await ann.say(buy("p1"))
            receipt = await eve.ask(c.SendDanmaku(id="d1", room="r1", text="还在吗"), Receipt)
            assert receipt.fate is Fate.SHOWN, "danmaku goes on"
            await ann.see_text("还在吗")
            await clock.advance(299)
            await eve.ask(c.SendDanmaku(id="d2", room="r1", text="在的"), Receipt)
            await ann.see_text("在的")
            assert not [m for m in ann.heard if isinstance(m, PurchaseOutcome)], "299 ms: still waiting"
            await clock.advance(1)
            told = await ann.until(lambda m: isinstance(m, PurchaseOutcome))
            assert isinstance(told, PurchaseOutcome)
            assert (told.outcome, told.reservation) == ("pending", None), "unknown, which is not failed"
            assert told.retry_ms > 0
        finally:
            os.kill(store.pid, signal.SIGCONT)

        retry = await _truth(ann, "p1")
        assert retry.reservation is not None
        again = await ann.ask(buy("p1", attempt=9), PurchaseOutcome)
        assert (again.outcome, again.replayed, again.reservation) == ("reserved", True, retry.reservation)
        await eve.see_available("s1", {"jar": 1})
        confirmed = await orders.ask(
            c.Confirm(id="k", reservation_id=retry.reservation.reservation_id), ReservationChanged
        )
        assert confirmed.reservation.state == "confirmed"


async def _truth(ann: Raw, command_id: str) -> PurchaseOutcome:
    """Ask again, as the answer said, until it isn't unknown any more."""
    for attempt in range(1, 8):
        answer = await ann.ask(buy(command_id, attempt), PurchaseOutcome)
        if answer.outcome not in ("pending", "unavailable"):
            assert answer.outcome == "reserved"
            return answer
        await asyncio.sleep(0.2)
    raise AssertionError("the store answers again, and still nobody knows")


async def test_a_store_that_is_gone_is_said_at_once(
    durable_valkey: StartValkey, start_server: StartServer
) -> None:
    store = await durable_valkey()
    server = await start_server(redis_url=store.url)
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await eve.join("r1")
        await list_oil(eve, stock=2)
        await open_oil_sale(eve)
        os.kill(store.pid, signal.SIGKILL)
        error: PurchaseOutcome | None = None
        for n in range(20):  # the first calls may meet connections that die under them: unknown, so pending
            error = await eve.ask(buy(f"q{n}"), PurchaseOutcome)
            assert error.outcome in ("unavailable", "pending")
            if error.outcome == "unavailable":
                break
        assert error is not None and error.outcome == "unavailable"
        refused = await eve.ask(c.PublishListing(id="x", room="r1", listing=draft("soy")), ErrorReply)
        assert refused.code in ("unavailable", "pending") and refused.retry_ms > 0
        receipt = await eve.ask(c.SendDanmaku(id="d1", room="r1", text="还在吗"), Receipt)
        assert receipt.fate is Fate.SHOWN
        done = await eve.ask(c.Like(id="l", room="r1"), Done)
        assert done.id == "l"


async def test_a_server_that_holds_no_room_notices_too(
    durable_valkey: StartValkey, start_server: StartServer
) -> None:
    """Away, and back: without traffic there would be no room, without a room no beat to tell it."""
    store = await durable_valkey()
    clock = ManualClock(int(time.time() * 1000))
    server = await start_server(redis_url=store.url, clock=clock)
    assert await _ready(server.http_url) == 200
    os.kill(store.pid, signal.SIGSTOP)
    try:
        for _ in range(100):
            await clock.advance(1_000)
            if await _ready(server.http_url) == 503:
                break
            await asyncio.sleep(0.1)
        assert await _ready(server.http_url) == 503
    finally:
        os.kill(store.pid, signal.SIGCONT)
    for _ in range(100):
        await clock.advance(1_000)
        if await _ready(server.http_url) == 200:
            break
        await asyncio.sleep(0.1)
    assert await _ready(server.http_url) == 200


async def _ready(http_url: str) -> int:
    def ask() -> int:
        try:
            with urllib.request.urlopen(f"{http_url}/readyz") as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    return await asyncio.to_thread(ask)


async def test_a_room_that_cannot_be_read_was_certainly_not_joined(
    durable_valkey: StartValkey, start_server: StartServer
) -> None:
    store = await durable_valkey()
    server = await start_server(redis_url=store.url)
    async with Raw(server.url, server.mint("viewer", "ann")) as ann:
        os.kill(store.pid, signal.SIGSTOP)
        try:
            refused = await ann.refused(c.Join(id="j", room="r1"))
            assert refused.code == "unavailable", "and not: unknown"
        finally:
            os.kill(store.pid, signal.SIGCONT)
        await ann.join("r1")
