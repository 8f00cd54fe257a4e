"""The switch that freezes every sale: it outlives who threw it, finds what is left, and tells each holder
once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from redis.asyncio import Redis

from liveserver.app import Running
from liveserver.hub import kill_switch
from liveserver.hub.kill_switch import AT_ONCE, KillSwitch
from liveserver.hub.tasks import Tasks
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import SaleStatus
from liveserver.store.kill_switch import CLAIMS, KillSwitchStore, Thrown
from protocol import commands as c
from protocol.replies import Done, PurchaseOutcome
from protocol.types import OrderLine
from tests.clock import ManualClock

from .conftest import StartServer
from .raw import PATIENCE_S, Raw
from .rest import Rest
from .shop import list_oil, open_oil_sale


async def on_shelf(shop: Rest, *sale_ids: str) -> None:
    for sale_id in sale_ids:
        card = {"listingId": "x", "title": "x", "items": [{"itemId": "jar", "priceFen": 1, "stock": 9}]}
        await shop.done("POST", "/v1/sales", {"saleId": sale_id, "listing": card}, key=f"o-{sale_id}")


def buy(sale_id: str, command_id: str, room: str | None = None) -> c.Purchase:
    return c.Purchase(id=command_id, room=room, sale_id=sale_id, lines=[OrderLine(item_id="jar")])


async def statuses(shop: Rest) -> dict[str, str]:
    page = await shop.done("GET", "/v1/sales")
    return {sale["saleId"]: sale["status"] for sale in page["sales"]}


async def until_frozen(shop: Rest) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            state: dict[str, Any] = await shop.done("GET", "/v1/freeze-all")
            if state.get("done"):
                return state
            await asyncio.sleep(0.05)


async def test_every_sale_is_frozen_and_nothing_opens(start_server: StartServer) -> None:
    one, two = await start_server(), await start_server()
    shop = Rest(one, one.mint("service", "shop"))
    async with (
        Raw(two.url, two.mint("streamer", "eve")) as eve,
        Raw(two.url, two.mint("viewer", "ann")) as ann,
    ):
        await ann.join("r1")
        await list_oil(eve)
        await open_oil_sale(eve, sale_id="room-sale")
        await on_shelf(shop, "a", "b", "over", "over-held")
        await ann.ask(buy("room-sale", "p1", "r1"), PurchaseOutcome)
        await ann.ask(buy("over-held", "p2"), PurchaseOutcome)
        for sale_id in ("over", "over-held"):
            await shop.done("POST", f"/v1/sales/{sale_id}/close", key=f"c-{sale_id}")
        await shop.done("POST", "/v1/sales/b/pause", key="p")

        state = await shop.done("POST", "/v1/freeze-all", {"reason": "a wrong price"}, key="stop")
        assert (state["on"], state["actor"], state["reason"]) == (True, "shop", "a wrong price")
        refused = await eve.refused(c.OpenSale(id="o9", room="r1", sale_id="s9", listing_id="oil"))
        assert refused.code in ("all_frozen", "sale_running")
        card = {"listingId": "x", "title": "x", "items": [{"itemId": "jar", "priceFen": 1, "stock": 9}]}
        assert (await shop.refused("POST", "/v1/sales", {"saleId": "s9", "listing": card}))[0] == "all_frozen"
        assert (await shop.refused("POST", "/v1/sales/b/resume"))[0] == "all_frozen"
        await list_oil(eve, room="r2")
        attach = await shop.refused("POST", "/v1/rooms/r2/sales/a/attach", {"listingId": "oil"})
        assert attach[0] == "all_frozen"

        state = await until_frozen(shop)
        assert (state["frozen"], state.get("failed", [])) == (4, [])
        await ann.until(lambda message: getattr(message, "kind", "") == "reservationFrozen")
        assert (await ann.ask(buy("room-sale", "p3", "r1"), PurchaseOutcome)).outcome == "frozen"
        again = await shop.done("POST", "/v1/freeze-all", {"reason": "another"}, key="stop-2")
        assert again["reason"] == "a wrong price", "it is on already"
        await until_frozen(shop)
        told = [notice.reservation.sale_id for notice in ann.notices() if notice.reservation]
        assert sorted(told) == sorted(set(told)) and "room-sale" in told

        assert (await shop.done("DELETE", "/v1/freeze-all"))["on"] is False
        await on_shelf(shop, "s9")
        assert (await ann.ask(buy("s9", "p9"), PurchaseOutcome)).outcome == "reserved"
        assert (await ann.ask(buy("a", "p10"), PurchaseOutcome)).outcome == "frozen", "lifted, not thawed"


async def test_who_dies_in_the_middle_is_followed(start_server: StartServer, valkey: Redis) -> None:
    """The switch is in the store, one sale is frozen and its holder not yet told: the next process goes
    on."""
    first = await start_server()
    shop = Rest(first, first.mint("service", "shop"))
    await on_shelf(shop, "a", "b")
    async with Raw(first.url, first.mint("viewer", "ann")) as ann:
        await ann.ask(buy("a", "p1"), PurchaseOutcome)
        clock = ManualClock(int(time.time() * 1000))
        await ValkeyLedger(valkey, clock).freeze("a", actor="shop", command_id="stop")
        store = KillSwitchStore(valkey)
        await valkey.zadd(CLAIMS, {"a": 1})  # long ago: who claimed it is dead
        await store.throw(at_ms=1, actor="shop", command_id="stop", reason="")
        state = await until_frozen(shop)
        assert state["frozen"] == 1, "the other one; this one was"
        await ann.until(lambda message: getattr(message, "kind", "") == "reservationFrozen")
        assert len(ann.notices()) == 1
        assert await valkey.zcard(CLAIMS) == 0


async def test_a_sale_frozen_before_is_not_told_again(server: Running) -> None:
    shop = Rest(server, server.mint("service", "shop"))
    await on_shelf(shop, "a")
    async with Raw(server.url, server.mint("viewer", "ann")) as ann:
        await ann.ask(buy("a", "p1"), PurchaseOutcome)
        await shop.done("POST", "/v1/sales/a/freeze", key="f")
        await ann.until(lambda message: getattr(message, "kind", "") == "reservationFrozen")
        await shop.done("POST", "/v1/freeze-all", key="stop")
        state = await until_frozen(shop)
        assert state.get("frozen", 0) == 0
        await ann.join("r1")
        assert len(ann.notices()) == 1


async def test_a_frozen_night_stays_so_after_a_restart(start_server: StartServer) -> None:
    first = await start_server()
    shop = Rest(first, first.mint("service", "shop"))
    await on_shelf(shop, "a")
    await shop.done("POST", "/v1/freeze-all", key="stop")
    second = await start_server()
    other = Rest(second, second.mint("service", "shop"))
    assert (await until_frozen(other))["on"] is True
    assert await statuses(other) == {"a": "frozen"}
    async with Raw(second.url, second.mint("streamer", "eve")) as eve:
        await list_oil(eve)
        refused = await eve.refused(c.OpenSale(id="o", room="r1", sale_id="s", listing_id="oil"))
        assert refused.code == "all_frozen"
        assert "shop" in refused.detail
        await other.done("DELETE", "/v1/freeze-all")
        await eve.ask(c.OpenSale(id="o", room="r1", sale_id="s", listing_id="oil"), Done)


async def test_who_opens_in_the_very_moment_opens_a_frozen_sale(
    valkey: Redis, monkeypatch: pytest.MonkeyPatch, server: Running
) -> None:
    """The switch is thrown between his check and his opening."""
    check, checks = KillSwitch.check, 0

    async def thrown_behind(switch: KillSwitch) -> None:
        nonlocal checks
        checks += 1
        await check(switch)
        if checks == 1:
            await KillSwitchStore(valkey).throw(at_ms=1, actor="shop", command_id="stop", reason="")

    monkeypatch.setattr(KillSwitch, "check", thrown_behind)
    monkeypatch.setattr(KillSwitch, "beat", lambda _: asyncio.sleep(0))  # nobody else finds it
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await list_oil(eve)
        refused = await eve.refused(c.OpenSale(id="o", room="r1", sale_id="s", listing_id="oil"))
        assert refused.code == "all_frozen"
    ledger = ValkeyLedger(valkey, ManualClock(int(time.time() * 1000)))
    assert (await ledger.view("s")).status is SaleStatus.FROZEN


async def test_a_switch_lifted_in_the_middle_freezes_no_more(
    valkey: Redis, monkeypatch: pytest.MonkeyPatch, server: Running
) -> None:
    """It was thrown by mistake, and there is no command that thaws a sale."""
    shop = Rest(server, server.mint("service", "shop"))
    await on_shelf(shop, *(f"s{nth:02}" for nth in range(2 * AT_ONCE)))
    freeze, beat = KillSwitch._freeze, KillSwitch.beat
    lifted, ended = asyncio.Event(), asyncio.Event()

    async def lifted_behind(switch: KillSwitch, thrown: Thrown, sale_id: str) -> bool:
        frozen = await freeze(switch, thrown, sale_id)
        if sale_id == "s00":
            await switch.lift()
            lifted.set()
        return frozen

    async def to_its_end(switch: KillSwitch) -> None:
        await beat(switch)
        if lifted.is_set():
            ended.set()

    monkeypatch.setattr(KillSwitch, "_freeze", lifted_behind)
    monkeypatch.setattr(KillSwitch, "beat", to_its_end)
    await shop.done("POST", "/v1/freeze-all", key="stop")
    async with asyncio.timeout(PATIENCE_S):
        await ended.wait()
    found = await statuses(shop)
    assert found["s00"] == "frozen"
    assert {found[f"s{nth:02}"] for nth in range(AT_ONCE, 2 * AT_ONCE)} == {"open"}


async def test_holders_that_could_not_be_told_for_too_much_work_are_told_later(
    monkeypatch: pytest.MonkeyPatch, server: Running
) -> None:
    start, refused = Tasks.start, 0

    def too_much(tasks: Tasks, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any] | None:
        nonlocal refused
        if name.startswith("tell the holders") and not refused:
            refused += 1
            work.close()
            return None
        return start(tasks, work, name=name)

    monkeypatch.setattr(Tasks, "start", too_much)
    monkeypatch.setattr(kill_switch, "STALE_MS", 500)
    shop = Rest(server, server.mint("service", "shop"))
    await on_shelf(shop, "a")
    async with Raw(server.url, server.mint("viewer", "ann")) as ann:
        await ann.ask(buy("a", "p1"), PurchaseOutcome)
        await shop.done("POST", "/v1/freeze-all", key="stop")
        await ann.until(lambda message: getattr(message, "kind", "") == "reservationFrozen")
        assert (refused, len(ann.notices())) == (1, 1)
