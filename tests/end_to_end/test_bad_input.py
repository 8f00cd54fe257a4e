"""Every verb that touches stock × everything that can be wrong with what it is told, over both subprotocols
and REST: a stable code that names the field, documented, and the next good command works.

Two tables. What is wrong with the shape is derived from the shapes themselves, so a field that joins is
tested from its first day. What is wrong with the meaning is written out below.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints
from urllib.parse import quote

import msgspec
import pytest

import protocol
from liveserver.app import Running
from liveserver.edge.every_operation import EVERY_OPERATION
from liveserver.edge.openapi import document
from protocol import commands as c
from protocol.codec import CODECS
from protocol.commands import CommandBase
from protocol.replies import Done, ErrorReply, Pong, PurchaseOutcome, ReservationChanged
from protocol.types import ItemDraft, ListingDraft, OrderLine

from .raw import Raw
from .rest import Rest
from .shop import list_oil, open_oil_sale

REFERENCE = (Path(protocol.__file__).parent / "README.md").read_text("utf-8")
OPENAPI = document("0")
BAD_IDS: list[Any] = [
    *("", "x" * 65, "x" * 5_000, "a b", "a~b", "a,b", "a=b", "a;b", "a\nb", "a\n", "a/b", "{a}", "a%20", "é"),
    *(7, 1.5, None, True, [], {}),
]
BAD_AMOUNTS: list[Any] = [-1, 1.5, 2**53, 2**63, 10**30, "1", True, [], {}]
NO_COUNT_BELOW: dict[str, int] = {"durationMs": 1_000, "holdMs": 1_000, "quantity": 1}
OIL = ListingDraft(listing_id="oil", title="oil", items=[ItemDraft(item_id="jar", price_fen=1, stock=9)])

GOOD: dict[str, CommandBase] = {
    "purchase": c.Purchase(id="g", room="r1", sale_id="s1", lines=[OrderLine(item_id="jar")]),
    "release": c.Release(id="g", reservation_id="s1~ann~0"),
    "confirm": c.Confirm(id="g", reservation_id="s1~ann~0"),
    "return": c.Return(id="g", reservation_id="s1~ann~0"),
    "openSale": c.OpenSale(id="g", room="r1", sale_id="s1", listing_id="oil"),
    "openShelfSale": c.OpenShelfSale(id="g", sale_id="s1", listing=OIL),
    "attachSale": c.AttachSale(id="g", room="r1", sale_id="s1", listing_id="oil"),
    "detachSale": c.DetachSale(id="g", room="r1", sale_id="s1"),
    "adjustStock": c.AdjustStock(id="g", room="r1", sale_id="s1", item_id="jar", delta=1),
    "pauseSale": c.PauseSale(id="g", room="r1", sale_id="s1"),
    "resumeSale": c.ResumeSale(id="g", room="r1", sale_id="s1"),
    "freezeSale": c.FreezeSale(id="g", room="r1", sale_id="s1"),
    "closeSale": c.CloseSale(id="g", room="r1", sale_id="s1"),
}
NOT_IDS = {"reservationId", "reason", "title", "line", "photo", "variant"}


class Bad(NamedTuple):
    """One command gone wrong."""

    tag: str
    fields: dict[str, Any]  # without its type
    code: str
    field: str


def test_every_verb_of_the_stock_is_here() -> None:
    named = {
        kind.__struct_config__.tag
        for kind in c.Command.__args__
        if {"sale_id", "reservation_id"} & set(kind.__struct_fields__)
    }
    assert named == set(GOOD)


def misshapen(tag: str) -> Iterator[Bad]:
    """Every field of the command's shape, wrong in every way its type can be."""
    kind = type(GOOD[tag])
    good = msgspec.to_builtins(GOOD[tag])
    del good["type"]
    yield Bad(tag, {**good, "colour": "red"}, "unknown_field", "colour")
    for info in msgspec.structs.fields(kind):
        name = info.encode_name
        if info.required:
            yield Bad(tag, {key: one for key, one in good.items() if key != name}, "missing_field", name)
        for wrong in _wrong(name, get_type_hints(kind)[info.name]):
            yield Bad(tag, {**good, name: wrong}, "invalid_field", name)
    if tag == "purchase":
        for quantity in (0, *BAD_AMOUNTS, 1_000):
            lines = [{"itemId": "jar"}, {"itemId": "jar", "quantity": quantity}]
            yield Bad(tag, {**good, "lines": lines}, "invalid_field", "lines[1].quantity")
        for item in BAD_IDS:
            yield Bad(tag, {**good, "lines": [{"itemId": item}]}, "invalid_field", "lines[0].itemId")
        yield Bad(tag, {**good, "lines": [{"quantity": 1}]}, "missing_field", "lines[0].itemId")
        yield Bad(tag, {**good, "lines": [{"itemId": "jar"}] * 33}, "invalid_field", "lines")


def _wrong(name: str, hint: Any) -> list[Any]:
    optional = type(None) in getattr(hint, "__args__", ())
    if name == "lines":
        return [[], {}, "jar", 7, None]
    if name == "listing":
        return [[], "oil", 7, None]
    if name in ("limitBack", "shelf"):
        return [0, "yes", [], None]
    if name == "reservationId":
        return ["", "x" * 257, 7, None, []]
    if name == "reason":
        return ["x" * 141, 7, None, []]
    if name.endswith("Id") or name in ("id", "room"):
        return [one for one in BAD_IDS if not (optional and one is None)]
    amounts = [one for one in BAD_AMOUNTS if not (name == "delta" and one == -1)]
    return [*amounts, *([NO_COUNT_BELOW[name] - 1] if name in NO_COUNT_BELOW else [])]


def documented(code: str) -> bool:
    return re.search(rf"^\| `{code}` \|", REFERENCE, re.M) is not None


async def shop(server: Running, eve: Raw) -> None:
    """A sale of which ann holds one unit and has paid for another, and bob one."""
    await list_oil(eve, stock=9)
    await open_oil_sale(eve)
    async with (
        Raw(server.url, server.mint("viewer", "ann")) as ann,
        Raw(server.url, server.mint("viewer", "bob")) as bob,
        Raw(server.url, server.mint("service", "orders")) as orders,
    ):
        for who, command_id in ((ann, "a1"), (ann, "a2"), (bob, "b1")):
            await who.join("r1")
            buy = c.Purchase(id=command_id, room="r1", sale_id="s1", lines=[OrderLine(item_id="jar")])
            assert (await who.ask(buy, PurchaseOutcome)).outcome == "reserved"
        await orders.ask(c.Confirm(id="k", reservation_id="s1~ann~1"), ReservationChanged)


# -- over a socket -------------------------------------------------------------------------------------


async def heard(who: Raw, fields: dict[str, Any], subprotocol: str) -> ErrorReply:
    """The error a command as it stands is answered with; its id may be unreadable."""
    codec = CODECS[subprotocol]
    before = len(who.heard)
    await who.say_bytes(msgspec.json.encode(fields) if codec.text else msgspec.msgpack.encode(fields))
    found = await who.until(lambda message: isinstance(message, ErrorReply), after=before)
    assert isinstance(found, ErrorReply)
    return found


@pytest.mark.parametrize("subprotocol", CODECS)
@pytest.mark.parametrize("tag", GOOD)
async def test_what_is_misshapen_is_named(server: Running, subprotocol: str, tag: str) -> None:
    faults: list[str] = []
    token = server.mint("service", "orders")
    async with Raw(server.url, token, subprotocol) as who:
        for number, bad in enumerate(misshapen(tag)):
            if any(isinstance(one, int) and abs(one) >= 2**64 for one in _amounts(bad.fields)):
                continue  # neither codec carries it
            told = await heard(who, {**bad.fields, "type": tag}, subprotocol)
            if (told.code, told.field) != (bad.code, bad.field):
                faults.append(f"{bad} answered {told.code} {told.field!r}")
            assert documented(told.code)
            if number % 40 == 0:
                assert isinstance(await who.ask(c.Ping(id=f"p{number}"), Pong), Pong), "it goes on"
        await who.ask(c.Ping(id="last"), Pong)
    assert faults == []


def _amounts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [one for inner in value.values() for one in _amounts(inner)]
    if isinstance(value, list):
        return [one for inner in value for one in _amounts(inner)]
    return [value]


BUY = {"room": "r1", "saleId": "s1", "lines": [{"itemId": "jar"}]}
OPEN = {"room": "r1", "saleId": "s1", "listingId": "oil"}
CARD = {"listingId": "x", "title": "x", "items": [{"itemId": "jar", "priceFen": 1, "stock": 1}]}
STEERING = ("pauseSale", "resumeSale", "freezeSale", "closeSale")

MEANT: list[tuple[str, str, dict[str, Any], str, str]] = [
    # role, command, its fields, code, field
    ("viewer", "purchase", BUY | {"saleId": "nope"}, "unknown_sale", "saleId"),
    ("viewer", "purchase", BUY | {"room": "r2"}, "not_joined", "room"),
    ("viewer", "purchase", {"saleId": "s1", "lines": BUY["lines"]}, "unknown_sale", "saleId"),
    ("viewer", "purchase", BUY | {"lines": [{"itemId": "nope"}]}, "unknown_item", "lines"),
    ("viewer", "purchase", BUY | {"lines": [{"itemId": "jar"}, {"itemId": "x"}]}, "unknown_item", "lines"),
    ("viewer", "release", {"reservationId": "s1~bob~0"}, "unknown_reservation", "reservationId"),
    ("viewer", "release", {"reservationId": "s1~ann~1"}, "wrong_state", "reservationId"),
    *(
        ("viewer", "release", {"reservationId": made_up}, "unknown_reservation", "reservationId")
        for made_up in (
            *("s1~ann~9", "s1~ann~64", "s1~ann~-1", "s1~ann~00", "s1~ann~0~0", "s1~~0", "~ann~0", "s1~ann~"),
            *("s1~ann", "nope~ann~0", "s1~ann~0 ", "s1~ann~１", "s1~ann~" + "9" * 200),
        )
    ),
    ("viewer", "confirm", {"reservationId": "s1~ann~0"}, "forbidden", ""),
    ("service", "confirm", {"reservationId": "s1~ann~9"}, "unknown_reservation", "reservationId"),
    ("service", "confirm", {"reservationId": "s2~ann~0"}, "unknown_reservation", "reservationId"),
    ("service", "return", {"reservationId": "s1~bob~0"}, "wrong_state", "reservationId"),
    ("service", "return", {"reservationId": "x"}, "unknown_reservation", "reservationId"),
    ("service", "openSale", OPEN | {"listingId": "nope"}, "unknown_listing", "listingId"),
    ("service", "openSale", OPEN | {"limitPerUser": 3}, "sale_conflict", "saleId"),
    ("service", "openSale", OPEN | {"saleId": "s3"}, "sale_running", "listingId"),
    ("service", "openSale", OPEN | {"room": "r7"}, "unknown_listing", "listingId"),
    ("service", "openShelfSale", {"saleId": "s1", "listing": CARD}, "sale_conflict", "saleId"),
    (
        "service",
        "openShelfSale",
        {"saleId": "s4", "listing": CARD, "shipsAtMs": 1},
        "invalid_field",
        "shipsAtMs",
    ),
    (
        "service",
        "openShelfSale",
        {"saleId": "s4", "listing": CARD | {"items": CARD["items"] * 2}},  # type: ignore[operator]
        "invalid_field",
        "listing.items",
    ),
    (
        "service",
        "openShelfSale",
        {"saleId": "s4", "listing": CARD | {"items": [{"itemId": "a", "priceFen": 1, "stock": 2**53 - 1}]}},
        "invalid_field",
        "listing.items",
    ),
    ("service", "attachSale", OPEN | {"saleId": "nope"}, "unknown_sale", "saleId"),
    ("service", "attachSale", OPEN | {"listingId": "nope"}, "unknown_listing", "listingId"),
    ("service", "detachSale", {"room": "r1", "saleId": "nope"}, "unknown_sale", "saleId"),
    ("service", "detachSale", {"room": "r2", "saleId": "s1"}, "unknown_sale", "saleId"),
    *(("service", verb, {"saleId": "nope"}, "unknown_sale", "saleId") for verb in STEERING),
    *(("service", verb, {"room": "r2", "saleId": "s1"}, "unknown_sale", "saleId") for verb in STEERING),
    ("service", "adjustStock", {"saleId": "nope", "itemId": "jar", "delta": 1}, "unknown_sale", "saleId"),
    ("service", "adjustStock", {"saleId": "s1", "itemId": "x", "delta": 1}, "unknown_item", "itemId"),
    ("service", "adjustStock", {"saleId": "s1", "itemId": "jar", "delta": 0}, "invalid_field", "delta"),
    ("service", "adjustStock", {"saleId": "s1", "itemId": "jar", "delta": -7}, "below_held", "delta"),
    ("service", "adjustStock", {"saleId": "s1", "itemId": "jar", "delta": 10**10}, "invalid_field", "delta"),
]


@pytest.mark.parametrize("subprotocol", CODECS)
async def test_what_is_meant_wrong_is_named(server: Running, subprotocol: str) -> None:
    faults: list[str] = []
    async with (
        Raw(server.url, server.mint("streamer", "eve"), subprotocol) as eve,
        Raw(server.url, server.mint("viewer", "ann"), subprotocol) as ann,
        Raw(server.url, server.mint("service", "orders"), subprotocol) as orders,
    ):
        await shop(server, eve)
        await ann.join("r1")
        for number, (role, tag, fields, code, field) in enumerate(MEANT):
            who = ann if role == "viewer" else orders
            told = await heard(who, {"type": tag, "id": f"m{number}", **fields}, subprotocol)
            if (told.id, told.code, told.field) != (f"m{number}", code, field):
                faults.append(f"{tag} {fields} answered {told.code} {told.field!r}, not {code} {field!r}")
            assert documented(told.code)
        assert faults == []
        await repeated(ann, eve)
        await nothing_happened(ann)


async def repeated(ann: Raw, eve: Raw) -> None:
    """The same id again: the same is told again, anything else is a conflict."""
    buy = c.Purchase(id="a1", room="r1", sale_id="s1", lines=[OrderLine(item_id="jar")])
    again = await ann.ask(buy, PurchaseOutcome)
    assert (again.outcome, again.replayed) == ("reserved", True)
    more = c.Purchase(id="a1", room="r1", sale_id="s1", lines=[OrderLine(item_id="jar", quantity=2)])
    assert (await ann.ask(more, PurchaseOutcome)).outcome == "conflict"
    await eve.ask(c.AdjustStock(id="x1", room="r1", sale_id="s1", item_id="jar", delta=1), Done)
    await eve.ask(c.AdjustStock(id="x2", room="r1", sale_id="s1", item_id="jar", delta=-1), Done)
    await eve.ask(c.AdjustStock(id="x1", room="r1", sale_id="s1", item_id="jar", delta=1), Done)
    other = await eve.refused(c.AdjustStock(id="x1", room="r1", sale_id="s1", item_id="jar", delta=2))
    assert (other.code, other.field) == ("conflict", "id")
    other = await eve.refused(c.PauseSale(id="x1", room="r1", sale_id="s1"))
    assert (other.code, other.field) == ("conflict", "id")


async def nothing_happened(ann: Raw) -> None:
    """Of 9 jars, one is paid and two are held, whatever was tried; and the next one is sold."""
    await ann.see_available("s1", {"jar": 6})
    buy = c.Purchase(id="a9", room="r1", sale_id="s1", lines=[OrderLine(item_id="jar")])
    bought = await ann.ask(buy, PurchaseOutcome)
    assert (bought.outcome, bought.replayed) == ("reserved", False)
    await ann.see_available("s1", {"jar": 5})


@pytest.mark.parametrize("subprotocol", CODECS)
async def test_who_it_is_must_hold(server: Running, subprotocol: str) -> None:
    """An expired token, a forged one, none, and a second one."""
    expired = server.mint("viewer", "ann", ttl_ms=-60_000)
    for token, code in ((expired, "token_expired"), ("x.y.z", "bad_token")):
        async with Raw(server.url, None, subprotocol) as who:
            told = await heard(who, {"type": "authenticate", "id": "t", "token": token}, subprotocol)
            assert (told.code, told.field) == (code, "token")
            assert documented(code)
    async with Raw(server.url, None, subprotocol) as who:
        assert (await who.refused(GOOD["purchase"])).code == "not_authenticated"
    async with Raw(server.url, server.mint("viewer", "ann", ["r9"]), subprotocol) as who:
        assert (await who.refused(c.Authenticate(id="t", token="x"))).code == "already_authenticated"
        told = await who.refused(GOOD["purchase"])
        assert (told.code, told.field) == ("forbidden", "room")


# -- over REST -----------------------------------------------------------------------------------------

PATHS: dict[str, str] = {
    "confirm": "confirmReservation",
    "release": "releaseReservation",
    "return": "returnReservation",
}
BY_NAME = {operation.name: operation for operation in EVERY_OPERATION}
OVER_REST = {
    tag: BY_NAME[PATHS.get(tag, tag)]
    for tag in GOOD
    if PATHS.get(tag, tag) in BY_NAME and tag != "purchase"  # by a service it is for somebody: another body
}


NO_KEY = "(none)"


def request_of(tag: str, fields: dict[str, Any]) -> tuple[str, dict[str, Any], str] | None:
    """Path, body and key of a command's fields; None where a path or a header can't carry them."""
    fields = dict(fields)
    operation = OVER_REST[tag]
    key = fields.pop("id") if "id" in fields else NO_KEY
    path = operation.path
    for name in re.findall(r"\{(\w+)\}", operation.path):
        value = fields.pop(name, None)
        if not isinstance(value, str) or not value or "/" in value:
            return None
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    if "{" not in path and "room" not in operation.path:
        fields.pop("room", None)
    if not isinstance(key, str) or not key or not key.isascii() or not key.isprintable():
        return None
    return path, fields, "" if key == NO_KEY else key


def _told(answer: Any, tag: str) -> tuple[str, str]:
    """(code, field); and that the document knows this answer."""
    operation = OVER_REST[tag]
    described = OPENAPI["paths"][operation.path]["post"]["responses"]
    assert str(answer.status) in described, (tag, answer)
    assert f"`{answer.body['code']}`" in described[str(answer.status)]["description"], (tag, answer)
    return answer.body["code"], answer.body.get("field", "")


@pytest.mark.parametrize("tag", OVER_REST)
async def test_what_is_misshapen_is_named_over_rest(server: Running, tag: str) -> None:
    faults: list[str] = []
    service = Rest(server, server.mint("service", "orders"))
    operation = OVER_REST[tag]
    tried = 0
    for bad in misshapen(tag):
        asked = request_of(tag, bad.fields)
        if asked is None or (operation.body is None and asked[1] and bad.field not in asked[1]):
            continue
        if bad.field == "room" and "{room}" not in operation.path:
            continue
        path, body, key = asked
        answer = await service.call("POST", path, body if operation.body else body or None, key=key)
        field = "Idempotency-Key" if bad.field == "id" else bad.field
        code = bad.code
        tried += 1
        if _told(answer, tag) != (code, field):
            faults.append(f"{bad} answered {answer.body}")
    assert faults == []
    assert tried >= 8


async def test_what_is_meant_wrong_is_named_over_rest(server: Running) -> None:
    faults: list[str] = []
    service = Rest(server, server.mint("service", "orders"))
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await shop(server, eve)
        await ann.join("r1")
        tried = 0
        for number, (role, tag, fields, code, field) in enumerate(MEANT):
            if role != "service" or tag not in OVER_REST or ("room" in fields and tag in STEERING):
                continue
            asked = request_of(tag, {**fields, "id": f"m{number}"})
            assert asked is not None
            path, body, key = asked
            operation = OVER_REST[tag]
            answer = await service.call("POST", path, body if operation.body else body or None, key=key)
            tried += 1
            if _told(answer, tag) != (code, field):
                faults.append(f"{tag} {fields} answered {answer.body}, not {code} {field!r}")
        assert faults == []
        assert tried > 20
        expired = Rest(server, server.mint("service", "orders", ttl_ms=-60_000))
        assert await expired.refused("POST", "/v1/sales/s1/pause") == ("token_expired", "Authorization")
        assert await Rest(server, "x.y.z").refused("POST", "/v1/sales/s1/pause") == (
            "bad_token",
            "Authorization",
        )
        assert await Rest(server).refused("POST", "/v1/sales/s1/pause") == (
            "not_authenticated",
            "Authorization",
        )
        await nothing_happened(ann)


# -- the purchase over REST ----------------------------------------------------------------------------

JAR: dict[str, Any] = {"itemId": "jar"}
FOR_ANN: dict[str, Any] = {"userId": "ann", "lines": [JAR]}
ORDER = BY_NAME["purchase"]


def orders_gone_wrong() -> Iterator[tuple[str, dict[str, Any], str, str, str]]:
    """Sale, body, key, code, field: each good but for one thing."""
    for quantity in (0, *BAD_AMOUNTS, None, 1_000):
        lines = [JAR, {"itemId": "jar", "quantity": quantity}]
        yield "s1", FOR_ANN | {"lines": lines}, "k", "invalid_field", "lines[1].quantity"
    for bad in BAD_IDS:
        yield "s1", FOR_ANN | {"userId": bad}, "k", "invalid_field", "userId"
        yield "s1", FOR_ANN | {"lines": [{"itemId": bad}]}, "k", "invalid_field", "lines[0].itemId"
        if isinstance(bad, str) and bad and "/" not in bad:
            yield bad, FOR_ANN, "k", "invalid_field", "saleId"
            if bad.isascii() and bad.isprintable():
                yield "s1", FOR_ANN, bad, "invalid_field", "Idempotency-Key"
    no_lines: list[Any] = [[], {}, "jar", 7, None, [JAR] * 33]
    for bad in no_lines:
        yield "s1", FOR_ANN | {"lines": bad}, "k", "invalid_field", "lines"
    for attempt in (-1, 1.5, 1_001, 2**53, "1", None):
        yield "s1", FOR_ANN | {"attempt": attempt}, "k", "invalid_field", "attempt"
    for field in FOR_ANN:
        yield "s1", {name: FOR_ANN[name] for name in FOR_ANN if name != field}, "k", "missing_field", field
    yield "s1", FOR_ANN | {"lines": [{"quantity": 1}]}, "k", "missing_field", "lines[0].itemId"
    yield "s1", FOR_ANN, "", "missing_field", "Idempotency-Key"
    yield "s1", FOR_ANN | {"colour": "red"}, "k", "unknown_field", "colour"
    yield "s1", FOR_ANN | {"saleId": "s2"}, "k", "unknown_field", "saleId"
    yield "nope", FOR_ANN, "k", "unknown_sale", "saleId"
    yield "s1", FOR_ANN | {"lines": [{"itemId": "nope"}]}, "k", "unknown_item", "lines"
    yield "s1", FOR_ANN | {"lines": [JAR, {"itemId": "nope"}]}, "k", "unknown_item", "lines"


def ordered(sale_id: str) -> str:
    return ORDER.path.replace("{saleId}", quote(sale_id, safe=""))


async def test_a_bad_order_over_rest_is_named_and_sells_nothing(server: Running) -> None:
    described = OPENAPI["paths"][ORDER.path]["post"]["responses"]
    faults: list[str] = []
    service = Rest(server, server.mint("service", "orders"))
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await shop(server, eve)
        await ann.join("r1")
        for sale_id, body, key, code, field in orders_gone_wrong():
            answer = await service.call("POST", ordered(sale_id), body, key=key)
            told = (answer.body.get("code"), answer.body.get("field"))
            if told != (code, field):
                faults.append(f"{sale_id} {body} {key!r} answered {answer.body}, not {code} {field!r}")
            elif f"`{code}`" not in described[str(answer.status)]["description"]:
                faults.append(f"{code} stands not beside {answer.status} in the document")
        assert faults == []
        await nothing_happened(ann)


async def test_who_orders_over_rest_must_be_the_service(server: Running) -> None:
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await shop(server, eve)
        await ann.join("r1")
        for token, code, field in (
            (server.mint("service", "orders", ttl_ms=-60_000), "token_expired", "Authorization"),
            ("x.y.z", "bad_token", "Authorization"),
            ("", "not_authenticated", "Authorization"),
            (server.mint("viewer", "ann"), "forbidden", ""),
            (server.mint("moderator", "ann"), "forbidden", ""),
            (server.mint("streamer", "eve"), "forbidden", ""),
        ):
            assert await Rest(server, token).refused("POST", ordered("s1"), FOR_ANN) == (code, field)
        await nothing_happened(ann)


async def test_an_order_over_rest_sent_again(server: Running) -> None:
    """What ann bought over the socket is told again under its id; with other lines it is a conflict, and
    nothing is sold."""
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await shop(server, eve)
        await ann.join("r1")
        service = Rest(server, server.mint("service", "orders"))
        for body in (FOR_ANN, FOR_ANN | {"attempt": 1}, FOR_ANN | {"lines": [JAR | {"quantity": 1}]}):
            again = await service.done("POST", ordered("s1"), body, key="a1")
            assert (again["outcome"], again["replayed"]) == ("reserved", True)
            assert again["reservation"]["reservationId"] == "s1~ann~0"
        for lines in ([JAR | {"quantity": 2}], [JAR, JAR]):
            for attempt in (0, 1):
                body = FOR_ANN | {"lines": lines, "attempt": attempt}
                other = await service.done("POST", ordered("s1"), body, key="a1")
                assert (other["outcome"], other.get("reservation")) == ("conflict", None)
        await nothing_happened(ann)


@pytest.mark.parametrize(
    ("path", "code", "field"),
    [
        ("/v1/sales/a~b", "invalid_field", "saleId"),
        (f"/v1/sales/{'x' * 65}", "invalid_field", "saleId"),
        ("/v1/sales/nope", "unknown_sale", "saleId"),
        ("/v1/sales/nope/places", "unknown_sale", "saleId"),
        ("/v1/sales/nope/orders", "unknown_sale", "saleId"),
        ("/v1/sales?limit=0", "invalid_field", "limit"),
        ("/v1/sales?limit=101", "invalid_field", "limit"),
        ("/v1/sales?after=a~b", "invalid_field", "after"),
        ("/v1/sales?colour=red", "unknown_field", "colour"),
        ("/v1/reservations/s1~ann~77", "unknown_reservation", "reservationId"),
        ("/v1/sales/s1/reservations?user=a", "missing_field", "command"),
        ("/v1/sales/s1/reservations?user=a~b&command=c", "invalid_field", "user"),
    ],
)
async def test_what_is_asked_wrong_is_named(server: Running, path: str, code: str, field: str) -> None:
    assert await Rest(server, server.mint("service", "orders")).refused("GET", path) == (code, field)


def test_every_code_the_document_names_is_one() -> None:
    named = set(re.findall(r"`([a-z_]+)`", json.dumps(OPENAPI["paths"])))
    assert {"all_frozen", "sale_rooms_full", "unknown_sale", "conflict"} <= named
