"""What is sent: masked frames of small commands, built before anything is measured. Pure."""

from __future__ import annotations

import struct
from typing import Final

from websockets.frames import Opcode
from websockets.speedups import apply_mask

from protocol.codec import CODECS
from protocol.commands import Command, Join, Like, Ping, SendDanmaku

CODEC: Final = CODECS["live.v1.json"]
ROOM: Final = "bench"
KEY: Final = b"\x37\xfa\x21\x3d"
COMMANDS: Final = 32  # of each socket, in a round
TOGETHER: Final = 16  # that come in one read, where they come together
_FRAME: Final = b'{"type":"frame"'


def frame(command: Command) -> bytes:
    payload = CODEC.encode(command)
    head = bytes((0x80 | Opcode.TEXT,))
    if len(payload) < 126:
        head += bytes((0x80 | len(payload),))
    else:
        head += struct.pack("!BH", 0x80 | 126, len(payload))
    return head + KEY + apply_mask(payload, KEY)


def pings(sender: int) -> list[bytes]:
    return [frame(Ping(id=f"{sender:05d}-{number:03d}")) for number in range(COMMANDS)]


def mixed(sender: int) -> list[bytes]:
    """Of sixteen commands thirteen pings, two likes, a comment: what one may send stays inside its rates."""
    return [frame(_mixed(sender, number)) for number in range(COMMANDS)]


def _mixed(sender: int, number: int) -> Command:
    command_id = f"{sender:05d}-{number:03d}"
    if number % TOGETHER == 5:
        return SendDanmaku(id=command_id, room=ROOM, text=f"多少钱 {sender * 7919 % 10_007} {number}")
    if number % TOGETHER in (3, 11):
        return Like(id=command_id, room=ROOM, count=7)
    return Ping(id=command_id)


def join() -> bytes:
    return frame(Join(id="join", room=ROOM))


def replies(buffer: bytes) -> tuple[int, bytes]:
    """How many whole messages in these bytes of a server are replies, and the rest."""
    found = at = 0
    while len(buffer) - at >= 2:
        length, begin = buffer[at + 1], at + 2
        if length == 126:
            begin += 2
            length = int.from_bytes(buffer[at + 2 : begin], "big")
        elif length == 127:
            begin += 8
            length = int.from_bytes(buffer[at + 2 : begin], "big")
        if len(buffer) < begin + length:
            break
        found += buffer[at] & 0xF == Opcode.TEXT and not buffer.startswith(_FRAME, begin)
        at = begin + length
    return found, buffer[at:]
