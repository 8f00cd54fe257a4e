"""What becomes of a reservation after its hold, and of a sale that is stopped in the middle."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote

import pytest

from liveserver.app import Running
from protocol import commands as c
from protocol.events import SaleRestocked, SaleSoldOut
from protocol.frames import Frame
from protocol.replies import Done, PurchaseOutcome, ReservationChanged
from protocol.types import OrderLine

from .raw import Raw
from .shop import list_oil, open_oil_sale


class OrderService:
    """Over REST, as a shop's backend does it."""

    def __init__(self, server: Running) -> None:
        self._url = server.http_url
        self._token = server.mint("service", "orders")

    async def post(self, reservation_id: str, verb: str, key: str, body: object = None) -> Any:
        path = f"/v1/reservations/{quote(reservation_id, safe='')}/{verb}"
        return await self._call("POST", path, key, b"" if body is None else json.dumps(body).encode())

    async def orders(self, sale_id: str) -> list[tuple[str, str]]:
        """(user, state) of every change, in the feed's order."""
        return [(row["userId"], row["reservation"]["state"]) for row in await self.rows(sale_id)]

    async def rows(self, sale_id: str) -> list[Any]:
        page = await self._call("GET", f"/v1/sales/{sale_id}/orders")
        return list(page["orders"])

    async def _call(self, method: str, path: str, key: str = "", body: bytes | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        request = urllib.request.Request(f"{self._url}{path}", body, headers, method=method)

        def ask() -> Any:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.loads(answer.read())

        return await asyncio.to_thread(ask)


Enter = Callable[..., Awaitable[list[Raw]]]
ROLES = {"eve": "streamer", "orders": "service"}  # everybody else is a viewer


@pytest.fixture
async def enter(server: Running) -> AsyncIterator[Enter]:
    """``eve, ann = await enter("eve", "ann")``: these people, in the room; ``orders`` stays outside."""
    async with AsyncExitStack() as stack:

        async def enter_as(*users: str) -> list[Raw]:
            entered = []
            for user in users:
                who = Raw(server.url, server.mint(ROLES.get(user, "viewer"), user))
                entered.append(await stack.enter_async_context(who))
                if user != "orders":
                    await who.join("r1")
            return entered

        yield enter_as


async def hold(buyer: Raw, command_id: str) -> str:
    command = c.Purchase(id=command_id, room="r1", sale_id="s1", lines=[OrderLine(item_id="jar")])
    outcome = await buyer.ask(command, PurchaseOutcome)
    assert outcome.reservation is not None, outcome
    return outcome.reservation.reservation_id


async def give_up(buyer: Raw, reservation_id: str) -> None:
    released = await buyer.ask(
        c.Release(id=buyer.new_id(), reservation_id=reservation_id), ReservationChanged
    )
    assert released.reservation.state == "released"


async def kinds_of(buyer: Raw, kind: str) -> list[str]:
    """Every notice so far, once one of this kind was heard."""
    await buyer.until(lambda message: getattr(message, "kind", "") == kind)
    return [str(notice.kind) for notice in buyer.notices()]


async def test_late_payments_and_a_return_reach_everybody_they_concern(server: Running, enter: Enter) -> None:
    service = OrderService(server)
    eve, ann, bob = await enter("eve", "ann", "bob")
    await list_oil(eve, stock=1)
    await open_oil_sale(eve, limit=1)

    first = await hold(ann, "a1")
    await give_up(ann, first)
    late = await service.post(first, "confirm", "pay-1")
    assert late["state"] == "confirmed"
    assert await kinds_of(ann, "reservationConfirmed") == ["reservationConfirmed"]
    await eve.see_event(SaleSoldOut)
    sold_out_at = len(eve.heard)

    back = await service.post(first, "return", "back-1", {"limitBack": True})
    assert back["state"] == "returned"
    assert await service.post(first, "return", "back-2") == back
    await eve.see_event(SaleRestocked, after=sold_out_at)
    assert await kinds_of(ann, "reservationReturned") == ["reservationConfirmed", "reservationReturned"]

    second = await hold(ann, "a2")
    await give_up(ann, second)
    taken = await hold(bob, "b1")
    gone = await service.post(second, "confirm", "pay-2")
    assert gone["state"] == "refund_due"
    await give_up(bob, taken)
    assert await service.post(second, "confirm", "pay-2") == gone, "for good, though one is there again"
    await kinds_of(ann, "reservationRefundDue")
    assert (await ann.refused(c.Release(id="x", reservation_id=second))).code == "wrong_state"
    told = [str(notice.kind) for notice in ann.notices()]
    assert told == ["reservationConfirmed", "reservationReturned", "reservationRefundDue"]

    assert await service.orders("s1") == [
        ("ann", "held"),
        ("ann", "released"),
        ("ann", "confirmed"),
        ("ann", "returned"),
        ("ann", "held"),
        ("ann", "released"),
        ("bob", "held"),
        ("ann", "refund_due"),
        ("bob", "released"),
    ]


async def see_status(who: Raw, status: str) -> None:
    await who.until(
        lambda m: (
            isinstance(m, Frame) and m.state is not None and any(s.status == status for s in m.state.stock)
        )
    )


async def test_a_pause_and_a_freeze_reach_the_room_and_the_holders(enter: Enter) -> None:
    eve, ann, bob, orders = await enter("eve", "ann", "bob", "orders")
    await list_oil(eve, stock=9)
    await open_oil_sale(eve)
    held, given_up = await hold(ann, "a1"), await hold(bob, "b1")
    await give_up(bob, given_up)

    forbidden = [kind(id="x", room="r1", sale_id="s1") for kind in (c.PauseSale, c.ResumeSale, c.FreezeSale)]
    for command in forbidden:
        assert (await ann.refused(command)).code == "forbidden"
    await eve.ask(c.PauseSale(id="p1", room="r1", sale_id="s1"), Done)
    await see_status(ann, "paused")
    buy = c.Purchase(id="b2", room="r1", sale_id="s1", lines=[OrderLine(item_id="jar")])
    assert (await bob.ask(buy, PurchaseOutcome)).outcome == "paused"
    await orders.ask(c.ResumeSale(id="p2", room="r1", sale_id="s1"), Done)
    await eve.ask(c.PauseSale(id="p1", room="r1", sale_id="s1"), Done)
    assert (await bob.ask(buy, PurchaseOutcome)).outcome == "reserved"

    await orders.ask(c.FreezeSale(id="f1", room="r1", sale_id="s1"), Done)
    await see_status(ann, "frozen")
    await kinds_of(ann, "reservationFrozen")
    await kinds_of(bob, "reservationFrozen")
    await orders.ask(c.FreezeSale(id="f2", room="r1", sale_id="s1"), Done)
    assert (await eve.refused(c.ResumeSale(id="p3", room="r1", sale_id="s1"))).code == "frozen"
    refused = await orders.refused(c.Confirm(id="k1", reservation_id=held))
    assert (refused.code, refused.field) == ("frozen", "reservationId")
    refund = await orders.ask(c.Confirm(id="k2", reservation_id=given_up), ReservationChanged)
    assert refund.reservation.state == "refund_due"
    assert await kinds_of(bob, "reservationRefundDue") == ["reservationFrozen", "reservationRefundDue"]
    assert [notice.kind for notice in ann.notices()] == ["reservationFrozen"]
    unknown = await orders.refused(c.FreezeSale(id="f3", room="r1", sale_id="nope"))
    assert unknown.code == "unknown_sale"


async def test_who_waits_is_served_when_a_unit_comes_back(server: Running, enter: Enter) -> None:
    service = OrderService(server)
    eve, ann, bob, cat = await enter("eve", "ann", "bob", "cat")
    await list_oil(eve, stock=1)
    opening = c.OpenSale(
        id="o1", room="r1", sale_id="s1", listing_id="oil", limit_per_user=1, hold_ms=60_000, waitlist=2
    )
    await eve.ask(opening, Done)
    held = await hold(ann, "a1")
    order = [OrderLine(item_id="jar")]
    outcomes = [
        await buyer.ask(c.Purchase(id="w1", room="r1", sale_id="s1", lines=order), PurchaseOutcome)
        for buyer in (bob, cat, eve)
    ]
    assert [(each.outcome, each.ahead) for each in outcomes] == [
        ("waiting", 0),
        ("waiting", 1),
        ("sold_out", 0),
    ]
    await service.post(held, "release", "r1")
    assert await kinds_of(bob, "reservationServed") == ["reservationServed"]
    (notice,) = bob.notices()
    assert notice.reservation is not None and notice.reservation.state == "held"
    assert outcomes[0].reservation is not None
    assert notice.reservation.reservation_id == outcomes[0].reservation.reservation_id
    paid = await service.post(notice.reservation.reservation_id, "confirm", "p1")
    assert paid["state"] == "confirmed"
    again = await cat.ask(
        c.Purchase(id="w1", room="r1", sale_id="s1", lines=order, attempt=1), PurchaseOutcome
    )
    assert (again.outcome, again.ahead, again.replayed) == ("waiting", 0, True)
    assert again.reservation is not None
    await give_up(cat, again.reservation.reservation_id)
    assert cat.notices() == []
    assert await service.orders("s1") == [
        ("ann", "held"),
        ("bob", "waiting"),
        ("cat", "waiting"),
        ("ann", "released"),
        ("bob", "held"),
        ("bob", "confirmed"),
        ("cat", "released"),
    ]
    for row in await service.rows("s1"):  # a place in line has no due, though it was held later
        waits = row["reservation"]["state"] == "waiting"
        assert (row["reservation"]["expiresAtMs"] == 0) == (waits or row["userId"] == "cat")


async def test_of_a_sale_that_is_over_a_late_payment_and_a_return_are_still_told(
    server: Running, enter: Enter
) -> None:
    """Nothing of it is swept any more, and yet its buyers and screens are this room's."""
    service = OrderService(server)
    eve, ann, bob = await enter("eve", "ann", "bob")
    await list_oil(eve, stock=3)
    await open_oil_sale(eve)
    given_up, paid = await hold(ann, "a1"), await hold(bob, "b1")
    await give_up(ann, given_up)
    assert (await service.post(paid, "confirm", "pay-1"))["state"] == "confirmed"
    await eve.ask(c.CloseSale(id="x1", room="r1", sale_id="s1"), Done)
    await see_status(bob, "closed")

    assert (await service.post(given_up, "confirm", "pay-2"))["state"] == "refund_due"
    assert await kinds_of(ann, "reservationRefundDue") == ["reservationRefundDue"]
    assert (await service.post(paid, "return", "back-1"))["state"] == "returned"
    assert await kinds_of(bob, "reservationReturned") == ["reservationConfirmed", "reservationReturned"]
    await ann.until(
        lambda m: isinstance(m, Frame) and m.state is not None
        and any(s.available == {"jar": 3} and s.status == "closed" for s in m.state.stock)
    )  # fmt: skip
