"""Opening sockets in bulk, by plain blocking calls: connect, say, wait for the answer, a handful at a time.

The client's own cost is not measured, so it is simple; only what the server's process used is.
"""

from __future__ import annotations

import socket
import struct
import zlib
from collections.abc import Sequence
from typing import Final, Self

import orjson

AT_ONCE: Final = 64  # on their way at the same time
ANSWER_S_MAX: Final = 20.0
PORTS_PER_ADDRESS: Final = 15_000  # Guess: less than the kernel has to give out
READ_BYTES: Final = 65_536
_MASK: Final = b"\x01\x02\x03\x04"
_ABORT: Final = struct.pack("ii", 1, 0)  # closing resets: no port is left waiting

KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="


class UnansweredError(Exception):
    """The server did not say what it should have."""


def browser_head(port: int, path: str, token: str = "") -> bytes:
    """What Chrome sends: fifteen headers, and ``Authorization`` if there is a token (an app sends that)."""
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    return (
        f"GET {path} HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\n"
        "Connection: Upgrade\r\n"
        "Pragma: no-cache\r\n"
        "Cache-Control: no-cache\r\n"
        "User-Agent: Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko)"
        " Chrome/131.0.0.0 Mobile Safari/537.36\r\n"
        "Upgrade: websocket\r\n"
        f"Origin: http://127.0.0.1:{port}\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "Accept-Encoding: gzip, deflate, br, zstd\r\n"
        "Accept-Language: zh-CN,zh;q=0.9,en;q=0.8\r\n"
        "Cookie: visitor=8f14e45fceea167a5a36dedd4bea2543; locale=zh-CN; theme=dark\r\n"
        f"Sec-WebSocket-Key: {KEY}\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        "Sec-WebSocket-Protocol: live.v1.json\r\n"
        "DNT: 1\r\n"
        f"{bearer}\r\n"
    ).encode()


def said(*commands: object) -> bytes:
    """These commands, each in a masked text frame."""
    return b"".join(_frame(orjson.dumps(command)) for command in commands)


def _frame(payload: bytes) -> bytes:
    length = len(payload)
    head = bytes((0x81, 0x80 | length)) if length < 126 else struct.pack("!BBH", 0x81, 0xFE, length)
    return head + _MASK + bytes(byte ^ _MASK[index & 3] for index, byte in enumerate(payload))


class Callers:
    """The sockets of one audience, whose server listens at ``port``. Leaving the context closes them all."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._open:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            one.close()
        self._open.clear()

    def __len__(self) -> int:
        return len(self._open)

    def open(self, heads: Sequence[bytes], frames: int = 0, then: Sequence[bytes] = ()) -> None:
        """One socket for each head; ``then`` is said behind the answer, one for each, and ``frames`` server
        frames are awaited. Raises ``UnansweredError`` or ``OSError``."""
        for start in range(0, len(heads), AT_ONCE):
            some = range(start, min(start + AT_ONCE, len(heads)))
            sockets = [self._connected() for _ in some]
            for index, one in zip(some, sockets, strict=True):
                one.sendall(heads[index])
            rests = [_answered(one) for one in sockets]
            if then:
                for index, one in zip(some, sockets, strict=True):
                    one.sendall(then[index])
            for one, rest in zip(sockets, rests, strict=True):
                _heard(one, rest, frames)

    def say(self, command: bytes, frames: int) -> None:
        """Everybody says it, and hears so many frames."""
        for start in range(0, len(self._open), AT_ONCE):
            some = self._open[start : start + AT_ONCE]
            for one in some:
                one.sendall(command)
            for one in some:
                _heard(one, b"", frames)

    def _connected(self) -> socket.socket:
        one = socket.socket()
        self._open.append(one)
        one.settimeout(ANSWER_S_MAX)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.bind((f"127.0.0.{1 + len(self._open) // PORTS_PER_ADDRESS}", 0))
        one.connect(("127.0.0.1", self._port))
        return one


def _answered(one: socket.socket) -> bytes:
    """What came behind the 101."""
    heard = b""
    while (end := heard.find(b"\r\n\r\n")) < 0:
        heard += _read(one)
    if not heard.startswith(b"HTTP/1.1 101"):
        raise UnansweredError(heard[:200].decode(errors="replace"))
    return heard[end + 4 :]


def _heard(one: socket.socket, heard: bytes, frames: int) -> None:
    while len(read := payloads(heard)) < frames:
        heard += _read(one)
    for payload in read:
        if b'"type":"error"' in payload:
            raise UnansweredError(payload[:200].decode(errors="replace"))


def _read(one: socket.socket) -> bytes:
    if not (more := one.recv(READ_BYTES)):
        raise UnansweredError("the server closed the connection")
    return more


def payloads(heard: bytes) -> list[bytes]:
    """Of the whole frames in what a server said, inflated."""
    found, at = [], 0
    while len(heard) - at >= 2:
        first, length, begin = heard[at], heard[at + 1], at + 2
        if length > 125:
            wide = 2 if length == 126 else 8
            length, begin = int.from_bytes(heard[begin : begin + wide], "big"), begin + wide
        if len(heard) < begin + length:
            break
        at = begin + length
        payload = heard[begin:at]
        found.append(zlib.decompress(payload + b"\0\0\xff\xff", -15) if first & 0x40 else payload)
    return found
