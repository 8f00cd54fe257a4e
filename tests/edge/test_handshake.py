"""The judge of upgrades: bytes in, a verdict out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from liveserver.edge.handshake import Accepted, Handshake, Rules, is_upgrade
from liveserver.edge.problem import DOOR_CODES, STATUS, Problem
from protocol.errors import CODES
from tests.edge.peers import ACCEPT, request

HOST = "room.example:8080"


def accepted(head: bytes, rules: Rules | None = None, address: str = "192.0.2.7") -> Accepted:
    verdict = Handshake(rules or Rules()).judge(head, address)
    assert isinstance(verdict, Accepted), verdict.detail
    return verdict


def refused(head: bytes, rules: Rules | None = None) -> Problem:
    verdict = Handshake(rules or Rules()).judge(head, "192.0.2.7")
    assert isinstance(verdict, Problem), verdict
    return verdict


def test_the_rfc_s_own_key() -> None:
    verdict = accepted(request())
    assert verdict.response.startswith(b"HTTP/1.1 101 ")
    assert f"Sec-WebSocket-Accept: {ACCEPT}".encode() in verdict.response
    assert b"Sec-WebSocket-Protocol: live.v1.json\r\n" in verdict.response
    assert verdict.codec.subprotocol == "live.v1.json"
    assert (verdict.deflate, verdict.bearer, verdict.origin, verdict.peer) == (False, None, None, "192.0.2.7")


REFUSALS: list[tuple[int, str, str, dict[str, Any]]] = [
    (404, "not_found", "/v1/live", {"target": "/v1/lives"}),
    (404, "not_found", "/v1/live", {"target": "/"}),
    (404, "not_found", "/v1/live", {"target": "http://room.example/v1/live"}),
    (400, "token_in_query", "Authorization", {"target": "/v1/live?token=x"}),
    (400, "token_in_query", "Authorization", {"target": "/v1/live?a=b&access%5Ftoken=x"}),
    (400, "token_in_query", "Authorization", {"target": "/v1/live?q=eyJhbGciOiJ9.eyJzdWIiOiJ9.c2ln"}),
    (400, "malformed_request", "GET", {"method": "POST"}),
    (400, "malformed_request", "Host", {"without": "Host"}),
    (400, "malformed_request", "Host", {"Host": "a b"}),
    (400, "malformed_request", "Host", {"Host": "evil/.example"}),
    (400, "malformed_request", "Host", {"also": "Host: second.example\r\n"}),
    (426, "wrong_version", "12", {"Sec_WebSocket_Version": "12"}),
    (400, "malformed_request", "Sec-WebSocket-Version", {"without": "Sec-WebSocket-Version"}),
    (403, "wrong_origin", "evil", {"Origin": "https://evil.example"}),
    (403, "wrong_origin", "null", {"Origin": "null"}),
    (403, "wrong_origin", "origins", {"Origin": "https://room.example"}),  # another port
    (403, "wrong_origin", "origins", {"Origin": "ftp://room.example:8080"}),
    (400, "malformed_request", "Origin", {"Origin": "https://a", "also": "Origin: https://b\r\n"}),
    (400, "wrong_subprotocol", "live.v1.msgpack, live.v1.json", {"without": "Sec-WebSocket-Protocol"}),
    (400, "wrong_subprotocol", "live.v1.json", {"Sec_WebSocket_Protocol": "chat, live.v2.json"}),
    (400, "wrong_subprotocol", "live.v1.json", {"Sec_WebSocket_Protocol": "live.v1.json;"}),
    (400, "malformed_request", "Sec-WebSocket-Key", {"without": "Sec-WebSocket-Key"}),
    (400, "malformed_request", "Sec-WebSocket-Key", {"Sec_WebSocket_Key": "c2hvcnQ="}),
    (400, "malformed_request", "Sec-WebSocket-Key", {"Sec_WebSocket_Key": "!!!"}),
    (400, "malformed_request", "Connection", {"Connection": "keep-alive"}),
    (400, "malformed_request", "Upgrade", {"Upgrade": "websocket, h2c"}),
    (400, "malformed_request", "HTTP/1.0", {"version": "HTTP/1.0"}),
    (400, "malformed_request", "HTTP", {"version": "HTTP/9.9"}),
    (400, "malformed_request", "body", {"Content_Length": "5"}),
    (400, "malformed_request", "transfer", {"Transfer_Encoding": "chunked"}),
    (400, "malformed_request", "", {"also": "no colon\r\n"}),
    (400, "malformed_request", "", {"target": "/v1/live\xff"}),
    (431, "head_too_big", "", {"Cookie": "x" * 9_000}),
    (431, "head_too_big", "", {"also": "A: b\r\n" * 200}),
]


@pytest.mark.parametrize(("status", "code", "says", "changed"), REFUSALS)
def test_a_refusal_says_what_to_mend(status: int, code: str, says: str, changed: dict[str, Any]) -> None:
    problem = refused(request(**changed))
    body = json.loads(problem.body())
    assert (problem.status, body["status"], body["code"]) == (status, status, code)
    assert says in body["detail"] + body.get("field", "")
    assert body["title"] == DOOR_CODES[code]
    assert body["type"].endswith(code)


def test_a_wrong_version_is_told_the_right_one() -> None:
    assert refused(request(Sec_WebSocket_Version="8")).headers["Sec-WebSocket-Version"] == "13"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("room.example:8080", "http://room.example:8080"),
        ("room.example:8080", "https://ROOM.example:8080"),
        ("room.example", "https://room.example"),
        ("room.example:443", "https://room.example"),
        ("room.example", "http://room.example:80"),
        ("[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_its_own_pages_may_come(host: str, origin: str) -> None:
    assert accepted(request(Host=host, Origin=origin)).origin == origin


def test_listed_origins_may_come() -> None:
    rules = Rules.of(origins=["https://Shop.cn/", "null"])
    for origin in ("https://shop.cn", "null", "http://room.example:8080"):
        assert accepted(request(Origin=origin), rules).origin == origin
    assert refused(request(Origin="https://shop.cn.evil.example"), rules).code == "wrong_origin"
    assert refused(request(Origin="http://shop.cn"), rules).code == "wrong_origin"
    assert accepted(request(Origin="https://evil.example"), Rules.of(origins=["*"])).origin


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        ("permessage-deflate; server_max_window_bits=15", "server_max_window_bits=15"),
        ("permessage-deflate; server_max_window_bits=14", None),
        ("permessage-deflate; server_max_window_bits=9, permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; mystery", None),
        ("x-webkit-deflate-frame", None),
    ],
)
def test_deflate_is_only_agreed_on_where_one_frame_serves_all(offer: str, answer: str | None) -> None:
    verdict = accepted(request(Sec_WebSocket_Extensions=offer))
    assert verdict.deflate is (answer is not None)
    lines = [line for line in verdict.response.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Ext")]
    assert len(lines) == (1 if answer else 0)
    if answer:
        assert answer.encode() in lines[0]
        assert b"server_no_context_takeover; client_no_context_takeover" in lines[0]


def test_no_verdict_leaks_into_the_next() -> None:
    judge = Handshake(Rules())
    first = judge.judge(request(Sec_WebSocket_Extensions="permessage-deflate"), "")
    second = judge.judge(request(Sec_WebSocket_Protocol="live.v1.msgpack"), "")
    third = judge.judge(request(Sec_WebSocket_Key="!"), "")
    fourth = judge.judge(request(), "")
    assert isinstance(first, Accepted) and isinstance(second, Accepted) and isinstance(fourth, Accepted)
    assert isinstance(third, Problem)
    assert (first.deflate, second.deflate, fourth.deflate) == (True, False, False)
    assert second.codec.subprotocol == "live.v1.msgpack"
    assert fourth.codec.subprotocol == "live.v1.json"


def test_deflate_can_be_switched_off() -> None:
    head = request(Sec_WebSocket_Extensions="permessage-deflate")
    assert not accepted(head, Rules(deflate=False)).deflate


def test_the_smaller_codec_is_preferred() -> None:
    both = request(Sec_WebSocket_Protocol="live.v1.json, live.v1.msgpack")
    assert accepted(both).codec.subprotocol == "live.v1.msgpack"


@pytest.mark.parametrize(
    ("header", "bearer"),
    [("Bearer abc.def.ghi", "abc.def.ghi"), ("bearer  x", "x"), ("Basic abc", None), ("Bearer", None)],
)
def test_the_bearer_token_is_found(header: str, bearer: str | None) -> None:
    assert accepted(request(Authorization=header)).bearer == bearer


@pytest.mark.parametrize(
    ("address", "forwarded", "peer"),
    [
        ("203.0.113.9", "1.2.3.4", "203.0.113.9"),  # no proxy of ours: not believed
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),  # what the client itself wrote is not believed
        ("10.0.0.1", "1.2.3.4, unknown", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "2001:0DB8::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("", "1.2.3.4", ""),
    ],
)
def test_the_client_s_address_behind_trusted_proxies(address: str, forwarded: str, peer: str) -> None:
    rules = Rules.of(trusted=["10.0.0.0/8"])
    assert accepted(request(X_Forwarded_For=forwarded), rules, address).peer == peer


@pytest.mark.parametrize(
    ("head", "upgrade"),
    [
        (request(), True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nUPGRADE : h2c, WebSocket\r\n\r\n", True),
        (b"GET /?upgrade:websocket HTTP/1.1\r\nHost: a\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nX: websocket\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nX-Upgrade: websocket\r\n\r\n", False),
    ],
)
def test_what_asks_for_websocket(head: bytes, upgrade: bool) -> None:
    assert is_upgrade(head) is upgrade


def test_every_code_has_its_status() -> None:
    assert set(STATUS) == set(CODES) | set(DOOR_CODES)
    assert all(400 <= status < 600 for status in STATUS.values())
