"""The handshake's bytes, judged by ``websockets``' server; and answers that aren't what was asked for."""

from __future__ import annotations

import pytest
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from loadtest.swarm.opening import NotOpenedError, Opened, answered, key, request

KEY = key(bytes(range(16)))
NAME = "live.v1.json"


def served(*, deflate: bool) -> bytes:
    """What a server of the library answers to our request, bit by bit."""
    extensions = [ServerPerMessageDeflateFactory(server_no_context_takeover=True)] if deflate else None
    server = ServerProtocol(subprotocols=[Subprotocol(NAME)], extensions=extensions)
    server.receive_data(request("127.0.0.1:1", "/v1/live", KEY, NAME, "a.b.c", deflate=deflate))
    (heard,) = server.events_received()
    assert isinstance(heard, Request)
    assert heard.path == "/v1/live" and heard.headers["Authorization"] == "Bearer a.b.c"
    server.send_response(server.accept(heard))
    return b"".join(server.data_to_send())


@pytest.mark.parametrize("deflate", [False, True])
def test_a_server_takes_our_request_and_we_its_answer(deflate: bool) -> None:
    answer = served(deflate=deflate)
    frame = Frame(1, b"{}").serialize(mask=False)  # type: ignore[arg-type]
    assert answered(answer[:-1], KEY, NAME, deflate=deflate) is None
    assert answered(answer + frame, KEY, NAME, deflate=deflate) == Opened(deflate, frame)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ((b"Sec-WebSocket-Accept: ", b"Sec-WebSocket-Accept: x"), "another key"),
        ((b"live.v1.json", b"live.v1.msgpack"), "no subprotocol"),
        ((b"server_no_context_takeover", b"client_no_context_takeover"), "depend on"),
        ((b"permessage-deflate", b"x-webkit-deflate"), "nobody offered"),
    ],
)
def test_another_answer_than_the_one_asked_for_is_refused(change: tuple[bytes, bytes], why: str) -> None:
    answer = served(deflate=True)
    assert change[0] in answer
    with pytest.raises(NotOpenedError, match=why):
        answered(answer.replace(*change), KEY, NAME, deflate=True)


def test_a_refusal_says_when_to_come_back() -> None:
    full = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n\r\n"
    with pytest.raises(NotOpenedError) as refused:
        answered(full, KEY, NAME, deflate=False)
    assert (refused.value.status, refused.value.retry_ms, refused.value.comes_back) == (503, 7_000, True)
    with pytest.raises(NotOpenedError) as refused:
        answered(b"HTTP/1.1 403 Forbidden\r\n\r\n", KEY, NAME, deflate=False)
    assert not refused.value.comes_back
    with pytest.raises(NotOpenedError, match="without an end"):
        answered(b"x" * 20_000, KEY, NAME, deflate=False)
