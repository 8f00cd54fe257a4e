"""A server's frames (RFC 6455 §5): bytes in, whole messages out. Pure.

A server doesn't mask. Each message comes with the very bytes that were its frame, because those are equal
for all who are sent one broadcast: whoever has heard them before needs no second look (``heard.py``). A
message in fragments has no such bytes.

What holds: how the bytes were split makes no difference; kept at most is one frame begun and the fragments of
one message; after ``BrokenFrameError`` nothing is read any more.
"""

from __future__ import annotations

from typing import Final, NamedTuple

MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
FRAGMENTS_MAX: Final = 1_024
CONTROL_BYTES_MAX: Final = 125

CONT: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

_FIN: Final = 0x80
_RSV1: Final = 0x40
_RSV23: Final = 0x30
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_IN_2: Final = 126
_KNOWN: Final = frozenset({CONT, TEXT, BINARY, CLOSE, PING, PONG})


class BrokenFrameError(ValueError):
    """The server broke RFC 6455."""


class Message(NamedTuple):
    """``frame``: the bytes it was, if one frame was all of it, else empty."""

    opcode: int
    compressed: bool
    payload: bytes
    frame: bytes


class Reader:
    __slots__ = ("_opcode", "_parts", "_parts_bytes", "_rsv1", "rest")

    def __init__(self) -> None:
        self.rest = b""  # of a frame begun
        self._opcode = CONT  # of the message in fragments, if there is one
        self._rsv1 = False
        self._parts: list[bytes] = []
        self._parts_bytes = 0

    def feed(self, received: bytes) -> list[Message]:
        """The messages that are whole now. Raises ``BrokenFrameError``."""
        buffer = self.rest + received if self.rest else received
        messages: list[Message] = []
        at = 0
        while len(buffer) - at >= 2:
            first, second = buffer[at], buffer[at + 1]
            length, begin = second & _LENGTH, at + 2
            if length >= _IN_2:
                wide = 2 if length == _IN_2 else 8
                if len(buffer) < begin + wide:
                    break
                length = int.from_bytes(buffer[begin : begin + wide], "big")
                begin += wide
            self._check(first, second, length)
            end = begin + length
            if len(buffer) < end:
                break
            message = self._taken(first, buffer[begin:end], buffer[at:end])
            if message is not None:
                messages.append(message)
            at = end
        self.rest = buffer[at:]
        return messages

    def _check(self, first: int, second: int, length: int) -> None:
        opcode = first & _OPCODE
        if second & _MASKED:
            raise BrokenFrameError("a server's frame is masked")
        if opcode not in _KNOWN or first & _RSV23:
            raise BrokenFrameError(f"no such frame: first byte {first:#04x}")
        if length + self._parts_bytes > MESSAGE_BYTES_MAX:
            raise BrokenFrameError(f"a message of more than {MESSAGE_BYTES_MAX} bytes")
        if opcode >= CLOSE:
            if not first & _FIN or first & _RSV1 or length > CONTROL_BYTES_MAX:
                raise BrokenFrameError("a control frame is short, whole and plain")
        elif opcode == CONT:
            if self._opcode == CONT or first & _RSV1:
                raise BrokenFrameError("a continuation of nothing")
        elif self._opcode != CONT:
            raise BrokenFrameError("a message begins inside another")

    def _taken(self, first: int, payload: bytes, frame: bytes) -> Message | None:
        opcode = first & _OPCODE
        if opcode >= CLOSE or (first & _FIN and opcode != CONT):
            return Message(opcode, bool(first & _RSV1), payload, frame)
        if opcode != CONT:
            self._opcode, self._rsv1 = opcode, bool(first & _RSV1)
        self._parts.append(payload)
        self._parts_bytes += len(payload)
        if len(self._parts) > FRAGMENTS_MAX:
            raise BrokenFrameError(f"a message of more than {FRAGMENTS_MAX} fragments")
        if not first & _FIN:
            return None
        whole = Message(self._opcode, self._rsv1, b"".join(self._parts), b"")
        self._opcode, self._parts, self._parts_bytes = CONT, [], 0
        return whole


def client_frame(opcode: int, payload: bytes) -> bytes:
    """A client's frame. The masking key is nothing but zeros, so masking costs us nothing; the server has to
    unmask it all the same. (Keys must be unpredictable where a proxy could be fooled; here is none.)"""
    size = len(payload)
    if size < _IN_2:
        head = bytes((_FIN | opcode, _MASKED | size))
    elif size < 1 << 16:
        head = bytes((_FIN | opcode, _MASKED | _IN_2)) + size.to_bytes(2, "big")
    else:
        head = bytes((_FIN | opcode, _MASKED | _LENGTH)) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload
