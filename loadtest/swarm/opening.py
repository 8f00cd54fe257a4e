"""The opening handshake of a client, as bytes, and what the server's answer must be. Pure."""

from __future__ import annotations

import base64
import hashlib
from typing import Final, NamedTuple

HEAD_BYTES_MAX: Final = 16 * 1024
RETRY_S_MAX: Final = 600
_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_OFFER: Final = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


class NotOpenedError(Exception):
    """The handshake came to nothing. ``status`` is 0 where the answer was no HTTP, or a wrong one.
    ``retry_ms``: what Retry-After asked for."""

    def __init__(self, why: str, status: int = 0, retry_ms: int = 0) -> None:
        super().__init__(why)
        self.status = status
        self.retry_ms = retry_ms

    @property
    def comes_back(self) -> bool:
        return self.status in (0, 408, 425, 429) or self.status >= 500


class Opened(NamedTuple):
    deflate: bool
    rest: bytes  # what came behind the answer


def key(draw: bytes) -> bytes:
    """Of 16 random bytes."""
    return base64.b64encode(draw)


def request(host: str, path: str, key: bytes, subprotocol: str, token: str, *, deflate: bool) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key.decode()}",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {subprotocol}",
    ]
    if deflate:
        lines.append(f"Sec-WebSocket-Extensions: {_OFFER}")
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*lines, "", ""]).encode()


def answered(received: bytes, key: bytes, subprotocol: str, *, deflate: bool) -> Opened | None:
    """None: the head isn't whole yet. Raises ``NotOpenedError``."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        if len(received) > HEAD_BYTES_MAX:
            raise NotOpenedError("an answer without an end")
        return None
    status_line, *lines = received[:end].decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    status = status_line.split(" ")[1] if status_line.startswith("HTTP/1.1 ") else ""
    if status != "101":
        after = headers.get("retry-after", "")
        seconds = min(int(after), RETRY_S_MAX) if after.isdecimal() and len(after) < 7 else 0
        code = int(status) if status.isdecimal() else 0
        raise NotOpenedError(f"HTTP {status or 'nonsense'}", code, seconds * 1_000)
    if headers.get("sec-websocket-accept", "") != accept(key):
        raise NotOpenedError("the answer is to another key")
    if headers.get("sec-websocket-protocol", "") != subprotocol:
        raise NotOpenedError("the answer chose no subprotocol of ours")
    extensions = headers.get("sec-websocket-extensions", "")
    agreed = extensions.startswith("permessage-deflate")
    if extensions and not (agreed and deflate):
        raise NotOpenedError(f"the answer has an extension nobody offered: {extensions[:80]}")
    if agreed and "server_no_context_takeover" not in extensions:
        raise NotOpenedError("frames that depend on those before them can't be shared")
    return Opened(agreed, received[end + 4 :])


def accept(key: bytes) -> str:
    return base64.b64encode(hashlib.sha1(key + _MAGIC).digest()).decode()
