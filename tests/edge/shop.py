"""A shop that calls the REST, and the program behind it as its interface is written: that one records what
it is asked and answers as told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import liveserver
from liveserver.core.identity import Identity
from liveserver.edge.api import (
    FreezeAllState,
    OrderPage,
    OrderRow,
    PurchaseOrder,
    SalePage,
    SalePlace,
    SalePlaces,
)
from liveserver.edge.openapi import ProblemBody
from liveserver.edge.tokens import TokenConfig, Tokens
from protocol.commands import Command, OpenSale
from protocol.replies import Done, PurchaseOutcome
from protocol.types import HeldReservation, Item, ListingDraft, OrderLine, Role, SaleView
from tests.clock import ManualClock
from tests.edge.peers import Answer

if TYPE_CHECKING:
    from tests.edge.conftest import Edge


PAGES = Path(liveserver.__file__).parent / "web"
TOKENS = Tokens(TokenConfig(secret="a secret of at least thirty-two bytes"))
LISTING = {"listingId": "l1", "title": "苹果", "items": [{"itemId": "red", "priceFen": 990, "stock": 5}]}
SALE = {"saleId": "s1", "listingId": "l1", "limitPerUser": 2}
ASKED: dict[str, tuple[str, str, Any]] = {
    "publishListing": ("POST", "/v1/rooms/r1/listings", LISTING),
    "openSale": ("POST", "/v1/rooms/r1/sales", SALE),
    "purchase": ("POST", "/v1/sales/s1/orders", {"userId": "u1", "lines": [{"itemId": "red"}]}),
    "confirmReservation": ("POST", "/v1/reservations/s1:7/confirm", None),
    "releaseReservation": ("POST", "/v1/reservations/s1:7/release", None),
    "returnReservation": ("POST", "/v1/reservations/s1:7/return", {"limitBack": True}),
    "getReservation": ("GET", "/v1/reservations/s1:7", None),
    "lookupReservation": ("GET", "/v1/sales/s1/reservations?user=u1&command=c1", None),
    "openShelfSale": ("POST", "/v1/sales", {"saleId": "s2", "listing": LISTING, "spreadMs": 500}),
    "listSales": ("GET", "/v1/sales", None),
    "getSale": ("GET", "/v1/sales/s1", None),
    "getSalePlaces": ("GET", "/v1/sales/s1/places", None),
    "pauseSale": ("POST", "/v1/sales/s1/pause", None),
    "resumeSale": ("POST", "/v1/sales/s1/resume", None),
    "freezeSale": ("POST", "/v1/sales/s1/freeze", None),
    "closeSale": ("POST", "/v1/sales/s1/close", None),
    "adjustStock": ("POST", "/v1/sales/s1/adjust", {"itemId": "red", "delta": -1, "reason": "broken"}),
    "attachSale": ("POST", "/v1/rooms/r1/sales/s1/attach", {"listingId": "l1"}),
    "detachSale": ("POST", "/v1/rooms/r1/sales/s1/detach", None),
    "freezeAll": ("POST", "/v1/freeze-all", {"reason": "a wrong price"}),
    "getFreezeAll": ("GET", "/v1/freeze-all", None),
    "liftFreezeAll": ("DELETE", "/v1/freeze-all", None),
    "listOrders": ("GET", "/v1/sales/s1/orders", None),
}
"""One right request for every operation."""

HELD = HeldReservation(
    reservation_id="s1:7",
    sale_id="s1",
    command_id="c1",
    state="held",
    lines=[OrderLine(item_id="red", quantity=2)],
    expires_at_ms=1_700_000_900_000,
)
VIEW = SaleView(
    sale_id="s1",
    epoch=3,
    seq=9,
    status="open",
    available={"red": 4},
    on_shelf=True,
    title="苹果",
    items=[Item(item_id="red", price_fen=990, stock=5)],
    limit_per_user=2,
    opens_at_ms=1_700_000_000_000,
    closes_at_ms=1_700_003_600_000,
    hold_ms=900_000,
)
STOPPED = FreezeAllState(
    on=True, at_ms=5, actor="shop", reason="a wrong price", frozen=7, failed=["s9: pending"]
)


BOUGHT = PurchaseOutcome(
    id="k1", t=1, sale_id="s1", outcome="reserved", epoch=3, seq=9, reservation=HELD, durability="memory"
)


class RecordingApi:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.fails: Exception | None = None
        self.reasons: list[str] = []
        self.retry_ms = 0

    def ready(self) -> list[str]:
        return self.reasons

    def leaving_ms(self) -> int:
        return self.retry_ms

    def _called(self, *call: Any) -> None:
        self.calls.append(call)
        if self.fails is not None:
            raise self.fails

    async def publish_listing(
        self, identity: Identity, room: str, listing: ListingDraft, command_id: str
    ) -> Done:
        self._called("publish_listing", identity.user_id, room, listing, command_id)
        return Done(id=command_id, t=1, epoch=5, offset=12)

    async def open_sale(self, identity: Identity, command: OpenSale) -> Done:
        self._called("open_sale", identity.user_id, command)
        return Done(id=command.id, t=1, epoch=5, offset=13)

    async def purchase(
        self, identity: Identity, sale_id: str, order: PurchaseOrder, command_id: str
    ) -> PurchaseOutcome:
        self._called("purchase", identity.user_id, sale_id, order, command_id)
        return BOUGHT

    async def confirm(self, identity: Identity, reservation_id: str, command_id: str) -> HeldReservation:
        self._called("confirm", identity.user_id, reservation_id, command_id)
        return HELD

    async def release(self, identity: Identity, reservation_id: str, command_id: str) -> HeldReservation:
        self._called("release", identity.user_id, reservation_id, command_id)
        return HELD

    async def return_order(
        self, identity: Identity, reservation_id: str, command_id: str, limit_back: bool
    ) -> HeldReservation:
        self._called("return_order", identity.user_id, reservation_id, command_id, limit_back)
        return HELD

    async def reservation(self, identity: Identity, reservation_id: str) -> HeldReservation:
        self._called("reservation", identity.user_id, reservation_id)
        return HELD

    async def lookup(
        self, identity: Identity, sale_id: str, user_id: str, command_id: str
    ) -> HeldReservation:
        self._called("lookup", identity.user_id, sale_id, user_id, command_id)
        return HELD

    async def carry_out(self, identity: Identity, command: Command) -> Done:
        self._called("carry_out", identity.user_id, command)
        return Done(id=command.id, t=1)

    async def sale(self, identity: Identity, sale_id: str) -> SaleView:
        self._called("sale", identity.user_id, sale_id)
        return VIEW

    async def sales(self, identity: Identity, after: str, limit: int) -> SalePage:
        self._called("sales", identity.user_id, after, limit)
        return SalePage(sales=[VIEW], next="s1")

    async def places(self, identity: Identity, sale_id: str) -> SalePlaces:
        self._called("places", identity.user_id, sale_id)
        return SalePlaces(rooms=[SalePlace(room="r1", listing_id="l1", home=True)], on_shelf=True)

    async def freeze_all(self, identity: Identity, reason: str, command_id: str) -> FreezeAllState:
        self._called("freeze_all", identity.user_id, reason, command_id)
        return STOPPED

    async def freeze_all_state(self) -> FreezeAllState:
        self._called("freeze_all_state")
        return STOPPED

    async def lift_freeze_all(self) -> FreezeAllState:
        self._called("lift_freeze_all")
        return FreezeAllState(on=False)

    async def orders(self, identity: Identity, sale_id: str, after: str, limit: int) -> OrderPage:
        self._called("orders", identity.user_id, sale_id, after, limit)
        row = OrderRow(cursor="3-10", at_ms=1, user_id="u1", reservation=HELD)
        return OrderPage(orders=[row], next="3-10")


def token(role: Role = Role.SERVICE, rooms: tuple[str, ...] = ("*",), ttl_ms: int = 60_000) -> str:
    return TOKENS.mint("shop", role, rooms, now_ms=ManualClock().now_ms(), ttl_ms=ttl_ms)


class Site:
    """A server with the real application, and one who calls it."""

    def __init__(self, edge: Edge, api: RecordingApi) -> None:
        self.edge = edge
        self.api = api

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        bearer: str | None = "",
        key: str | None = "k1",
        also: str = "",
        host: str = "shop.example",
    ) -> Answer:
        """``body``: bytes as they are, anything else as JSON. ``bearer`` empty: a service's."""
        raw = await self.edge.raw()
        sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
        if bearer is not None:
            lines.append(f"Authorization: Bearer {bearer or token()}")
        if key is not None and method == "POST":
            lines.append(f"Idempotency-Key: {key}")
        if sent:
            lines.append(f"Content-Length: {len(sent)}")
        raw.say("\r\n".join(lines).encode(), b"\r\n", also.encode(), b"\r\n", sent)
        answer = await raw.answer(method)
        raw.leave()
        return answer

    async def refused(self, method: str, path: str, body: Any = None, **how: Any) -> ProblemBody:
        answer = await self.call(method, path, body, **how)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = msgspec.json.decode(answer.body, type=ProblemBody)
        assert problem.status == answer.status
        assert problem.type == f"urn:liveserver:problem:{problem.code}"
        return problem
