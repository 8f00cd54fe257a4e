"""A sale announced before it opens: the shipped client buys by itself, inside the window the server gives."""

from __future__ import annotations

import asyncio
import time

from liveserver.app import Running
from protocol import commands as c
from protocol.client.aio import connect
from protocol.replies import Done, PurchaseOutcome
from protocol.types import OrderLine

from .raw import Raw
from .rest import Rest
from .shop import list_oil

JAR = [OrderLine(item_id="jar")]


async def test_who_booked_buys_when_it_opens(server: Running) -> None:
    """Five of them, drawn over the window; whoever asks before it opens is told so."""
    ships = int(time.time() * 1000) + 100 * 24 * 3_600_000
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        connect(server.url, server.mint("viewer", "ann")) as live,
    ):
        await list_oil(eve, stock=9)
        room = await live.join("r1")
        opening = c.OpenSale(
            id="o",
            room="r1",
            sale_id="s1",
            listing_id="oil",
            opens_in_ms=800,
            spread_ms=400,
            ships_at_ms=ships,
        )
        await eve.ask(opening, Done)
        async with asyncio.timeout(10):
            while room.mirror.sale("s1") is None:
                await anext(room)
        sale = room.mirror.sale("s1")
        assert sale is not None
        assert (sale.stock.status, sale.spread_ms, sale.ships_at_ms) == ("scheduled", 400, ships)
        assert (await room.purchase("s1", JAR)).outcome == "not_started"

        draws = (0.0, 0.25, 0.5, 0.75, 0.99)
        bought = await asyncio.gather(
            *(room.purchase_at_opening("s1", JAR, random=lambda draw=draw: draw) for draw in draws)  # type: ignore[misc]
        )
        assert [one.outcome for one in bought] == ["reserved"] * 5
        for draw, one in zip(draws, bought, strict=True):
            assert one.t >= sale.opens_at_ms + draw * sale.spread_ms - 1, "not before its moment"


async def test_the_client_buys_from_a_shelf(server: Running) -> None:
    card = {"listingId": "x", "title": "x", "items": [{"itemId": "jar", "priceFen": 1, "stock": 1}]}
    shop = Rest(server, server.mint("service", "shop"))
    await shop.done("POST", "/v1/sales", {"saleId": "s1", "listing": card}, key="o")
    async with connect(server.url, server.mint("viewer", "ann")) as live:
        bought: PurchaseOutcome = await live.purchase("s1", JAR)
        assert bought.outcome == "reserved"
        assert (await live.purchase("s1", JAR)).outcome == "sold_out"
