"""The way in for an ordinary upgrade: the one nearly every viewer sends.

It has no opinion of its own on what may come in. It reads heads of one strict shape only, and answers only
what the judge (``edge.handshake.Handshake``) has answered before: for the same Host, Origin, subprotocols and
extensions its 101 differs by date and key alone. Everything else, and whatever is refused, is the judge's. A
test holds that the two never differ. Measured: an eighth of the judge's time.
"""

from __future__ import annotations

import re
import time
from base64 import b64encode
from collections.abc import Callable
from email.utils import formatdate
from hashlib import sha1
from typing import Final

import msgspec
from websockets.http11 import MAX_LINE_LENGTH, MAX_NUM_HEADERS

from liveserver.edge.handshake import PATH, Accepted, Handshake, bearer_of
from liveserver.edge.problem import Problem
from protocol.codec import Codec

LEARNED_MAX: Final = 1_024  # verdicts; the oldest goes first

_REQUEST_LINE: Final = f"GET {PATH} HTTP/1.1\r\n".encode()
_HEADERS: Final = re.compile(r"(?:[A-Za-z0-9-]+: [!-~][ -~]*(?<! )\r\n)+\r\n")
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
_CONNECTIONS: Final = frozenset({"upgrade", "keep-alive, upgrade"})  # in lower case
_BODIES: Final = frozenset({"content-length", "transfer-encoding"})
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # Source: RFC 6455 §1.3

Asked = tuple[str, str | None, str, str]
"""What the judge's answer depends on: Host, Origin, subprotocols and extensions, as they were sent."""


class Learned(msgspec.Struct, frozen=True):
    """A 101 of the judge's, cut where the date and the answer to the key go."""

    before_date: bytes
    before_answer: bytes
    after_answer: bytes
    codec: Codec
    deflate: bool


class FastHandshake:
    """``judge`` answers as the judge does, mostly without asking it. ``now_s`` (Unix time) dates the answers.
    Counters: ``fast`` and ``slow``."""

    def __init__(self, judge: Handshake, now_s: Callable[[], float] = time.time) -> None:
        self.fast = 0
        self.slow = 0
        self._judge = judge
        self._now_s = now_s
        self._learned: dict[Asked, Learned] = {}
        self._dated_s = 0
        self._date = b""

    def judge(self, head: bytes, address: str) -> Accepted | Problem:
        """``head`` ends with the empty line; ``address`` is where the connection comes from."""
        headers = ordinary(head)
        if headers is not None and (verdict := self._answered(headers, address)) is not None:
            self.fast += 1
            return verdict
        self.slow += 1
        judged = self._judge.judge(head, address)
        if headers is not None and isinstance(judged, Accepted):
            self._learn(headers, judged)
        return judged

    def _answered(self, headers: dict[str, str], address: str) -> Accepted | None:
        """The judge's verdict, if it is known what it would be."""
        learned = self._learned.get(_asked(headers))
        if learned is None:
            return None
        answer = _answer(headers["sec-websocket-key"])
        return Accepted(
            b"".join((learned.before_date, self._now(), learned.before_answer, answer, learned.after_answer)),
            learned.codec,
            learned.deflate,
            bearer_of(headers.get("authorization", "")),
            headers.get("origin"),
            self._judge.peer(headers.get("x-forwarded-for", ""), address),
        )

    def _learn(self, headers: dict[str, str], judged: Accepted) -> None:
        before, answer, after = judged.response.partition(_answer(headers["sec-websocket-key"]))
        start = before.index(b"Date: ") + len(b"Date: ")
        end = before.index(b"\r\n", start)
        assert answer, "an accepted key is answered"
        if len(self._learned) >= LEARNED_MAX:
            del self._learned[next(iter(self._learned))]
        self._learned[_asked(headers)] = Learned(
            before[:start], before[end:], after, judged.codec, judged.deflate
        )

    def _now(self) -> bytes:
        second = int(self._now_s())
        if second != self._dated_s:
            self._dated_s, self._date = second, formatdate(second, usegmt=True).encode()
        return self._date


def ordinary(head: bytes) -> dict[str, str] | None:
    """The headers, by name in lower case, of an upgrade with nothing unusual about it: printable ASCII, each
    name once, one space before each value, no body, version 13, a well-formed key. Else None."""
    if not head.startswith(_REQUEST_LINE) or len(head) > MAX_LINE_LENGTH or not head.isascii():
        return None
    text = head.decode("ascii")
    start = len(_REQUEST_LINE)
    if _HEADERS.fullmatch(text, start) is None:
        return None
    lines = text[start:-4].split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    if len(headers) != len(lines) or len(lines) > MAX_NUM_HEADERS or not _BODIES.isdisjoint(headers):
        return None
    get = headers.get
    right = (
        get("connection", "").lower() in _CONNECTIONS
        and get("upgrade", "").lower() == "websocket"
        and get("sec-websocket-version") == "13"
        and _KEY.fullmatch(get("sec-websocket-key", "")) is not None
        and "sec-websocket-protocol" in headers
        and "host" in headers
    )
    return headers if right else None


def _asked(headers: dict[str, str]) -> Asked:
    return (
        headers["host"],
        headers.get("origin"),
        headers["sec-websocket-protocol"],
        headers.get("sec-websocket-extensions", ""),
    )


def _answer(key: str) -> bytes:
    """RFC 6455 §4.2.2."""
    return b64encode(sha1(key.encode() + _GUID, usedforsecurity=False).digest())
