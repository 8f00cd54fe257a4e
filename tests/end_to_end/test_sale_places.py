"""One stock in several rooms and on a shelf outside of all: who sells it, who steers it, who hears of it."""

from __future__ import annotations

import pytest

from liveserver.app import Running
from liveserver.core.limits import CLOSED_SALES_MAX
from liveserver.store import places
from protocol import commands as c
from protocol.commands import CommandBase
from protocol.events import SaleClosed, SaleDetached, SaleOpened, SaleSoldOut
from protocol.replies import Done, Notice, PurchaseOutcome, ReservationChanged
from protocol.types import ItemDraft, ListingDraft, OrderLine

from .conftest import StartServer
from .raw import Raw
from .rest import Rest
from .shop import list_oil, open_oil_sale


def buy(command_id: str, room: str | None, quantity: int = 1) -> c.Purchase:
    return c.Purchase(
        id=command_id, room=room, sale_id="s1", lines=[OrderLine(item_id="jar", quantity=quantity)]
    )


def attach(who: Raw, room: str = "r2", listing_id: str = "oil") -> c.AttachSale:
    return c.AttachSale(id=who.new_id(), room=room, sale_id="s1", listing_id=listing_id)


def detach(who: Raw, room: str = "r2") -> c.DetachSale:
    return c.DetachSale(id=who.new_id(), room=room, sale_id="s1")


async def test_two_rooms_sell_one_stock_and_both_hear_its_end(server: Running) -> None:
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
        Raw(server.url, server.mint("viewer", "bob")) as bob,
    ):
        await ann.join("r1")
        await bob.join("r2")
        await list_oil(eve, stock=3)
        await list_oil(eve, room="r2")
        await open_oil_sale(eve)
        assert (await bob.refused(buy("b0", "r2"))).code == "unknown_sale"

        first = attach(eve)
        done = await eve.ask(first, Done)
        opened = await bob.see_event(SaleOpened)
        assert isinstance(opened, SaleOpened)
        here = (await ann.see_event(SaleOpened)).sale  # type: ignore[attr-defined]
        assert opened.sale.guest and not here.guest
        assert (opened.sale.opens_at_ms, opened.sale.closes_at_ms) == (here.opens_at_ms, here.closes_at_ms)
        again = await eve.ask(first, Done)
        assert (again.offset, again.duplicate) == (done.offset, True)
        assert (await eve.ask(attach(eve), Done)).duplicate is False, "it is so already: no event"

        assert (await bob.ask(buy("b1", "r2", 2), PurchaseOutcome)).outcome == "reserved"
        await ann.see_available("s1", {"jar": 1})
        assert (await ann.ask(buy("a1", "r1"), PurchaseOutcome)).outcome == "reserved"
        await ann.see_event(SaleSoldOut)
        await bob.see_event(SaleSoldOut)
        await eve.ask(c.CloseSale(id="close", sale_id="s1"), Done)
        await ann.see_event(SaleClosed)
        await bob.see_event(SaleClosed)
        assert (await eve.refused(attach(eve, "r2"))).code in ("closed", "sale_conflict")


async def test_a_detached_sale_goes_on_elsewhere_and_its_buyers_are_told(server: Running) -> None:
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "bob")) as bob,
        Raw(server.url, server.mint("service", "shop")) as shop,
    ):
        await bob.join("r2")
        await list_oil(eve)
        await list_oil(eve, room="r2")
        await open_oil_sale(eve)
        await eve.ask(attach(eve), Done)
        held = await bob.ask(buy("b1", "r2"), PurchaseOutcome)
        assert held.reservation is not None

        done = await eve.ask(detach(eve), Done)
        await bob.see_event(SaleDetached)
        assert (await eve.ask(detach(eve), Done)).epoch == done.epoch, "twice is the same as once"
        refused = await bob.refused(buy("b2", "r2"))
        assert (refused.code, refused.field) == ("unknown_sale", "saleId")
        assert (await eve.refused(detach(eve, "r3"))).code == "unknown_sale"

        await shop.ask(c.FreezeSale(id="f", sale_id="s1"), Done)
        await bob.until(lambda message: getattr(message, "kind", "") == "reservationFrozen")
        back = await bob.join("r2")
        assert [one.reservation_id for one in back.me.reservations] == [held.reservation.reservation_id]


async def test_it_comes_back_after_it_was_detached(server: Running) -> None:
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "bob")) as bob,
    ):
        await bob.join("r1")
        await list_oil(eve)
        await open_oil_sale(eve)
        await eve.ask(detach(eve, "r1"), Done)
        await bob.see_event(SaleDetached)
        heard = len(bob.heard)
        await eve.ask(attach(eve, "r1"), Done)
        opened = await bob.see_event(SaleOpened, after=heard)
        assert isinstance(opened, SaleOpened) and not opened.sale.guest, "its home it stays"
        assert (await bob.ask(buy("b1", "r1"), PurchaseOutcome)).outcome == "reserved"


async def test_who_is_in_both_rooms_is_told_once(server: Running) -> None:
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await ann.join("r1")
        await ann.join("r2")
        await list_oil(eve)
        await list_oil(eve, room="r2")
        await open_oil_sale(eve)
        await eve.ask(attach(eve), Done)
        await ann.ask(buy("a1", "r1"), PurchaseOutcome)
        await eve.ask(c.FreezeSale(id="f", room="r1", sale_id="s1"), Done)
        await ann.until(lambda message: getattr(message, "kind", "") == "reservationFrozen")
        await ann.join("r3")  # whatever else would have come, has
        assert [notice.kind for notice in ann.notices()] == ["reservationFrozen"]


async def test_a_buyer_at_another_process_and_in_another_room_is_told(start_server: StartServer) -> None:
    one, two = await start_server(), await start_server()
    async with (
        Raw(one.url, one.mint("streamer", "eve")) as eve,
        Raw(two.url, two.mint("viewer", "bob")) as bob,
        Raw(two.url, two.mint("service", "shop")) as shop,
    ):
        await list_oil(eve)
        await open_oil_sale(eve)
        await list_oil(eve, room="r2")
        await bob.join("r2")
        await eve.ask(attach(eve), Done)
        await bob.see_event(SaleOpened)
        await bob.ask(buy("b1", "r2"), PurchaseOutcome)
        await shop.ask(c.FreezeSale(id="f", sale_id="s1"), Done)
        await bob.until(lambda message: getattr(message, "kind", "") == "reservationFrozen")


async def test_the_process_that_ends_it_holds_none_of_its_rooms(start_server: StartServer) -> None:
    one, two = await start_server(), await start_server()
    async with (
        Raw(one.url, one.mint("streamer", "eve")) as eve,
        Raw(one.url, one.mint("viewer", "bob")) as bob,
        Raw(two.url, two.mint("service", "shop")) as shop,
    ):
        await bob.join("r1")
        await list_oil(eve)
        await open_oil_sale(eve)
        held = await bob.ask(buy("b1", "r1"), PurchaseOutcome)
        assert held.reservation is not None
        await shop.say(c.Confirm(id="k", reservation_id=held.reservation.reservation_id))
        await bob.until(lambda message: getattr(message, "kind", "") == "reservationConfirmed")
        assert [notice.kind for notice in bob.notices()] == ["reservationConfirmed"]


async def test_whose_sale_it_is(server: Running) -> None:
    """A streamer brings only his own sale into another room, and a room it was brought to doesn't steer
    it."""
    async with (
        Raw(server.url, server.mint("streamer", "eve", ["r1"])) as eve,
        Raw(server.url, server.mint("streamer", "zoe", ["r2"])) as zoe,
        Raw(server.url, server.mint("streamer", "max", ["r1", "r2"])) as max_,
    ):
        await list_oil(eve)
        await list_oil(zoe, room="r2")
        await open_oil_sale(eve)
        refused = await zoe.refused(attach(zoe))
        assert (refused.code, refused.field) == ("unknown_sale", "saleId")
        assert (await eve.refused(attach(eve))).code == "forbidden", "his token is not for that room"
        await max_.ask(attach(max_), Done)

        steering: list[CommandBase] = [
            kind(id=f"x{n}", room="r2", sale_id="s1")
            for n, kind in enumerate((c.PauseSale, c.ResumeSale, c.FreezeSale, c.CloseSale))
        ]
        steering.append(c.AdjustStock(id="x9", room="r2", sale_id="s1", item_id="jar", delta=1))
        for command in steering:
            refused = await zoe.refused(command)
            assert (refused.code, refused.field) == ("forbidden", "room")
        assert (await zoe.refused(c.PauseSale(id="x10", sale_id="s1"))).code == "unknown_sale"
        taken = c.OpenSale(id="x11", room="r2", sale_id="s1", listing_id="oil", hold_ms=60_000)
        assert (await zoe.refused(taken)).code == "sale_conflict"
        orders = Rest(server, server.mint("streamer", "zoe", ["r2"]))
        assert await orders.refused("GET", "/v1/sales/s1/orders") == ("unknown_sale", "saleId")
        await zoe.ask(detach(zoe), Done)
        assert (await zoe.refused(taken)).code == "sale_conflict"
        await eve.ask(c.PauseSale(id="p1", sale_id="s1"), Done)
        await max_.ask(c.ResumeSale(id="p2", sale_id="s1"), Done)


async def test_a_streamer_gives_back_what_is_held_of_his_own_sales(server: Running) -> None:
    """Anybody's: but not of a sale that his room only sells, nor of one that was opened elsewhere."""
    async with (
        Raw(server.url, server.mint("streamer", "eve", ["r1"])) as eve,
        Raw(server.url, server.mint("streamer", "max", ["r1", "r2"])) as max_,
        Raw(server.url, server.mint("streamer", "zoe", ["r2"])) as zoe,
        Raw(server.url, server.mint("streamer", "kim", ["r3"])) as kim,
        Raw(server.url, server.mint("moderator", "mod", ["r1"])) as mod,
        Raw(server.url, server.mint("viewer", "bob")) as bob,
    ):
        await list_oil(eve, stock=3)
        await list_oil(zoe, room="r2")
        await open_oil_sale(eve)
        await max_.ask(attach(max_), Done)
        await bob.join("r2")
        for command_id in ("b1", "b2", "b3"):
            assert (await bob.ask(buy(command_id, "r2"), PurchaseOutcome)).outcome == "reserved"
        await bob.see_available("s1", {"jar": 0})

        for number, who in enumerate((zoe, kim, mod)):
            refused = await who.refused(c.Release(id=f"x{number}", reservation_id="s1~bob~0"))
            assert (refused.code, refused.field) == ("unknown_reservation", "reservationId")
        for made_up in ("s9~bob~0", "s1~bob~3", "s1~bob", "~~0"):
            refused = await eve.refused(c.Release(id="x9", reservation_id=made_up))
            assert (refused.code, refused.field) == ("unknown_reservation", "reservationId")
        kims = Rest(server, server.mint("streamer", "kim", ["r3"]))
        refused_ = await kims.refused("POST", "/v1/reservations/s1~bob~0/release")
        assert refused_ == ("unknown_reservation", "reservationId")

        first = await eve.ask(c.Release(id="y1", reservation_id="s1~bob~0"), ReservationChanged)
        again = await max_.ask(c.Release(id="y2", reservation_id="s1~bob~0"), ReservationChanged)
        assert (first.reservation.state, first.changed, again.changed) == ("released", True, False)
        eves = Rest(server, server.mint("streamer", "eve", ["r1"]))
        released = await eves.done("POST", "/v1/reservations/s1~bob~1/release", key="y3")
        assert released["state"] == "released"
        await bob.see_available("s1", {"jar": 2})
        await bob.until(
            lambda message: (
                isinstance(message, Notice)
                and message.reservation is not None
                and message.reservation.reservation_id == "s1~bob~1"
            )
        )
        told = [
            (notice.kind, notice.reservation.reservation_id)
            for notice in bob.notices()
            if notice.reservation is not None
        ]
        assert told == [("reservationReleased", "s1~bob~0"), ("reservationReleased", "s1~bob~1")]


async def test_what_is_his_own_a_streamer_gives_back_anywhere(server: Running) -> None:
    async with (
        Raw(server.url, server.mint("streamer", "eve", ["r1"])) as eve,
        Raw(server.url, server.mint("streamer", "zoe", ["r2"])) as zoe,
        Raw(server.url, server.mint("streamer", "max", ["r1", "r2"])) as max_,
    ):
        await list_oil(eve)
        await list_oil(zoe, room="r2")
        await open_oil_sale(eve)
        await max_.ask(attach(max_), Done)
        await zoe.join("r2")
        assert (await zoe.ask(buy("z1", "r2"), PurchaseOutcome)).outcome == "reserved"
        done = await zoe.ask(c.Release(id="z2", reservation_id="s1~zoe~0"), ReservationChanged)
        assert (done.reservation.state, done.changed) == ("released", True)
        assert zoe.notices() == []


@pytest.mark.parametrize(
    ("listing", "code", "field"),
    [("nope", "unknown_listing", "listingId"), ("tea", "unknown_item", "listingId")],
)
async def test_the_room_s_listing_has_what_the_sale_sells(
    server: Running, listing: str, code: str, field: str
) -> None:
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await list_oil(eve)
        await open_oil_sale(eve)
        tea = c.PublishListing(
            id="t",
            room="r2",
            listing=ListingDraft(listing_id="tea", title="茶", items=[ItemDraft(item_id="bag", price_fen=1)]),
        )
        await eve.ask(tea, Done)
        refused = await eve.refused(attach(eve, listing_id=listing))
        assert (refused.code, refused.field) == (code, field)


async def test_where_it_is_sold_outlives_every_process(start_server: StartServer) -> None:
    """A new process learns it from the store alone."""
    first = await start_server()
    async with Raw(first.url, first.mint("streamer", "eve")) as eve:
        await list_oil(eve)
        await list_oil(eve, room="r2")
        await open_oil_sale(eve)
        await eve.ask(attach(eve), Done)
    second = await start_server()
    async with (
        Raw(second.url, second.mint("viewer", "bob")) as bob,
        Raw(second.url, second.mint("streamer", "max", ["r1"])) as max_,
    ):
        await bob.join("r2")
        assert (await bob.ask(buy("b1", "r2"), PurchaseOutcome)).outcome == "reserved"
        await max_.ask(c.PauseSale(id="p", sale_id="s1"), Done)


async def test_a_sale_is_in_so_many_rooms_and_no_more(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "ROOMS_PER_SALE_MAX", 2)
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        for room in ("r1", "r2", "r3"):
            await list_oil(eve, room=room)
        await open_oil_sale(eve)
        await eve.ask(attach(eve), Done)
        refused = await eve.refused(attach(eve, "r3"))
        assert (refused.code, refused.field) == ("sale_rooms_full", "room")
        await eve.join("r3")
        assert not [one for one in eve.events() if isinstance(one.event, SaleOpened)], (
            "r3 heard nothing of it"
        )
        await eve.ask(attach(eve), Done)


async def test_a_detach_repeated_when_the_room_has_forgotten_the_sale_is_done_already(
    server: Running,
) -> None:
    shop = Rest(server, server.mint("service", "shop"))
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await list_oil(eve)
        await open_oil_sale(eve)
        done = await shop.done("POST", "/v1/rooms/r1/sales/s1/detach", key="d")
        for nth in range(CLOSED_SALES_MAX):
            opening = {"saleId": f"t{nth}", "listingId": "oil"}
            await shop.done("POST", "/v1/rooms/r1/sales", opening, key=f"o{nth}")
            await shop.done("POST", f"/v1/sales/t{nth}/close", key=f"c{nth}")
            await eve.join("r1")
        again = await shop.done("POST", "/v1/rooms/r1/sales/s1/detach", key="d")
        assert (again["offset"], again["duplicate"]) == (done["offset"], True)


async def test_a_detach_repeated_when_the_sale_is_back_takes_nothing_away(server: Running) -> None:
    shop = Rest(server, server.mint("service", "shop"))
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await list_oil(eve)
        await list_oil(eve, room="r2")
        await open_oil_sale(eve)
        await eve.ask(attach(eve), Done)
        away = detach(eve)
        await eve.ask(away, Done)
        await eve.ask(attach(eve), Done)
        assert (await eve.ask(away, Done)).duplicate is True
        rooms = (await shop.done("GET", "/v1/sales/s1/places"))["rooms"]
        assert [(at["room"], at.get("selling", True)) for at in rooms] == [("r1", True), ("r2", True)]


async def test_the_room_it_was_opened_in_is_its_home_though_it_had_forgotten_it(server: Running) -> None:
    shop = Rest(server, server.mint("service", "shop"))
    async with Raw(server.url, server.mint("streamer", "eve", ["r1"])) as eve:
        await eve.join("r1")
        await list_oil(eve)
        await open_oil_sale(eve)
        await eve.ask(detach(eve, "r1"), Done)
        for nth in range(CLOSED_SALES_MAX):
            opening = {"saleId": f"t{nth}", "listingId": "oil"}
            await shop.done("POST", "/v1/rooms/r1/sales", opening, key=f"o{nth}")
            heard = len(eve.heard)
            await shop.done("POST", f"/v1/sales/t{nth}/close", key=f"c{nth}")
            await eve.see_event(SaleClosed, after=heard)  # until then the listing is on sale
        await eve.ask(attach(eve, "r1"), Done)
        await eve.ask(c.PauseSale(id="p1", room="r1", sale_id="s1"), Done)
        await eve.ask(c.CloseSale(id="x1", sale_id="s1"), Done)
