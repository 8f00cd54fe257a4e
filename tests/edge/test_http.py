"""HTTP over real sockets: health, metrics, pages, and the REST against an in-test ``RestApi``."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Any

import msgspec
import pytest

from liveserver.edge import http as http_module
from liveserver.edge.api import OrderPage, PurchaseOrder
from liveserver.edge.every_operation import EVERY_OPERATION
from liveserver.edge.http import BODY_BYTES_MAX, http_app
from liveserver.edge.metrics import Metrics
from liveserver.edge.problem import STATUS
from liveserver.edge.server import serve
from protocol import commands
from protocol.commands import OpenSale
from protocol.errors import CODES, CommandError
from protocol.replies import Done, PurchaseOutcome
from protocol.types import HeldReservation, ItemDraft, ListingDraft, OrderLine, Role, SaleView
from tests.clock import ManualClock
from tests.edge.peers import Raw, Recorder
from tests.edge.shop import (
    ASKED,
    BOUGHT,
    HELD,
    LISTING,
    PAGES,
    SALE,
    TOKENS,
    VIEW,
    RecordingApi,
    Site,
    token,
)

QUANTITY = "lines[0].quantity"

# -- the operations --------------------------------------------------------------------------------------


async def test_publish_a_listing(site: Site) -> None:
    answer = await site.call("POST", "/v1/rooms/r1/listings", LISTING)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == {"type": "done", "id": "k1", "t": 1, "epoch": 5, "offset": 12}
    items = [ItemDraft(item_id="red", price_fen=990, stock=5)]
    draft = ListingDraft(listing_id="l1", title="苹果", items=items)
    assert site.api.calls == [("publish_listing", "shop", "r1", draft, "k1")]


async def test_open_a_sale(site: Site) -> None:
    answer = await site.call("POST", "/v1/rooms/r1/sales", SALE, key='"k2"')
    assert msgspec.json.decode(answer.body, type=Done).offset == 13
    command = OpenSale(id="k2", room="r1", sale_id="s1", listing_id="l1", limit_per_user=2)
    assert site.api.calls == [("open_sale", "shop", command)]


async def test_purchase_for_a_user(site: Site) -> None:
    body = {"userId": "u1", "lines": [{"itemId": "red", "quantity": 2}], "attempt": 1}
    answer = await site.call("POST", "/v1/sales/s1/orders", body)
    assert msgspec.json.decode(answer.body, type=PurchaseOutcome) == BOUGHT
    order = PurchaseOrder(user_id="u1", lines=[OrderLine(item_id="red", quantity=2)], attempt=1)
    assert site.api.calls == [("purchase", "shop", "s1", order, "k1")]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"lines": [{"itemId": "red"}]}, "missing_field", "userId"),
        ({"userId": "u1"}, "missing_field", "lines"),
        ({"userId": "u1", "lines": []}, "invalid_field", "lines"),
        ({"userId": "a b", "lines": [{"itemId": "red"}]}, "invalid_field", "userId"),
        ({"userId": "u1", "lines": [{"itemId": "red", "quantity": 0}]}, "invalid_field", QUANTITY),
        (
            {"userId": "u1", "lines": [{"itemId": "red", "quantity": 1.5}]},
            "invalid_field",
            "lines[0].quantity",
        ),
        ({"userId": "u1", "lines": [{"itemId": "red"}], "room": "r1"}, "unknown_field", "room"),
        ({"userId": "u1", "lines": [{"itemId": "red"}] * 33}, "invalid_field", "lines"),
    ],
)
async def test_a_purchase_that_is_none(site: Site, body: Any, code: str, field: str) -> None:
    problem = await site.refused("POST", "/v1/sales/s1/orders", body)
    assert (problem.status, problem.code, problem.field) == (422, code, field)
    assert site.api.calls == []


@pytest.mark.parametrize("verb", ["confirm", "release"])
async def test_confirm_and_release(site: Site, verb: str) -> None:
    bodies: list[Any] = [None, {}]
    for body in bodies:
        answer = await site.call("POST", f"/v1/reservations/s1%3A7/{verb}", body)
        assert msgspec.json.decode(answer.body, type=HeldReservation) == HELD
    assert site.api.calls == [(verb, "shop", "s1:7", "k1")] * 2


async def test_return(site: Site) -> None:
    for body in (None, {}, {"limitBack": False}, {"limitBack": True}):
        answer = await site.call("POST", "/v1/reservations/s1%3A7/return", body)
        assert msgspec.json.decode(answer.body, type=HeldReservation) == HELD
    asked = [("return_order", "shop", "s1:7", "k1", limit_back) for limit_back in (False, False, False, True)]
    assert site.api.calls == asked
    for field, wrong in (("limitBack", {"limitBack": 1}), ("reservationId", {"reservationId": "s2:1"})):
        problem = await site.refused("POST", "/v1/reservations/s1:7/return", wrong)
        assert (problem.status, problem.field) == (422, field)
    assert len(site.api.calls) == 4


async def test_look_up_by_reservation_and_by_command(site: Site) -> None:
    one = await site.call("GET", "/v1/reservations/s1:7")
    other = await site.call("GET", "/v1/sales/s1/reservations?user=u1&command=c1")
    assert [msgspec.json.decode(answer.body, type=HeldReservation) for answer in (one, other)] == [HELD, HELD]
    assert site.api.calls == [("reservation", "shop", "s1:7"), ("lookup", "shop", "s1", "u1", "c1")]


async def test_a_query_parameter_nobody_knows_is_told_the_ones_there_are(site: Site) -> None:
    for query, there in [
        ("reservations?userId=u", "there is `user`, `command`"),
        ("orders?page=2", "there is `after`, `limit`"),
        ("places?room=r1", "none is known here"),
    ]:
        refused = await site.call("GET", f"/v1/sales/s1/{query}")
        assert there in msgspec.json.decode(refused.body)["detail"]


async def test_stock_and_orders(site: Site) -> None:
    stock = await site.call("GET", "/v1/sales/s1")
    assert msgspec.json.decode(stock.body, type=SaleView) == VIEW
    await site.call("GET", "/v1/sales/s1/orders")
    page = await site.call("GET", "/v1/sales/s1/orders?after=3-9&limit=500")
    assert msgspec.json.decode(page.body, type=OrderPage).orders[0].reservation == HELD
    assert site.api.calls[1:] == [("orders", "shop", "s1", "", 100), ("orders", "shop", "s1", "3-9", 500)]


async def test_the_verbs_of_a_sale_are_the_wire_s_commands(site: Site) -> None:
    for name in (
        "pauseSale",
        "resumeSale",
        "closeSale",
        "freezeSale",
        "adjustStock",
        "attachSale",
        "detachSale",
    ):
        method, path, body = ASKED[name]
        assert (await site.call(method, path, body, key=f"k-{name}")).status == 200
    sale = {"sale_id": "s1"}
    assert [call[2] for call in site.api.calls] == [
        commands.PauseSale(id="k-pauseSale", **sale),
        commands.ResumeSale(id="k-resumeSale", **sale),
        commands.CloseSale(id="k-closeSale", **sale),
        commands.FreezeSale(id="k-freezeSale", **sale),
        commands.AdjustStock(id="k-adjustStock", item_id="red", delta=-1, reason="broken", **sale),
        commands.AttachSale(id="k-attachSale", listing_id="l1", room="r1", sale_id="s1"),
        commands.DetachSale(id="k-detachSale", room="r1", sale_id="s1"),
    ]


async def test_a_room_is_named_by_the_path_or_by_nothing(site: Site) -> None:
    for verb in ("pause", "resume", "freeze", "close"):
        problem = await site.refused("POST", f"/v1/sales/s1/{verb}", {"room": "r9"})
        assert (problem.status, problem.code, problem.field) == (422, "unknown_field", "room")
    assert site.api.calls == []


async def test_a_page_that_is_known_is_not_sent_again(site: Site) -> None:
    first = await site.call("GET", "/v1/sales/s1", bearer=None)
    assert first.status == 200
    assert first.headers["etag"] == '"3-9-open"'
    assert first.headers["cache-control"] == "public, max-age=1"
    for known in ('"3-9-open"', 'W/"3-9-open"', '"1-1-open", "3-9-open"'):
        again = await site.call("GET", "/v1/sales/s1", bearer=None, also=f"If-None-Match: {known}\r\n")
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", '"3-9-open"')
    older = await site.call("GET", "/v1/sales/s1", bearer=None, also='If-None-Match: "3-8-open"\r\n')
    assert older.status == 200


async def test_freezing_all(site: Site) -> None:
    for reason in (7, "x" * 141, "two\nlines"):
        problem = await site.refused("POST", "/v1/freeze-all", {"reason": reason})
        assert (problem.code, problem.field) == ("invalid_field", "reason")
    problem = await site.refused("POST", "/v1/freeze-all", {"why": "x"})
    assert (problem.code, problem.field) == ("unknown_field", "why")
    for body in (None, {}, {"reason": "a wrong price"}):
        assert (await site.call("POST", "/v1/freeze-all", body)).status == 200
    assert (await site.call("DELETE", "/v1/freeze-all", key=None)).status == 200
    asked = [("freeze_all", "shop", reason, "k1") for reason in ("", "", "a wrong price")]
    assert site.api.calls == [*asked, ("lift_freeze_all",)]


# -- who may ---------------------------------------------------------------------------------------------

STREAMERS = {"publishListing", "openSale", "listOrders", "getSalePlaces", "attachSale", "detachSale"}
STREAMERS |= {"adjustStock", "pauseSale", "resumeSale", "closeSale", "freezeSale", "releaseReservation"}
EVERYBODY = {"getSale"}


@pytest.mark.parametrize("operation", EVERY_OPERATION, ids=lambda operation: operation.name)
async def test_the_role_table_denies_by_default(site: Site, operation: Any) -> None:
    method, path, body = ASKED[operation.name]
    for role in Role:
        allowed = role is Role.SERVICE or (role is Role.STREAMER and operation.name in STREAMERS)
        allowed |= operation.name in EVERYBODY
        answer = await site.call(method, path, body, bearer=token(role))
        assert answer.status == (200 if allowed else 403), role
        assert len(site.api.calls) == (1 if allowed else 0)
        site.api.calls.clear()


async def test_a_streamer_stays_in_his_rooms(site: Site) -> None:
    mine = token(Role.STREAMER, ("r1",))
    assert (await site.call("POST", "/v1/rooms/r1/sales", SALE, bearer=mine)).status == 200
    problem = await site.refused("POST", "/v1/rooms/r2/sales", SALE, bearer=mine)
    assert (problem.status, problem.code, problem.field) == (403, "forbidden", "room")
    assert len(site.api.calls) == 1


@pytest.mark.parametrize(
    ("bearer", "code"),
    [
        (None, "not_authenticated"),
        ("x.y.z", "bad_token"),
        (token(ttl_ms=-60_000), "token_expired"),
    ],
    ids=["none", "bad", "expired"],
)
async def test_without_a_good_token(site: Site, bearer: str | None, code: str) -> None:
    for name, (method, path, body) in ASKED.items():
        if name in EVERYBODY and bearer is None:
            continue
        answer = await site.call(method, path, body, bearer=bearer)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert json.loads(answer.body)["code"] == code
    assert site.api.calls == []


# -- what is wrong with a request --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "field", "asked"),
    [
        (422, "missing_field", "title", ("POST", "/v1/rooms/r1/listings", {**LISTING, "title": ...})),
        (422, "invalid_field", "title", ("POST", "/v1/rooms/r1/listings", {**LISTING, "title": "x" * 61})),
        (422, "unknown_field", "colour", ("POST", "/v1/rooms/r1/listings", {**LISTING, "colour": "red"})),
        (422, "unknown_field", "room", ("POST", "/v1/rooms/r1/listings", {**LISTING, "room": "r2"})),
        (
            422,
            "invalid_field",
            "items[0].priceFen",
            ("POST", "/v1/rooms/r1/listings", {**LISTING, "items": [{"itemId": "a", "priceFen": -1}]}),
        ),
        (422, "invalid_field", "limitPerUser", ("POST", "/v1/rooms/r1/sales", {**SALE, "limitPerUser": -1})),
        (422, "unknown_field", "room", ("POST", "/v1/rooms/r1/sales", {**SALE, "room": "r2"})),
        (422, "unknown_field", "id", ("POST", "/v1/rooms/r1/sales", {**SALE, "id": "mine"})),
        (422, "unknown_field", "type", ("POST", "/v1/rooms/r1/sales", {**SALE, "type": "closeSale"})),
        (422, "invalid_field", "room", ("POST", "/v1/rooms/r%201/sales", SALE)),
        (422, "unknown_field", "force", ("POST", "/v1/reservations/x/confirm", {"force": True})),
        (422, "unknown_field", "reservationId", ("POST", "/v1/reservations/x/confirm", {"reservationId": 1})),
        (422, "invalid_field", "reservationId", ("POST", f"/v1/reservations/{'x' * 257}/confirm", None)),
        (422, "missing_field", "user", ("GET", "/v1/sales/s1/reservations?command=c", None)),
        (422, "missing_field", "command", ("GET", "/v1/sales/s1/reservations?user=u", None)),
        (422, "invalid_field", "command", ("GET", "/v1/sales/s1/reservations?user=u&command=a%20b", None)),
        (422, "invalid_field", "saleId", ("GET", "/v1/sales/s%201", None)),
        (422, "invalid_field", "limit", ("GET", "/v1/sales/s1/orders?limit=501", None)),
        (422, "invalid_field", "limit", ("GET", "/v1/sales/s1/orders?limit=-1", None)),
        (422, "invalid_field", "limit", ("GET", "/v1/sales/s1/orders?limit=%C2%B2", None)),
        (422, "invalid_field", "after", ("GET", f"/v1/sales/s1/orders?after={'9' * 65}", None)),
        (422, "unknown_field", "page", ("GET", "/v1/sales/s1/orders?page=2", None)),
        (422, "unknown_field", "userId", ("GET", "/v1/sales/s1/reservations?userId=u&command=c", None)),
        (400, "malformed_body", "", ("POST", "/v1/rooms/r1/listings", b"{")),
        (400, "malformed_body", "", ("POST", "/v1/rooms/r1/listings", b"[]")),
        (400, "malformed_body", "", ("POST", "/v1/rooms/r1/listings", None)),
        (413, "body_too_big", "", ("POST", "/v1/rooms/r1/listings", b" " * (BODY_BYTES_MAX + 1))),
        (404, "not_found", "", ("GET", "/v1/nothing", None)),
        (405, "method_not_allowed", "", ("GET", "/v1/rooms/r1/sales", None)),
        (426, "websocket_only", "", ("GET", "/v1/live", None)),
    ],
)
async def test_a_wrong_request_is_told_what_to_mend(
    site: Site, status: int, code: str, field: str, asked: tuple[str, str, Any]
) -> None:
    method, path, body = asked
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if value is not ...}
    problem = await site.refused(method, path, body)
    assert (problem.status, problem.code, problem.field) == (status, code, field)
    assert site.api.calls == []


@pytest.mark.parametrize(
    ("key", "code"), [(None, "missing_field"), ("", "missing_field"), ("a b", "invalid_field")]
)
async def test_a_post_needs_a_key(site: Site, key: str | None, code: str) -> None:
    for method, path, body in ASKED.values():
        if method == "POST":
            problem = await site.refused(method, path, body, key=key)
            assert (problem.status, problem.code, problem.field) == (400, code, "Idempotency-Key")
    assert site.api.calls == []


async def test_a_body_of_another_kind(site: Site) -> None:
    problem = await site.refused("POST", "/v1/rooms/r1/listings", LISTING, also="Content-Type: text/xml\r\n")
    assert (problem.status, problem.code) == (415, "wrong_media_type")
    also = "Content-Type: application/json; charset=utf-8\r\n"
    assert (await site.call("POST", "/v1/rooms/r1/listings", LISTING, also=also)).status == 200


async def test_a_body_that_does_not_come(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "BODY_SECONDS_MAX", 0.05)
    also = "Content-Length: 100\r\n"
    problem = await site.refused("POST", "/v1/rooms/r1/listings", None, also=also)
    assert (problem.status, problem.code) == (408, "body_timeout")


# -- what the program behind refuses -----------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES)
async def test_every_code_has_its_status(site: Site, code: str) -> None:
    site.api.fails = CommandError(code, "planted", retry_ms=1_200)
    answer = await site.call("GET", "/v1/sales/s1")
    body = json.loads(answer.body)
    assert (answer.status, body["code"]) == (STATUS[code], code)
    assert answer.headers.get("retry-after") == ("2" if answer.status in (429, 503) else None)
    if code != "pending":
        assert body["detail"] == "planted"


def test_the_statuses_that_callers_build_on() -> None:
    expected = {
        "unknown_sale": 404,
        "unknown_reservation": 404,
        "unknown_listing": 404,
        "unknown_item": 404,
        "conflict": 409,
        "sale_conflict": 409,
        "wrong_state": 409,
        "unavailable": 503,
        "pending": 504,
        "invalid_field": 422,
        "bad_token": 401,
        "token_expired": 401,
        "forbidden": 403,
        "rate_limited": 429,
    }
    assert {code: STATUS[code] for code in expected} == expected


async def test_pending_says_what_to_do(site: Site) -> None:
    site.api.fails = CommandError("pending")
    problem = await site.refused("POST", "/v1/reservations/s1:7/confirm")
    assert problem.status == 504
    assert "ask again with the same key" in problem.detail


async def test_our_own_fault_is_a_500_without_details(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.api.fails = RuntimeError("planted secret")
    with caplog.at_level(logging.ERROR):
        answer = await site.call("GET", "/v1/sales/s1")
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert json.loads(answer.body)["code"] == "internal"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "planted secret" in caplog.text
    site.api.fails = None
    assert (await site.call("GET", "/v1/sales/s1")).status == 200


# -- health and metrics ------------------------------------------------------------------------------------


async def test_alive_and_ready(site: Site) -> None:
    assert (await site.call("GET", "/healthz", bearer=None)).status == 200
    assert json.loads((await site.call("GET", "/readyz", bearer=None)).body) == {"ready": True, "reasons": []}
    site.api.reasons = ["the store does not answer"]
    answer = await site.call("GET", "/readyz", bearer=None)
    assert answer.status == 503
    assert json.loads(answer.body)["reasons"] == ["the store does not answer"]
    assert (await site.call("GET", "/healthz", bearer=None)).status == 200


@pytest.mark.parametrize("operation", EVERY_OPERATION, ids=lambda operation: operation.name)
async def test_while_it_ends_commands_are_sent_elsewhere_and_reads_answered(
    site: Site, operation: Any
) -> None:
    method, path, body = ASKED[operation.name]
    site.api.retry_ms = 200
    answer = await site.call(method, path, body)
    assert answer.headers["connection"] == "close"
    if method == "GET":
        assert answer.status == 200
    else:
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        problem = json.loads(answer.body)
        assert (problem["code"], problem["retryMs"]) == ("retry", 200)
        assert site.api.calls == [], "not carried out"
    site.api.retry_ms = 0
    answer = await site.call(method, path, body)
    assert answer.status == 200 and "connection" not in answer.headers


async def test_the_door_is_measured() -> None:
    metrics, clock = Metrics(), ManualClock()
    app = http_app(RecordingApi(), PAGES, TOKENS, metrics, clock)
    serving = await serve(app, Recorder(), "127.0.0.1", 0, clock=clock, metrics=metrics)
    refused, socket, scraper = [await Raw.connect(serving.port) for _ in range(3)]
    await socket.upgrade()
    refused.say(b"GET /nowhere HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
    assert (await refused.answer()).status == 404
    scraper.say(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = await scraper.answer()
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = answer.body.decode().splitlines()
    assert "liveserver_sockets 1.0" in lines
    assert "liveserver_handshakes_accepted_total 1.0" in lines
    assert 'liveserver_handshakes_refused_total{code="not_found"} 1.0' in lines
    assert 'liveserver_sockets_cut_total{why="too_slow"} 0.0' in lines
    for raw in (refused, socket, scraper):
        raw.leave()
    await serving.stop()


# -- pages -------------------------------------------------------------------------------------------------


async def test_the_viewer_page_and_its_policy(site: Site) -> None:
    answer = await site.call("GET", "/r/r1", bearer=None, host="live.example:8443")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self' ws://live.example:8443 wss://live.example:8443",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


async def test_a_host_can_t_write_into_the_policy(site: Site) -> None:
    answer = await site.call("GET", "/r/r1", bearer=None, host="x; script-src *")
    assert "script-src *" not in answer.headers.get("content-security-policy", "")
    assert "connect-src 'self';" in answer.headers["content-security-policy"]


async def test_nothing_in_the_page_needs_more_than_its_policy(site: Site) -> None:
    page = (await site.call("GET", "/r/r1", bearer=None)).body.decode()
    assert not re.search(r"<script(?![^>]*\ssrc=)", page), "an inline script"
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page), "inline style or handler"
    references = re.findall(r'(?:src|href)="([^"#][^"]*)"', page)
    assert references
    for reference in references:
        assert reference.startswith("/"), reference
        assert (await site.call("GET", reference, bearer=None)).status == 200, reference


async def test_every_answer_has_the_safe_headers(site: Site) -> None:
    for path in (
        "/r/r1",
        "/static/main.js",
        "/healthz",
        "/metrics",
        "/v1/openapi.json",
        "/nothing",
        "/static/x",
    ):
        headers = (await site.call("GET", path, bearer=None)).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer", path
        assert headers["content-security-policy"].startswith("default-src 'none'"), path
        assert headers["cache-control"] in ("no-store", "no-cache"), path
        assert "server" not in headers


async def test_static_files_are_revalidated(site: Site) -> None:
    answer = await site.call("GET", "/static/main.js", bearer=None)
    assert answer.headers["cache-control"] == "no-cache"
    assert "javascript" in answer.headers["content-type"]
    raw = await site.edge.raw()
    raw.say(
        f"GET /static/main.js HTTP/1.1\r\nHost: a\r\nIf-None-Match: {answer.headers['etag']}\r\n\r\n".encode()
    )
    assert (await raw.answer("HEAD")).status == 304


@pytest.mark.parametrize(
    "path",
    ["/static/../viewer.html", "/static/%2e%2e/viewer.html", "/static/..%2fviewer.html", "/r/a%20b", "/r/"],
)
async def test_no_way_out_of_the_pages(site: Site, path: str) -> None:
    assert (await site.call("GET", path, bearer=None)).status == 404


async def test_calls_wait_side_by_side(site: Site) -> None:
    answers = await asyncio.gather(*[site.call("GET", f"/v1/sales/s{number}") for number in range(20)])
    assert {answer.status for answer in answers} == {200}
    assert {call[2] for call in site.api.calls} == {f"s{number}" for number in range(20)}
