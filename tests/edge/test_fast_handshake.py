"""The fast way in says what the judge says, or leaves it to him."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from liveserver.edge.fast_handshake import LEARNED_MAX, FastHandshake, ordinary
from liveserver.edge.handshake import Accepted, Handshake, Rules
from liveserver.edge.problem import Problem
from protocol.client.websocket import Address, open_socket
from tests.edge.conftest import Edge
from tests.edge.heads import ACCEPTABLE, CHROME, ORDINARY, head_of, mutated
from tests.edge.peers import KEY, eventually, request

RULES = [
    Rules(),
    Rules.of(origins=["https://shop.cn", "null"], trusted=["10.0.0.0/8"]),
    Rules.of(origins=["*"], deflate=False),
]
ADDRESSES = ["192.0.2.7", "10.0.0.1", "::ffff:10.0.0.1", ""]


class Both:
    """One judge, and a fast way in that has learned from him."""

    def __init__(self, rules: Rules) -> None:
        self.judge = Handshake(rules)
        self.now_s = 0.0
        self.fast = FastHandshake(self.judge, lambda: self.now_s)
        for lines in ACCEPTABLE:
            self.fast.judge(head_of(lines), "192.0.2.7")

    def agree(self, head: bytes, address: str) -> bool:
        """Both say the same of it. Was the fast way taken?"""
        judged, before = self.judge.judge(head, address), self.fast.fast
        if isinstance(judged, Accepted):  # the judge looks at the clock: so its second is the fast one's
            date = next(line for line in judged.response.split(b"\r\n") if line.startswith(b"Date: "))
            self.now_s = parsedate_to_datetime(date[6:].decode()).timestamp()
        said = self.fast.judge(head, address)
        taken = self.fast.fast > before
        if isinstance(judged, Problem):
            assert not taken, (head, judged.detail)
            assert isinstance(said, Problem)
            assert said.response() == judged.response()
        elif taken:
            assert said == judged, head
        return taken


BOTH = [Both(rules) for rules in RULES]


@given(mutated(), st.sampled_from(range(len(RULES))), st.sampled_from(ADDRESSES))
@settings(max_examples=1_500, deadline=None)
def test_the_fast_way_says_what_the_judge_says(head: bytes, which: int, address: str) -> None:
    BOTH[which].agree(head, address)  # once learned by the first, and once again
    BOTH[which].agree(head, address)


@given(st.binary(max_size=40), st.integers(0, 600), st.integers(0, 12))
@settings(max_examples=500, deadline=None)
def test_nor_do_they_differ_on_heads_with_bytes_exchanged(patch: bytes, at: int, over: int) -> None:
    head = head_of(CHROME)
    BOTH[1].agree(head[:at] + patch + head[at + over :], "10.0.0.1")


@pytest.mark.parametrize("name", ORDINARY)
@pytest.mark.parametrize("which", range(len(RULES)))
def test_who_comes_as_browsers_and_apps_do_comes_in_fast(name: str, which: int) -> None:
    both = Both(RULES[which])
    assert both.agree(head_of(ORDINARY[name]), "10.0.0.1")


def test_the_key_the_date_and_the_token_are_each_request_s_own() -> None:
    both = Both(Rules())
    other = [(name, value.replace("d", "e") if value == KEY else value) for name, value in ORDINARY["app"]]
    other = [(n, "Bearer another" if n == "Authorization" else v) for n, v in other]
    before = both.fast.fast
    both.now_s = 86_400.0
    first = both.fast.judge(head_of(ORDINARY["app"]), "192.0.2.7")
    both.now_s = 2 * 86_400.0
    second = both.fast.judge(head_of(other), "192.0.2.8")
    assert both.fast.fast - before == 2
    assert isinstance(first, Accepted) and isinstance(second, Accepted)
    assert b"Date: Fri, 02 Jan 1970 00:00:00 GMT\r\n" in first.response
    assert b"Date: Sat, 03 Jan 1970 00:00:00 GMT\r\n" in second.response
    assert first.response.split(b"Accept: ")[1] != second.response.split(b"Accept: ")[1]
    assert (first.bearer, second.bearer) == ("abc.def.ghi", "another")
    assert (first.peer, second.peer) == ("192.0.2.7", "192.0.2.8")


def test_what_was_refused_is_never_learned() -> None:
    fast = FastHandshake(Handshake(Rules()))
    evil = [(name, "https://evil.example" if name == "Origin" else value) for name, value in CHROME]
    for _ in range(2):
        verdict = fast.judge(head_of(evil), "")
        assert isinstance(verdict, Problem)
        assert verdict.code == "wrong_origin"
    assert (fast.fast, fast.slow) == (0, 2)


def test_what_is_learned_is_bounded_and_learned_again() -> None:
    fast = FastHandshake(Handshake(Rules()))
    fast.judge(head_of(CHROME), "")
    for number in range(LEARNED_MAX):
        fast.judge(request(Host=f"h{number}.example"), "")
    assert len(fast._learned) == LEARNED_MAX
    before = fast.slow
    fast.judge(head_of(CHROME), "")  # pushed out by all the others
    assert fast.slow == before + 1
    fast.judge(head_of(CHROME), "")
    assert fast.slow == before + 1


UNUSUAL = {
    "a folded line": head_of([*CHROME, ("X-Long", "one\r\n two")]),
    "a bare line feed": head_of(CHROME).replace(b"no-cache\r\n", b"no-cache\n", 1),
    "a name twice": head_of([*CHROME, ("cookie", "a=b")]),
    "a tab": head_of([*CHROME, ("X", "a\tb")]),
    "a space before the end": head_of([*CHROME, ("X", "a ")]),
    "two spaces": head_of([*CHROME, ("X", " a")]),
    "no space": head_of(CHROME).replace(b"Upgrade: ", b"Upgrade:"),
    "a value of nothing": head_of([*CHROME, ("X", "")]),
    "a letter beyond ASCII": head_of([*CHROME, ("X", "\xe9")]),
    "a body of nothing": head_of([*CHROME, ("Content-Length", "0")]),
    "a query": head_of(CHROME, "GET /v1/live?from=qr HTTP/1.1"),
    "three options": head_of([(n, "keep-alive, x, Upgrade" if n == "Connection" else v) for n, v in CHROME]),
    "a key too short": head_of([(n, KEY[1:] if n == "Sec-WebSocket-Key" else v) for n, v in CHROME]),
    "a key too long": head_of([(n, "A" + KEY if n == "Sec-WebSocket-Key" else v) for n, v in CHROME]),
    "a long head": head_of([*CHROME, ("A", "x" * 4_200), ("B", "x" * 4_200)]),
}


@pytest.mark.parametrize("what", UNUSUAL)
def test_what_is_unusual_is_left_to_the_judge(what: str) -> None:
    assert ordinary(head_of(CHROME)) is not None
    assert ordinary(UNUSUAL[what]) is None
    assert BOTH[0].agree(UNUSUAL[what], "192.0.2.7") is False


# -- on real sockets -----------------------------------------------------------------------------------


async def test_our_own_client_comes_in_fast(edge: Edge) -> None:
    handshake = edge.serving.front.handshake
    for _ in range(2):
        websocket, codec = await open_socket(Address(edge.url), "abc.def.ghi", 5_000)
        assert codec.subprotocol == "live.v1.msgpack"
        await websocket.close()
    assert (handshake.fast, handshake.slow) == (1, 1)
    await eventually(lambda: len(edge.owner.sockets) == 2)
    assert [socket.deflate for socket in edge.owner.sockets] == [True, True]


async def test_a_stranger_s_client_believes_the_fast_answer(edge: Edge) -> None:
    for _ in range(3):  # each with a key of its own, which the client checks the answer to
        async with connect(edge.url, subprotocols=[Subprotocol("live.v1.json")]) as client:
            assert client.subprotocol == "live.v1.json"
    assert edge.serving.front.handshake.fast == 2
    with pytest.raises(InvalidStatus):
        await connect(edge.url, subprotocols=[Subprotocol("chat")])
