"""The REST of /v1, as a table that the router, the role check and the OpenAPI document read.

A handler gets a ``Call`` whose caller is known and allowed, and whose key and body were read; it checks
what is its own (ids, the command's fields, through the wire's one decoder) and asks the ``RestApi``.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import orjson

from liveserver.core.identity import Identity
from liveserver.edge.api import ORDERS_PAGE_MAX, OrderPage, PurchaseOrder, RestApi
from protocol import commands
from protocol.codec import JSON, checked
from protocol.errors import CommandError
from protocol.replies import Done, PurchaseOutcome
from protocol.types import ID_PATTERN, ID_WORDS, HeldReservation, ListingDraft, Role

CURSOR_CHARS_MAX = 64
ORDERS_PAGE_DEFAULT = 100

NOBODY = Identity(user_id="", name="", role=Role.VIEWER, rooms=(), expires_at_ms=0)
"""Who asks without a token."""
_ID = re.compile(ID_PATTERN)


class Call(NamedTuple):
    identity: Identity
    path: Mapping[str, str]
    query: Mapping[str, str]
    key: str  # Idempotency-Key, the command's id; empty for GET
    body: dict[str, Any]  # empty where none is taken


class Parameter(NamedTuple):
    name: str
    required: bool
    schema: dict[str, Any]
    says: str


class Operation(NamedTuple):
    method: str
    path: str
    name: str
    summary: str
    roles: frozenset[Role]  # nobody else may
    answer: type
    handle: Callable[[RestApi, Call], Awaitable[msgspec.Struct]]
    body: type | None = None
    body_required: bool = True  # an empty one means an empty object, else
    query: tuple[Parameter, ...] = ()
    codes: tuple[str, ...] = ()  # beside what every operation can answer
    public: bool = False  # also without a token: the handler is then given ``NOBODY``
    headers: Callable[[Any], dict[str, str]] | None = None  # of the answer; with an ETag it may be 304


async def publish_listing(api: RestApi, call: Call) -> Done:
    command = command_of("publishListing", call, nested="listing")
    assert isinstance(command, commands.PublishListing)
    return await api.publish_listing(call.identity, command.room, command.listing, command.id)


async def open_sale(api: RestApi, call: Call) -> Done:
    command = command_of("openSale", call)
    assert isinstance(command, commands.OpenSale)
    return await api.open_sale(call.identity, command)


async def purchase(api: RestApi, call: Call) -> PurchaseOutcome:
    order = checked(call.body, PurchaseOrder)
    return await api.purchase(call.identity, id_of(call.path, "saleId"), order, call.key)


async def confirm(api: RestApi, call: Call) -> HeldReservation:
    command = command_of("confirm", call)
    assert isinstance(command, commands.Confirm)
    return await api.confirm(call.identity, command.reservation_id, command.id)


async def release(api: RestApi, call: Call) -> HeldReservation:
    command = command_of("release", call)
    assert isinstance(command, commands.Release)
    return await api.release(call.identity, command.reservation_id, command.id)


async def return_order(api: RestApi, call: Call) -> HeldReservation:
    command = command_of("return", call)
    assert isinstance(command, commands.Return)
    return await api.return_order(call.identity, command.reservation_id, command.id, command.limit_back)


async def reservation(api: RestApi, call: Call) -> HeldReservation:
    return await api.reservation(call.identity, call.path["reservationId"])


async def lookup(api: RestApi, call: Call) -> HeldReservation:
    sale_id = id_of(call.path, "saleId")
    return await api.lookup(call.identity, sale_id, id_of(call.query, "user"), id_of(call.query, "command"))


async def orders(api: RestApi, call: Call) -> OrderPage:
    after = call.query.get("after", "")
    if len(after) > CURSOR_CHARS_MAX:
        raise CommandError("invalid_field", f"at most {CURSOR_CHARS_MAX} characters", field="after")
    limit = page_limit(call, ORDERS_PAGE_DEFAULT, ORDERS_PAGE_MAX)
    return await api.orders(call.identity, id_of(call.path, "saleId"), after, limit)


def page_limit(call: Call, default: int, most: int) -> int:
    given = call.query.get("limit", str(default))
    limit = int(given) if given.isascii() and given.isdigit() and len(given) < 6 else 0
    if not 1 <= limit <= most:
        raise CommandError("invalid_field", f"1 to {most}", field="limit")
    return limit


def command_of(tag: str, call: Call, *, nested: str = "") -> commands.Command:
    """Body, path and key as one command, through the decoder that sockets use too. The names of the path
    are not the body's to give."""
    for name in ("type", "id", *call.path):
        if not nested and name in call.body:
            raise CommandError("unknown_field", f"`{name}` is not part of the body", field=name)
    body = {nested: call.body} if nested else call.body
    try:
        return JSON.decode_command(orjson.dumps({**body, **call.path, "type": tag, "id": call.key}))
    except CommandError as error:
        field = error.field.removeprefix(f"{nested}.") if nested else error.field
        raise CommandError(error.code, error.detail, field=field) from None


def id_of(values: Mapping[str, str], name: str) -> str:
    if name not in values:
        raise CommandError("missing_field", f"`{name}` is needed", field=name)
    if not _ID.fullmatch(values[name]):
        raise CommandError("invalid_field", f"`{name}` is an id: {ID_WORDS}", field=name)
    return values[name]


SERVICE = frozenset({Role.SERVICE})
SHOP = frozenset({Role.SERVICE, Role.STREAMER})
ID_SCHEMA = {"type": "string", "pattern": ID_PATTERN}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/v1/rooms/{room}/listings",
        "publishListing",
        "Put a product into a room's cart",
        SHOP,
        Done,
        publish_listing,
        body=ListingDraft,
        codes=("listing_exists", "cart_full", "room_ended", "conflict"),
    ),
    Operation(
        "POST",
        "/v1/rooms/{room}/sales",
        "openSale",
        "Open a sale of a listing with the stock of its items",
        SHOP,
        Done,
        open_sale,
        body=commands.OpenSale,
        codes=("unknown_listing", "sale_conflict", "sale_running", "room_ended", "conflict"),
    ),
    Operation(
        "POST",
        "/v1/sales/{saleId}/orders",
        "purchase",
        "Ask for units on behalf of a user; the outcome is one of the closed set of `purchase`, and sold out "
        "is an answer like any other. What is not known to be decided is a 503 or a 504: send it again with "
        "the same key and a higher `attempt`",
        SERVICE,
        PurchaseOutcome,
        purchase,
        body=PurchaseOrder,
        codes=("unknown_sale", "unknown_item"),
    ),
    Operation(
        "POST",
        "/v1/reservations/{reservationId}/confirm",
        "confirmReservation",
        "It was paid: the units are sold (`confirmed`), or it was too late and the money must go back "
        "(`refund_due`)",
        SERVICE,
        HeldReservation,
        confirm,
        codes=("unknown_reservation", "wrong_state", "frozen"),
    ),
    Operation(
        "POST",
        "/v1/reservations/{reservationId}/release",
        "releaseReservation",
        "Give the held units back: a streamer, those of a sale that was opened in a room of his",
        SHOP,
        HeldReservation,
        release,
        codes=("unknown_reservation", "wrong_state"),
    ),
    Operation(
        "POST",
        "/v1/reservations/{reservationId}/return",
        "returnReservation",
        "What was confirmed comes back: the units are available again",
        SERVICE,
        HeldReservation,
        return_order,
        body=commands.Return,
        body_required=False,
        codes=("unknown_reservation", "wrong_state"),
    ),
    Operation(
        "GET",
        "/v1/reservations/{reservationId}",
        "getReservation",
        "A reservation as it now is",
        SERVICE,
        HeldReservation,
        reservation,
        codes=("unknown_reservation",),
    ),
    Operation(
        "GET",
        "/v1/sales/{saleId}/reservations",
        "lookupReservation",
        "What became of a purchase, by its buyer and command id",
        SERVICE,
        HeldReservation,
        lookup,
        query=(
            Parameter("user", True, ID_SCHEMA, "who bought"),
            Parameter("command", True, ID_SCHEMA, "the purchase's command id"),
        ),
        codes=("unknown_sale", "unknown_reservation"),
    ),
    Operation(
        "GET",
        "/v1/sales/{saleId}/orders",
        "listOrders",
        "The sale's feed of reservations and what became of them",
        SHOP,
        OrderPage,
        orders,
        query=(
            Parameter(
                "after",
                False,
                {"type": "string", "maxLength": CURSOR_CHARS_MAX, "default": ""},
                "the cursor to go on behind; empty: from the start",
            ),
            Parameter(
                "limit",
                False,
                {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": ORDERS_PAGE_MAX,
                    "default": ORDERS_PAGE_DEFAULT,
                },
                "rows in one page",
            ),
        ),
        codes=("unknown_sale",),
    ),
)
