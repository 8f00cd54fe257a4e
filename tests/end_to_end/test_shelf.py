"""Sales outside any room: opened by a service, shown to pages, bought by whoever has a token."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from redis.asyncio import Redis

from liveserver.app import Running
from protocol import commands as c
from protocol.events import SaleOpened
from protocol.replies import Done, PurchaseOutcome
from protocol.types import OrderLine
from tests.clock import ManualClock

from .conftest import StartServer
from .raw import Raw
from .rest import Rest
from .shop import list_oil, open_oil_sale

CARD = {
    "listingId": "oil",
    "title": "辣椒油",
    "items": [{"itemId": "jar", "variant": "一罐", "priceFen": 990, "stock": 3}],
}


def opening(**terms: Any) -> dict[str, Any]:
    return {"saleId": "s1", "listing": CARD, **terms}


def buy(command_id: str, room: str | None = None, quantity: int = 1) -> c.Purchase:
    line = OrderLine(item_id="jar", quantity=quantity)
    return c.Purchase(id=command_id, room=room, sale_id="s1", lines=[line])


async def test_a_sale_of_no_room_from_its_opening_to_its_end(server: Running) -> None:
    shop, page = Rest(server, server.mint("service", "shop")), Rest(server)
    assert await page.refused("GET", "/v1/sales/s1") == ("unknown_sale", "saleId")
    ships = int(time.time() * 1000) + 10 * 24 * 3_600_000
    terms = opening(limitPerUser=2, spreadMs=2_000, shipsAtMs=ships, waitlist=40)
    await shop.done("POST", "/v1/sales", terms, key="open")
    assert (await shop.done("POST", "/v1/sales", terms, key="open"))["duplicate"] is True

    async with Raw(server.url, server.mint("viewer", "ann", ["r9"])) as ann:
        bought = await ann.ask(buy("a1", quantity=2), PurchaseOutcome)
        assert bought.outcome == "reserved" and bought.reservation is not None
        assert (await ann.ask(buy("a2"), PurchaseOutcome)).outcome == "limit_reached"
        shown = (await page.call("GET", "/v1/sales/s1")).body
        assert shown["onShelf"] is True
        assert (shown["title"], shown["items"][0]["priceFen"]) == ("辣椒油", 990)
        assert (shown["status"], shown["available"]) == ("open", {"jar": 1}), "this process sold it"
        assert (shown["spreadMs"], shown["shipsAtMs"], shown["limitPerUser"]) == (2_000, ships, 2)
        assert shown["waitlist"] == 40

        await shop.done("POST", "/v1/sales/s1/freeze", key="f")
        await ann.until(lambda message: getattr(message, "kind", "") == "reservationFrozen")
        assert (await ann.ask(buy("a3"), PurchaseOutcome)).outcome == "frozen"
        assert [notice.kind for notice in ann.notices()] == ["reservationFrozen"]


async def test_what_is_in_a_room_only_is_not_sold_outside_it(server: Running) -> None:
    async with (
        Raw(server.url, server.mint("streamer", "eve", ["r1"])) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await list_oil(eve)
        await open_oil_sale(eve)
        refused = await ann.refused(buy("a1"))
        assert (refused.code, refused.field) == ("unknown_sale", "saleId")
        assert await Rest(server).refused("GET", "/v1/sales/s1") == ("unknown_sale", "saleId")
        viewer = Rest(server, server.mint("viewer", "ann"))
        assert await viewer.refused("GET", "/v1/sales/s1") == ("unknown_sale", "saleId")
        stranger = Rest(server, server.mint("streamer", "zoe", ["r2"]))
        assert await stranger.refused("GET", "/v1/sales/s1") == ("unknown_sale", "saleId")
        own = Rest(server, server.mint("streamer", "eve", ["r1"]))
        shown = await own.call("GET", "/v1/sales/s1")
        assert shown.body["available"] == {"jar": 3}
        assert "onShelf" not in shown.body and shown.body["items"][0]["itemId"] == "jar"
        assert shown.headers["cache-control"] == "private, no-cache"


async def test_a_sale_of_a_room_may_lie_on_a_shelf_as_well(server: Running) -> None:
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await list_oil(eve)
        await eve.ask(c.OpenSale(id="o", room="r1", sale_id="s1", listing_id="oil", shelf=True), Done)
        await eve.join("r1")
        assert (await ann.ask(buy("a1"), PurchaseOutcome)).outcome == "reserved"
        await eve.see_available("s1", {"jar": 2})
        places = await Rest(server, server.mint("service", "x")).done("GET", "/v1/sales/s1/places")
        assert places == {"rooms": [{"room": "r1", "listingId": "oil", "home": True}], "onShelf": True}


async def test_a_room_brings_in_a_sale_from_the_shelf(server: Running) -> None:
    shop = Rest(server, server.mint("service", "shop"))
    await shop.done("POST", "/v1/sales", opening(), key="open")
    async with (
        Raw(server.url, server.mint("streamer", "eve", ["r1"])) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await ann.join("r1")
        await list_oil(eve)
        assert (
            await eve.refused(c.AttachSale(id="x", room="r1", sale_id="s1", listing_id="oil"))
        ).code == "unknown_sale", "the shop's, not hers to bring"
        await shop.done("POST", "/v1/rooms/r1/sales/s1/attach", {"listingId": "oil"}, key="a")
        opened = await ann.see_event(SaleOpened)
        assert isinstance(opened, SaleOpened) and opened.sale.guest
        assert (await ann.ask(buy("a1", room="r1"), PurchaseOutcome)).outcome == "reserved"


async def test_pages_cost_the_store_one_look_a_second(start_server: StartServer, valkey: Redis) -> None:
    clock = ManualClock(int(time.time() * 1000))
    server = await start_server(clock=clock)
    shop, page = Rest(server, server.mint("service", "shop")), Rest(server)
    await shop.done("POST", "/v1/sales", opening(), key="open")
    first = await page.call("GET", "/v1/sales/s1")
    assert first.status == 200

    async def calls() -> int:
        stats = await valkey.info("commandstats")
        names = ("evalsha", "eval", "hget", "hgetall", "hmget", "xrange")
        return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in names)

    before = await calls()
    answers = await asyncio.gather(*(page.call("GET", "/v1/sales/s1") for _ in range(30)))
    unknown = await asyncio.gather(*(page.call("GET", "/v1/sales/nope") for _ in range(30)))
    assert {answer.status for answer in answers} == {200}
    assert {answer.status for answer in unknown} == {404}
    assert await calls() - before <= 2, "the one look at what nobody knows"
    same = await page.call("GET", "/v1/sales/s1", known=first.headers["etag"])
    assert (same.status, same.body) == (304, None)


async def test_the_same_id_is_one_sale(server: Running) -> None:
    shop = Rest(server, server.mint("service", "shop"))
    await shop.done("POST", "/v1/sales", opening(), key="open")
    other = {**CARD, "title": "别的"}
    assert await shop.refused("POST", "/v1/sales", opening() | {"listing": other}) == (
        "sale_conflict",
        "listing",
    )
    assert await shop.refused("POST", "/v1/sales", opening(limitPerUser=9)) == ("sale_conflict", "saleId")
    assert await shop.refused("POST", "/v1/sales", opening(spreadMs=9)) == ("sale_conflict", "saleId")


async def test_a_presale_ships_after_its_close(server: Running) -> None:
    shop = Rest(server, server.mint("service", "shop"))
    soon = int(time.time() * 1000) + 1_000
    assert await shop.refused("POST", "/v1/sales", opening(shipsAtMs=soon)) == ("invalid_field", "shipsAtMs")
    nothing = opening() | {"listing": {**CARD, "items": [{"itemId": "jar", "priceFen": 1}]}}
    assert await shop.refused("POST", "/v1/sales", nothing) == ("invalid_field", "listing.items")


async def test_a_buyer_in_no_room_is_told_at_whichever_process_he_is(start_server: StartServer) -> None:
    one, two = await start_server(), await start_server()
    shop = Rest(one, one.mint("service", "shop"))
    await shop.done("POST", "/v1/sales", opening(), key="open")
    async with Raw(two.url, two.mint("viewer", "ann", ["r9"])) as ann:
        bought = await ann.ask(buy("a1"), PurchaseOutcome)
        assert bought.reservation is not None
        path = f"/v1/reservations/{bought.reservation.reservation_id}/confirm"
        await shop.done("POST", path, key="paid")
        await ann.until(lambda message: getattr(message, "kind", "") == "reservationConfirmed")
        await shop.done("POST", "/v1/sales/s1/freeze", key="f")
        await ann.join("r9")
        assert [notice.kind for notice in ann.notices()] == ["reservationConfirmed"], (
            "what is paid isn't held"
        )
