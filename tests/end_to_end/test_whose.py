"""Whose is it: a sale is bought in its own rooms alone, a notice heard by its own user alone."""

from __future__ import annotations

from liveserver.app import Running
from protocol import commands as c
from protocol.replies import PurchaseOutcome, ReservationChanged
from protocol.types import OrderLine

from .raw import Raw
from .shop import list_oil, open_oil_sale


async def test_a_sale_of_another_room_is_unknown_here(server: Running) -> None:
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await eve.join("r1")
        await list_oil(eve)
        await open_oil_sale(eve)
        await ann.join("r1")
        await ann.join("r2")
        await ann.see_available("s1", {"jar": 3})
        jar = [OrderLine(item_id="jar")]
        refused = await ann.refused(c.Purchase(id="b1", room="r2", sale_id="s1", lines=jar))
        assert (refused.code, refused.field) == ("unknown_sale", "saleId")
        bought = await ann.ask(c.Purchase(id="b1", room="r1", sale_id="s1", lines=jar), PurchaseOutcome)
        assert (bought.outcome, bought.replayed) == ("reserved", False)


async def test_a_notice_is_heard_by_whom_it_concerns_and_nobody_else(server: Running) -> None:
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
        Raw(server.url, server.mint("viewer", "bob")) as bob,
        Raw(server.url, server.mint("service", "orders")) as orders,
    ):
        for one in (eve, ann, bob):
            await one.join("r1")
        await list_oil(eve)
        await open_oil_sale(eve)
        jar = [OrderLine(item_id="jar")]
        for buyer in (ann, bob):
            await buyer.see_available("s1", {"jar": 3 if buyer is ann else 2})
            command = c.Purchase(id="b1", room="r1", sale_id="s1", lines=jar)
            assert (await buyer.ask(command, PurchaseOutcome)).outcome == "reserved"
        await orders.ask(c.Confirm(id="p1", reservation_id="s1~bob~0"), ReservationChanged)
        await bob.until(lambda message: getattr(message, "kind", "") == "reservationConfirmed")
        await orders.ask(c.Release(id="p2", reservation_id="s1~ann~0"), ReservationChanged)
        await ann.until(lambda message: getattr(message, "kind", "") == "reservationReleased")
        assert [notice.kind for notice in ann.notices()] == ["reservationReleased"]
        assert [notice.kind for notice in bob.notices()] == ["reservationConfirmed"]
        assert eve.notices() == []
