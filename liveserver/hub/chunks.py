"""What a process tells the others of a room, once a tick: its danmaku and the stock it has learned.

Chunks are numbered per (process, boot, room), so a receiver sees what the relay lost; each carries the
head as the sender knows it, so that even a lost last event is noticed.
"""

from __future__ import annotations

import msgspec

from protocol.frames import DanmakuBlock
from protocol.replies import Notice
from protocol.types import Stock

NOTICES_PER_CHUNK_MAX = 1_000


class Personal(msgspec.Struct, frozen=True, array_like=True):
    """A notice and whose it is: whichever process has the user delivers it."""

    user_id: str
    notice: Notice


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    process: str  # of the sender, new at every boot
    n: int
    epoch: int
    head: int
    block: DanmakuBlock | None = None
    stock: list[Stock] = []
    notices: list[Personal] = []


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Chunk)


def pack(chunk: Chunk) -> bytes:
    return _encoder.encode(chunk)


def unpack(packed: bytes) -> Chunk | None:
    """None for what an older or newer version may have sent: a chunk can be done without."""
    try:
        return _decoder.decode(packed)
    except msgspec.DecodeError:
        return None


class Numbering:
    """Counts what the relay lost, from the gaps in each sender's numbers. Senders are forgotten after a
    while, so a room that lives for weeks doesn't remember every process that ever was."""

    SENDERS_MAX = 1_024

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self.lost = 0

    def arrived(self, process: str, n: int) -> None:
        last = self._last.pop(process, None)
        if last is not None and n > last + 1:
            self.lost += n - last - 1
        self._last[process] = n
        if len(self._last) > self.SENDERS_MAX:
            del self._last[next(iter(self._last))]
