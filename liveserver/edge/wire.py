"""Bytes of whole server frames (RFC 6455 §5.2), built once and written to many sockets.

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
_SYNC_TAIL = 4  # an empty stored block, 00 00 ff ff, which RFC 7692 §7.2.1 leaves out

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


def _deflated(payload: bytes) -> bytes:
    compressor = zlib.compressobj(DEFLATE_LEVEL, zlib.DEFLATED, -15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-_SYNC_TAIL]
