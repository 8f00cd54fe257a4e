"""Whose is it: a sale is bought in its own rooms alone, a notice heard by its own user alone."""

from __future__ import annotations

from redis.asyncio import Redis

from liveserver.app import Running
from liveserver.store.rooms import ValkeyRoomStore
from protocol import commands as c
from protocol.replies import Done, PurchaseOutcome, ReservationChanged
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


async def test_an_opening_that_was_refused_gives_no_claim_to_the_sale(server: Running) -> None:
    """Nor does one that lost the race: whoever got there first has the sale, and nobody else steers it."""
    async with (
        Raw(server.url, server.mint("streamer", "mal", rooms=["r2"])) as mal,
        Raw(server.url, server.mint("streamer", "eve", rooms=["r1"])) as eve,
    ):
        await mal.join("r2")
        await list_oil(mal, room="r2")
        early = c.OpenSale(
            id="m1",
            room="r2",
            sale_id="s1",
            listing_id="oil",
            limit_per_user=0,
            hold_ms=60_000,
            ships_at_ms=1,
        )
        assert (await mal.refused(early)).code == "invalid_field"
        await eve.join("r1")
        await list_oil(eve)
        await open_oil_sale(eve)
        taken = c.OpenSale(
            id="m2", room="r2", sale_id="s1", listing_id="oil", limit_per_user=0, hold_ms=60_000
        )
        assert (await mal.refused(taken)).code == "sale_conflict"
        assert (await mal.refused(c.CloseSale(id="m3", room="r2", sale_id="s1"))).code == "unknown_sale"
        assert (await mal.refused(c.CloseSale(id="m4", sale_id="s1"))).code == "unknown_sale"


async def test_of_two_who_open_one_id_at_once_one_has_the_sale(server: Running, valkey: Redis) -> None:
    """Both had looked, and both had announced it to their rooms, when one opened it."""
    async with (
        Raw(server.url, server.mint("streamer", "mal", rooms=["r2"])) as mal,
        Raw(server.url, server.mint("streamer", "eve", rooms=["r1"])) as eve,
    ):
        await mal.join("r2")
        await list_oil(mal, room="r2")
        await ValkeyRoomStore(valkey).announce_sale("r2", "s1")
        await eve.join("r1")
        await list_oil(eve)
        await open_oil_sale(eve)
        late = c.OpenSale(
            id="m1", room="r2", sale_id="s1", listing_id="oil", limit_per_user=0, hold_ms=60_000
        )
        assert (await mal.refused(late)).code == "sale_conflict"
        assert (await mal.refused(c.CloseSale(id="m2", sale_id="s1"))).code == "unknown_sale"
        assert (await eve.ask(c.CloseSale(id="e1", sale_id="s1"), Done)).id == "e1"


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
