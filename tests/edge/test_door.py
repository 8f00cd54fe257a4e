"""The front door over real sockets: who comes in, who is told no, and ordinary HTTP through the same port."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from liveserver.edge import door
from liveserver.edge.door import CROWDED_RETRY_MS, HEAD_BYTES_MAX, TOLD_PER_SECOND_MAX
from liveserver.edge.files import Files
from liveserver.edge.handshake import Rules
from liveserver.edge.plain_http import KEPT_HEAD_BYTES_MAX
from liveserver.edge.socket import Socket
from liveserver.edge.turnstile import Turnstile
from protocol.codec import CODECS
from protocol.replies import Bye
from tests.edge.conftest import Edge, StartEdge
from tests.edge.peers import CLOSE, PING, PONG, TEXT, Raw, eventually, frame, request

JSON = Subprotocol("live.v1.json")
GET = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"


# -- upgrades ------------------------------------------------------------------------------------------


async def test_the_socket_knows_who_comes(edge: Edge) -> None:
    await edge.upgraded(Authorization="Bearer abc")
    await eventually(lambda: len(edge.owner.sockets) == 1)
    socket = edge.owner.socket
    assert (socket.bearer, socket.peer, socket.session) == ("abc", "127.0.0.1", None)
    assert edge.serving.front.accepted == 1


async def test_a_trusted_proxy_is_believed(start_edge: StartEdge) -> None:
    edge = await start_edge(rules=Rules.of(trusted=["127.0.0.0/8"]))
    await edge.upgraded(X_Forwarded_For="203.0.113.9")
    await eventually(lambda: len(edge.owner.sockets) == 1)
    assert edge.owner.socket.peer == "203.0.113.9"


async def test_what_comes_right_behind_the_handshake_is_heard(edge: Edge) -> None:
    raw = await edge.raw()
    raw.say(request(), frame(TEXT, b'"early"'), frame(PING, b"p"))
    assert (await raw.answer()).status == 101
    assert await raw.frame() == (PONG, b"p", True, False)
    assert edge.owner.payloads == [b'"early"']


async def test_a_head_may_come_byte_by_byte(edge: Edge) -> None:
    raw = await edge.raw()
    for byte in request():
        raw.say(bytes([byte]))
        await asyncio.sleep(0)
    assert (await raw.answer()).status == 101


@pytest.mark.parametrize(
    ("status", "changed"),
    [
        (404, {"target": "/v2/live"}),
        (426, {"Sec_WebSocket_Version": "8"}),
        (403, {"Origin": "https://evil.example"}),
        (400, {"Sec_WebSocket_Protocol": "chat"}),
        (400, {"target": "/v1/live?token=abc"}),
        (400, {"method": "POST"}),
        (400, {"Host": "a b"}),
        (400, {"Sec_WebSocket_Key": "x"}),
    ],
)
async def test_a_refusal_is_a_whole_answer(edge: Edge, status: int, changed: dict[str, str]) -> None:
    raw = await edge.raw()
    raw.say(request(**changed), b"x" * 100_000)  # and a peer who goes on talking still hears it
    answer = await raw.answer()
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    body = json.loads(answer.body)
    assert body["status"] == status
    assert edge.serving.front.refused[body["code"]] == 1
    assert await raw.ended() == b""
    assert edge.owner.reports == []


async def test_a_strangers_client_reads_the_refusal(edge: Edge) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await connect(edge.url, subprotocols=[Subprotocol("chat")])
    assert caught.value.response.status_code == 400
    assert b"live.v1.msgpack, live.v1.json" in caught.value.response.body


# -- heads that are too slow, too big or nothing at all --------------------------------------------------


async def test_a_slow_head_is_cut_after_five_seconds(edge: Edge) -> None:
    raw = await edge.raw()
    raw.say(request()[:-2])
    await eventually(lambda: len(edge.serving._uvicorn.server_state.connections) == 1)
    await edge.pass_ms(4_500)
    raw.say(b"X")  # buys no time
    await asyncio.sleep(0.02)
    assert edge.serving.front.refused == {}
    await edge.pass_ms(1_000)
    await raw.ended()
    assert edge.serving.front.refused == {"head_timeout": 1}
    assert not edge.serving._uvicorn.server_state.connections


async def test_a_finished_head_owes_nothing_more(edge: Edge) -> None:
    raw = await edge.upgraded()
    await edge.pass_ms(7_000)
    raw.say(frame(PING))
    assert (await raw.frame()).opcode == PONG


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nCookie: " + b"x" * HEAD_BYTES_MAX,
        b"GET / HTTP/1.1\r\nCookie: " + b"x" * HEAD_BYTES_MAX + b"\r\n\r\n",
        request(also="Cookie: " + "x" * HEAD_BYTES_MAX + "\r\n"),
        request(also="Cookie: x\r\n" * 130),
    ],
    ids=["no end", "plain", "upgrade", "many headers"],
)
async def test_a_huge_head_is_refused(edge: Edge, said: bytes) -> None:
    raw = await edge.raw()
    raw.say(said, b"y" * 100_000)
    answer = await raw.answer()
    assert answer.status == 431
    assert json.loads(answer.body)["code"] == "head_too_big"
    assert await raw.ended() == b""


async def test_a_head_just_inside_the_limit_is_read(edge: Edge) -> None:
    raw = await edge.raw()
    rest = HEAD_BYTES_MAX - len(b"GET /big HTTP/1.1\r\nHost: a\r\nCookie: ")
    raw.say(b"GET /big HTTP/1.1\r\nHost: a\r\nCookie: " + b"x" * rest + b"\r\n\r\n")
    assert (await raw.answer()).status == 200


async def test_a_refused_peer_who_stays_is_cut(edge: Edge) -> None:
    raw = await edge.raw()
    raw.say(request("/nowhere"))
    assert (await raw.answer()).status == 404
    connections = edge.serving._uvicorn.server_state.connections
    assert len(connections) == 1
    await edge.pass_ms(2_500)
    await eventually(lambda: not connections)
    assert edge.serving.front.refused == {"not_found": 1}  # and not a second time


async def test_tls_on_the_plain_port_is_told(edge: Edge) -> None:
    raw = await edge.raw()
    raw.say(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    answer = await raw.answer()
    assert answer.status == 400
    assert "TLS" in json.loads(answer.body)["detail"]


async def test_a_peer_who_says_nothing_and_goes(edge: Edge) -> None:
    raw = await edge.raw()
    await eventually(lambda: len(edge.serving._uvicorn.server_state.connections) == 1)
    raw.leave()
    await eventually(lambda: not edge.serving._uvicorn.server_state.connections)
    assert edge.owner.reports == []


# -- ordinary HTTP through the same port -----------------------------------------------------------------


async def test_plain_http_with_keep_alive(edge: Edge) -> None:
    raw = await edge.raw()
    for number in range(3):
        raw.say(b"GET /page/%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
        answer = await raw.answer()
        assert answer.status == 200
        assert json.loads(answer.body)["path"] == f"/page/{number}"


async def test_pipelined_requests_are_answered_in_order(edge: Edge) -> None:
    raw = await edge.raw()
    raw.say(*[b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(3)])
    paths = [json.loads((await raw.answer()).body)["path"] for _ in range(3)]
    assert paths == ["/0", "/1", "/2"]


async def test_a_post_body_in_the_same_packet_and_after_it(edge: Edge) -> None:
    body = b"p" * 100_000
    raw = await edge.raw()
    head = b"POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    raw.say(head + body[:10])
    await asyncio.sleep(0.01)
    raw.say(body[10:50_000])
    await asyncio.sleep(0.01)
    raw.say(body[50_000:])
    answer = json.loads((await raw.answer()).body)
    assert (answer["method"], answer["bytes"]) == ("POST", 100_000)
    chunked = (
        b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    raw.say(chunked)
    assert json.loads((await raw.answer()).body)["body"] == "abcde"


async def test_an_upgrade_on_a_kept_alive_connection(edge: Edge) -> None:
    """A proxy may reuse the connection on which it asked for a page."""
    raw = await edge.raw()
    raw.say(GET)
    assert (await raw.answer()).status == 200
    raw.say(request(Authorization="Bearer kept"))
    assert (await raw.answer()).status == 101
    raw.say(frame(TEXT, b'"hello"'), frame(PING))
    assert (await raw.frame()).opcode == PONG
    assert edge.owner.payloads == [b'"hello"']
    assert edge.owner.socket.bearer == "kept"


async def test_an_upgrade_on_a_kept_alive_connection_is_judged_too(edge: Edge) -> None:
    raw = await edge.raw()
    raw.say(GET)
    assert (await raw.answer()).status == 200
    raw.say(request(Origin="https://evil.example"))
    assert (await raw.answer()).status == 403
    assert edge.owner.reports == []


@pytest.mark.parametrize("page_bytes", [60_000, 300_000], ids=["under uvicorn's limit", "beyond it"])
async def test_no_upgrade_behind_an_answer_that_is_not_read(start_edge: StartEdge, page_bytes: int) -> None:
    """What is left of the answer would lie before the socket's first frame, in a transport which has said
    already that it is full: the socket would never learn it, and be written to without end."""

    async def page(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("x" * page_bytes)(scope, receive, send)

    edge = await start_edge(app=page)
    shown: list[tuple[bool, int]] = []

    def opened(socket: Socket) -> None:
        socket.show_fd()
        shown.append((socket.paused, socket._transport.get_write_buffer_size()))

    edge.owner.on_opened = opened
    raw = await edge.raw(receive_bytes=4_096)
    raw.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport that reads
    connections: set[Any] = edge.serving._uvicorn.server_state.connections
    for _ in range(8):  # until the kernel is full, with the last answer given as far as uvicorn knows
        raw.say(GET)
        await asyncio.sleep(0.03)
        (http,) = connections
        if http.transport.get_write_buffer_size():
            break
    assert http.transport.get_write_buffer_size() and http.cycle.response_complete
    raw.say(request())
    await eventually(lambda: not connections or bool(shown))
    assert shown == [], "(paused, bytes before its first frame)"


async def test_the_next_head_on_a_kept_alive_connection_is_owed_in_time(edge: Edge) -> None:
    raw = await edge.raw()
    raw.say(GET)
    assert (await raw.answer()).status == 200
    await edge.pass_ms(7_000)  # idle is no debt
    raw.say(GET[:10])
    await asyncio.sleep(0.02)
    await edge.pass_ms(4_000)
    raw.say(GET[10:])
    assert (await raw.answer()).status == 200
    await edge.pass_ms(7_000)
    raw.say(GET[:10])
    await asyncio.sleep(0.02)
    for _ in range(4):
        await edge.pass_ms(1_500)
        raw.say(b"x")
        await asyncio.sleep(0.01)
    assert (await raw.ended()) in (b"", b"<reset>")


async def test_the_next_head_on_a_kept_alive_connection_is_bounded(edge: Edge) -> None:
    raw = await edge.raw()
    raw.say(GET)
    assert (await raw.answer()).status == 200
    raw.say(b"GET / HTTP/1.1\r\nCookie: ", b"x" * (KEPT_HEAD_BYTES_MAX + 100_000))
    assert (await raw.ended()) in (b"", b"<reset>")
    await eventually(lambda: not edge.serving._uvicorn.server_state.connections)


async def test_garbage_is_a_bad_request(edge: Edge) -> None:
    raw = await edge.raw()
    raw.say(b"HELLO\r\n\r\n")
    assert (await raw.answer()).status == 400


# -- no room ---------------------------------------------------------------------------------------------


async def test_no_room_for_an_app_is_a_503(edge: Edge) -> None:
    edge.owner.retry_ms = 1_500
    raw = await edge.raw()
    raw.say(request())
    answer = await raw.answer()
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    body = json.loads(answer.body)
    assert (body["code"], body["retryMs"]) == ("over_capacity", 1_500)
    assert edge.owner.reports == []


@pytest.mark.parametrize("subprotocol", list(CODECS))
async def test_no_room_for_a_browser_is_said_in_words_it_can_hear(edge: Edge, subprotocol: str) -> None:
    edge.owner.retry_ms = 1_500
    origin = Origin(f"http://127.0.0.1:{edge.port}")
    async with connect(edge.url, subprotocols=[Subprotocol(subprotocol)], origin=origin) as client:
        said = await client.recv()
        bye = CODECS[subprotocol].decode_downward(said.encode() if isinstance(said, str) else said)
        assert isinstance(bye, Bye)
        assert (bye.reason, bye.reconnect, bye.retry_ms) == ("try_later", True, 1_500)
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1013
        assert client.close_reason == "try_later retryMs=1500"
    assert edge.owner.reports == []
    assert edge.serving.front.refused == {"over_capacity": 1}


async def test_telling_browsers_is_bounded(edge: Edge) -> None:
    edge.owner.retry_ms = 1_000

    async def turned_away() -> int:
        raw = await Raw.connect(edge.port)
        raw.say(request(Origin="http://room.example:8080"))
        status = (await raw.answer()).status
        raw.leave()
        return status

    statuses = [await turned_away() for _ in range(TOLD_PER_SECOND_MAX + 5)]  # the clock stands still
    assert statuses.count(101) == TOLD_PER_SECOND_MAX
    assert statuses[-5:] == [503] * 5
    await edge.pass_ms(1_000)
    assert await turned_away() == 101


async def test_a_bad_handshake_is_told_so_even_when_there_is_no_room(edge: Edge) -> None:
    edge.owner.retry_ms = 1_000
    raw = await edge.raw()
    raw.say(request(Sec_WebSocket_Version="8"))
    assert (await raw.answer()).status == 426


async def test_who_finds_no_descriptor_is_refused_in_words(edge: Edge) -> None:
    edge.serving.front.files = Files(connections_max=3, refusals_max=6, arrivals_max=7)
    connections = edge.serving._uvicorn.server_state.connections
    inside = [await edge.upgraded() for _ in range(3)]
    app = await edge.raw()
    app.say(request())
    answer = await app.answer()
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "over_capacity")
    assert 1 <= int(answer.headers["retry-after"]) <= CROWDED_RETRY_MS[1] // 1_000
    browser = await edge.upgraded(Origin="http://room.example:8080")
    assert (await browser.frame()).opcode == TEXT
    assert (await browser.frame()).code == 1013
    page = await edge.raw()
    page.say(GET)
    assert (await page.answer()).status == 200, "ordinary requests are short"
    await eventually(lambda: len(connections) == 6)
    last = await edge.raw()
    last.say(request())
    assert (await last.answer()).status == 503
    assert await last.ended() == b""
    assert len(connections) == 6, "he is answered, and not kept"
    silent = await edge.raw()
    await eventually(lambda: len(connections) == 7)
    assert await (await edge.raw()).ended() in (b"", b"<reset>")
    assert edge.serving.front.refused == {"over_capacity": 3, "no_descriptors": 1}
    for one in (app, browser, page, silent, inside[0]):
        one.leave()
    await eventually(lambda: len(connections) == 2)
    await edge.upgraded()


# -- a crowd ---------------------------------------------------------------------------------------------


async def test_a_crowd_waits_its_turn_and_nobody_is_lost(edge: Edge) -> None:
    """One a turn of the loop; what they say right behind their heads waits with them."""
    edge.serving.front.turnstile = Turnstile(slice_s=0.0)
    crowd = [await edge.raw() for _ in range(40)]
    for number, raw in enumerate(crowd):
        raw.say(request(), frame(TEXT, b'"%d"' % number), frame(PING, b"%d" % number))
    crowd[7].leave()  # while he waits, or a moment later
    for number, raw in enumerate(crowd):
        if number != 7:
            assert (await raw.answer()).status == 101
            assert await raw.frame() == (PONG, b"%d" % number, True, False)
            raw.say(frame(PING, b"later"))
            assert await raw.frame() == (PONG, b"later", True, False)
    said = {int(payload[1:-1]) for payload in edge.owner.payloads}
    assert said | {7} == set(range(40))
    assert len(edge.serving.front.turnstile) == 0


async def test_a_crowd_too_large_to_wait_is_told_to_come_back(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "WAITING_MAX", 3)
    front = edge.serving.front
    front.turnstile = Turnstile(slice_s=0.0)
    crowd = [await edge.raw() for _ in range(12)]
    await eventually(lambda: len(edge.serving._uvicorn.server_state.connections) == 12)
    for raw in crowd:  # they are read in one turn, so only three may wait in it
        raw.say(request())
    answers = [await raw.answer() for raw in crowd]
    assert {answer.status for answer in answers} == {101, 503}
    assert all("retry-after" in answer.headers for answer in answers if answer.status == 503)
    assert front.accepted + front.refused["over_capacity"] == 12
    assert front.accepted == len(edge.owner.sockets)


async def test_who_waits_at_the_door_is_closed_with_the_server(start_edge: StartEdge) -> None:
    edge = await start_edge()
    edge.serving.front.turnstile = stuck = Turnstile(slice_s=0.0)
    stuck._scheduled = True  # so no turn ever comes
    raw = await edge.raw()
    raw.say(request())
    await eventually(lambda: len(stuck) == 1)
    await edge.serving.stop()
    assert await raw.ended() in (b"", b"<reset>")
    stuck._turn()  # comes too late, and harms nobody
    assert edge.owner.reports == []


# -- shutdown --------------------------------------------------------------------------------------------


async def test_shutdown_says_going_away(start_edge: StartEdge) -> None:
    edge = await start_edge()
    waiting = await edge.raw()
    waiting.say(b"GET ")
    async with connect(edge.url, subprotocols=[JSON]) as client:
        await eventually(lambda: len(edge.owner.sockets) == 1)
        stopping = asyncio.create_task(edge.serving.stop())
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1001
        assert client.close_reason == "going_away"
    await stopping
    assert edge.owner.codes == [1001]
    assert await waiting.ended() == b""
    with pytest.raises(ConnectionRefusedError):
        await Raw.connect(edge.port)


async def test_a_peer_who_ignores_the_shutdown_does_not_hold_it_up(start_edge: StartEdge) -> None:
    edge = await start_edge()
    raw = await edge.upgraded()
    stopping = asyncio.create_task(edge.serving.stop())
    closing = await raw.frame()
    assert (closing.opcode, closing.code) == (CLOSE, 1001)
    await edge.pass_ms(2_500)
    await stopping
    assert edge.owner.codes == [1001]
    assert not edge.serving._uvicorn.server_state.connections
