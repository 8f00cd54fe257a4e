"""Heads of upgrades as clients send them, and as nobody should: what the fast way in is tested with."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Final

from hypothesis import strategies as st

from tests.edge.peers import KEY

HOST: Final = "room.example:8080"

Line = tuple[str, str]

CHROME: Final[list[Line]] = [
    ("Host", HOST),
    ("Connection", "Upgrade"),
    ("Pragma", "no-cache"),
    ("Cache-Control", "no-cache"),
    (
        "User-Agent",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/131.0.0.0 Safari/537.36",
    ),
    ("Upgrade", "websocket"),
    ("Origin", f"http://{HOST}"),
    ("Sec-WebSocket-Version", "13"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "zh-CN,zh;q=0.9,en;q=0.8"),
    ("Cookie", "visitor=8f14e45fceea167a; theme=dark"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
    ("Sec-WebSocket-Protocol", "live.v1.msgpack, live.v1.json"),
]
FIREFOX: Final[list[Line]] = [
    ("Host", HOST),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"),
    ("Accept", "*/*"),
    ("Accept-Language", "en-US,en;q=0.5"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Sec-WebSocket-Version", "13"),
    ("Origin", f"http://{HOST}"),
    ("Sec-WebSocket-Protocol", "live.v1.json"),
    ("Sec-WebSocket-Extensions", "permessage-deflate"),
    ("Sec-WebSocket-Key", KEY),
    ("DNT", "1"),
    ("Sec-GPC", "1"),
    ("Connection", "keep-alive, Upgrade"),
    ("Sec-Fetch-Dest", "empty"),
    ("Sec-Fetch-Mode", "websocket"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Pragma", "no-cache"),
    ("Cache-Control", "no-cache"),
    ("Upgrade", "websocket"),
]
SAFARI: Final[list[Line]] = [
    ("Upgrade", "websocket"),
    ("Origin", f"http://{HOST}"),
    ("Host", HOST),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-Fetch-Mode", "websocket"),
    ("Pragma", "no-cache"),
    ("Cache-Control", "no-cache"),
    ("Sec-WebSocket-Extensions", "permessage-deflate"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Protocol", "live.v1.json"),
    ("Connection", "Upgrade"),
    ("Accept-Encoding", "gzip, deflate"),
    (
        "User-Agent",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    ),
]
PROXIED: Final[list[Line]] = [
    *[line for line in CHROME if line[0] != "Connection"],
    ("Connection", "upgrade"),  # as nginx is configured to say it
    ("X-Forwarded-For", "203.0.113.7, 10.0.0.3"),
]
APP: Final[list[Line]] = [
    ("Host", HOST),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Protocol", "live.v1.json"),
    ("Authorization", "Bearer abc.def.ghi"),
    ("User-Agent", "okhttp/4.12.0"),
]
ORDINARY: Final = {"chrome": CHROME, "firefox": FIREFOX, "safari": SAFARI, "proxied": PROXIED, "app": APP}
ACCEPTABLE: Final[list[list[Line]]] = [
    *ORDINARY.values(),
    *[
        [(name, offer if name == "Sec-WebSocket-Extensions" else value) for name, value in CHROME]
        for offer in ("permessage-deflate; server_max_window_bits=9", "x-webkit-deflate-frame")
    ],
    [line for line in CHROME if line[0] != "Sec-WebSocket-Extensions"],
    [line for line in CHROME if line[0] != "Origin"],
]
"""What the fast way has learned before it is tested, so that it is taken often."""


def head_of(lines: list[Line], request_line: str = "GET /v1/live HTTP/1.1") -> bytes:
    said = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"{request_line}\r\n{said}\r\n".encode("latin-1")


_names = st.sampled_from(
    [
        *sorted({name for lines in ORDINARY.values() for name, _ in lines}),
        *("Content-Length", "Transfer-Encoding", "X-Forwarded-For", "Authorization", "X_Odd"),
    ]
)
_cases: st.SearchStrategy[Callable[[str], str]] = st.sampled_from(
    [str.lower, str.upper, str.title, str.swapcase, str]
)
_values: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(
        [
            *("", " ", "0", "5", "13", "12", "8", "013", "websocket", "WebSocket", "h2c", "websocket, h2c"),
            *("Upgrade", "upgrade", "keep-alive", "keep-alive, Upgrade", "close, upgrade", "Upgrade,"),
            *(
                "chunked",
                "identity",
                KEY,
                KEY[:-1],
                "!" + KEY[1:],
                KEY + "=",
                "c2hvcnQ=",
                KEY.replace("=", " "),
            ),
            *(HOST, "other.example", "a b", "[::1]:8080", "room.example:8080/", ""),
            *(f"http://{HOST}", f"https://{HOST}", "null", "https://evil.example", "https://shop.cn"),
            *("live.v1.json", "live.v1.msgpack", "live.v1.json;", "chat", "chat, live.v1.json", ","),
            *("permessage-deflate", "permessage-deflate; server_max_window_bits=9", "x-webkit-deflate-frame"),
            *("permessage-deflate; client_max_window_bits=15, permessage-deflate", "a; b=c, ;"),
            *("Bearer abc", "bearer  abc", "Basic abc", "Bearer", "1.2.3.4", "1.2.3.4, 10.0.0.2", "unknown"),
        ]
    ),
    st.text(st.characters(max_codepoint=0xFF), max_size=12),
    st.text(st.sampled_from(" \t,;=\"'Aa1-\x7f\x00é\r\n"), max_size=6),
)
_keys = st.binary(min_size=15, max_size=17).map(lambda raw: b64encode(raw).decode())
_targets = st.sampled_from(
    [
        *["GET /v1/live HTTP/1.1"] * 12,
        *("GET /v1/live?room=a HTTP/1.1", "GET /v1/live?token=a HTTP/1.1", "GET /v1/live HTTP/1.0"),
        *(
            "POST /v1/live HTTP/1.1",
            "GET  /v1/live HTTP/1.1",
            "GET /v1/live/ HTTP/1.1",
            "get /v1/live HTTP/1.1",
        ),
    ]
)
_separators = st.sampled_from([": "] * 12 + [":", ":  ", " : ", ":\t", ": \t", "", ";"])
_endings = st.sampled_from(["\r\n"] * 20 + ["\n", " \r\n", "\t\r\n", "\r\n ", "\r\n\t", "\r\r\n", "\r"])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """One of the ordinary heads with up to four things changed in it."""
    lines = list(draw(st.sampled_from(list(ORDINARY.values()))))
    separators: dict[int, str] = {}
    endings: dict[int, str] = {}
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        change = draw(
            st.sampled_from(["value", "key", "name", "case", "drop", "again", "add", "odd", "order"])
        )
        name, value = lines[at]
        if change == "value":
            lines[at] = name, draw(_values)
        elif change == "key":
            lines = [(n, draw(_keys) if n == "Sec-WebSocket-Key" else v) for n, v in lines]
        elif change == "name":
            lines[at] = draw(_names), value
        elif change == "case":
            lines[at] = draw(_cases)(name), draw(_cases)(value) if draw(st.booleans()) else value
        elif change == "drop" and len(lines) > 1:
            del lines[at]
        elif change == "again":
            lines.insert(
                draw(st.integers(0, len(lines))), (draw(_cases)(name), draw(_values | st.just(value)))
            )
        elif change == "add":
            lines.insert(at, (draw(_names), draw(_values)))
        elif change == "odd":
            separators[at] = draw(_separators)
            endings[at] = draw(_endings)
        else:
            lines = draw(st.permutations(lines))
    said = "".join(
        f"{name}{separators.get(at, ': ')}{value}{endings.get(at, chr(13) + chr(10))}"
        for at, (name, value) in enumerate(lines)
    )
    return f"{draw(_targets)}\r\n{said}\r\n".encode("latin-1", "replace")
