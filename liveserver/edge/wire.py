"""Bytes of whole server frames (RFC 6455 §5.2): those built once and written to many sockets, and those for
one: replies, pongs, a close.

Knows nothing of sockets. A server's frames are unmasked and ours are never fragmented. Compression (RFC
7692) is without context takeover, so the same compressed frame serves everybody who negotiated it.
"""

from __future__ import annotations

import struct
import zlib

DEFLATE_BYTES_MIN = 300  # Measured: below this deflate costs more than it saves
DEFLATE_LEVEL = 6
_FIN = 0x80
_RSV1 = 0x40  # "this message is compressed"
_TEXT = 0x1
_BINARY = 0x2
_CLOSE = 0x8
_PONG = 0xA
_SYNC_TAIL = 4  # an empty stored block, 00 00 ff ff, which RFC 7692 §7.2.1 leaves out

CONTROL_BYTES_MAX = 125  # Source: RFC 6455 §5.5
CLOSE_REASON_BYTES_MAX = CONTROL_BYTES_MAX - 2  # less the code

PING = b"\x89\x00"  # the one shared ping frame: final, no payload


def frame_bytes(payload: bytes, *, text: bool, deflate: bool) -> bytes:
    """One final frame. With ``deflate`` it is compressed if that is worth it: the result must only go to
    sockets whose ``deflate`` is true, whether it was or not."""
    first = _FIN | (_TEXT if text else _BINARY)
    if deflate and len(payload) >= DEFLATE_BYTES_MIN:
        smaller = _deflated(payload)
        if len(smaller) < len(payload):
            payload, first = smaller, first | _RSV1
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 1 << 16:
        return struct.pack("!BBH", first, 126, length) + payload
    return struct.pack("!BBQ", first, 127, length) + payload


def pong_bytes(payload: bytes) -> bytes:
    return _control_bytes(_PONG, payload)


def close_bytes(code: int, reason: str = "") -> bytes:
    """``reason`` is cut, at a whole character, to what a close frame holds."""
    short = reason.encode()[:CLOSE_REASON_BYTES_MAX].decode(errors="ignore")
    return echo_bytes(struct.pack("!H", code) + short.encode())


def echo_bytes(payload: bytes) -> bytes:
    """The answer to the peer's close frame: what it said, empty or not."""
    return _control_bytes(_CLOSE, payload)


def _control_bytes(opcode: int, payload: bytes) -> bytes:
    assert len(payload) <= CONTROL_BYTES_MAX
    return bytes((_FIN | opcode, len(payload))) + payload


def _deflated(payload: bytes) -> bytes:
    compressor = zlib.compressobj(DEFLATE_LEVEL, zlib.DEFLATED, -15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-_SYNC_TAIL]
