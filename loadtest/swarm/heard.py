"""What is heard is decoded once: a broadcast is the same bytes for all of its variant.

One ``Ear`` per codec and deflate, for all viewers of a process. It inflates and decodes, keeps what a viewer
needs of a frame in one small ``Heard``, and remembers it by the frame's bytes. What can be held against a
frame by itself is held there, once:

    block    a danmaku block adds up: offered = shown + merged + shed
    offsets  the critical events of a frame are consecutive
    truth    the same (epoch, offset) is the same event, the same (epoch, seq) the same stock, to everybody
"""

from __future__ import annotations

import re
import zlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import msgspec

from loadtest.swarm.frames import MESSAGE_BYTES_MAX, TEXT, Message
from protocol.codec import Codec, Downward
from protocol.errors import NotOurs
from protocol.frames import Frame
from protocol.types import Stock

REMEMBERED_MAX: Final = 1_024  # Guess: who reads slowly hears frames this old
TRUTHS_MAX: Final = 20_000
_TAIL: Final = b"\x00\x00\xff\xff"
_STAMP: Final = re.compile(r" ~([0-9a-z]+)$")


def stamped(text: str, at_us: int) -> str:
    """A comment that says when it was sent (``CLOCK_MONOTONIC``, which all processes of a machine share)."""
    return f"{text} ~{_base36(at_us)}"


class Heard:
    """One message, as its hearers need it. ``stamps_us``: when what it carries was sent, critical events
    first."""

    __slots__ = (
        "comment_stamps_us",
        "critical_stamps_us",
        "epoch",
        "first_offset",
        "frame_bytes",
        "head",
        "last_offset",
        "n",
        "room",
        "said",
        "snapshot_offset",
        "stock",
        "version",
    )

    def __init__(self, said: Downward) -> None:
        self.said = said
        self.frame_bytes = 0
        self.room = ""  # empty: no frame
        self.n = self.epoch = self.head = self.version = 0
        self.first_offset = self.last_offset = 0
        self.snapshot_offset = -1
        self.stock: tuple[tuple[str, tuple[int, int]], ...] = ()
        self.critical_stamps_us: list[int] = []
        self.comment_stamps_us: list[int] = []


class Truths:
    """What was said of one place, whoever said it. ``broken(law, detail)`` is called where two differ."""

    def __init__(self, broken: Callable[[str, str], None]) -> None:
        self.broken = broken
        self._known: OrderedDict[tuple[str, str, int, int], object] = OrderedDict()

    def say(self, what: str, of: str, epoch: int, place: int, value: object) -> None:
        key = (what, of, epoch, place)
        known = self._known.setdefault(key, value)
        if known is not value and known != value:
            self.broken("truth", f"{what} {of} at {epoch}-{place} is {known!r} and {value!r}"[:400])
        if len(self._known) > TRUTHS_MAX:
            self._known.popitem(last=False)


class Ear:
    def __init__(self, codec: Codec, deflate: bool, truths: Truths) -> None:
        self.codec = codec
        self.known: OrderedDict[bytes, Heard] = OrderedDict()
        self.decoded = 0
        self._deflate = deflate
        self._truths = truths
        decoder = msgspec.json.Decoder if codec.text else msgspec.msgpack.Decoder
        self._decode: Callable[[bytes], Any] = decoder(Downward).decode

    def hear(self, message: Message) -> Heard:
        """Raises ``NotOurs`` for what is no message of the subprotocol."""
        heard = self.known.get(message.frame) if message.frame else None
        if heard is not None:
            return heard
        if (message.opcode == TEXT) != self.codec.text:
            raise NotOurs(f"a message of opcode {message.opcode} on {self.codec.subprotocol}")
        payload = self._inflated(message.payload) if message.compressed else message.payload
        try:
            said: Downward = self._decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise NotOurs(f"not {self.codec.subprotocol}: {error}") from None
        self.decoded += 1
        heard = Heard(said)
        if isinstance(said, Frame):
            self._read(heard, said)
            heard.frame_bytes = len(message.frame)
            if message.frame:
                self.known[message.frame] = heard
                if len(self.known) > REMEMBERED_MAX:
                    self.known.popitem(last=False)
        return heard

    # -- inside ----------------------------------------------------------------------------------------

    def _inflated(self, payload: bytes) -> bytes:
        if not self._deflate:
            raise NotOurs("a compressed message, and nobody agreed to that")
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            plain = inflater.decompress(payload + _TAIL, MESSAGE_BYTES_MAX)
        except zlib.error as error:
            raise NotOurs(f"a compressed message that can't be inflated: {error}") from None
        if inflater.unconsumed_tail:
            raise NotOurs(f"a message of more than {MESSAGE_BYTES_MAX} bytes, inflated")
        return plain

    def _read(self, heard: Heard, frame: Frame) -> None:
        heard.room, heard.n, heard.epoch, heard.head = frame.room, frame.n, frame.epoch, frame.head
        stocks: list[Stock] = []
        if frame.snapshot is not None:
            heard.snapshot_offset = frame.snapshot.offset
            stocks += [sale.stock for sale in frame.snapshot.sales]
        if frame.critical:
            self._read_critical(heard, frame, stocks)
        if frame.state is not None:
            stocks += frame.state.stock
            heard.version = frame.state.version
        for stock in stocks:
            self._truths.say("stock", stock.sale_id, stock.epoch, stock.seq, stock.available)
        heard.stock = tuple((stock.sale_id, (stock.epoch, stock.seq)) for stock in stocks)
        block = frame.danmaku
        if block is not None:
            shown = len(block.danmaku) + len(block.gifts)
            if block.offered != shown + block.merged + block.shed:
                said = f"offered {block.offered}, shown {shown}, merged {block.merged}, shed {block.shed}"
                self._truths.broken("block", f"{frame.room} n {frame.n}: {said}")
            for each in block.danmaku:
                found = _STAMP.search(each.text)
                if found is not None:
                    heard.comment_stamps_us.append(int(found[1], 36))

    def _read_critical(self, heard: Heard, frame: Frame, stocks: list[Stock]) -> None:
        offsets = [envelope.offset for envelope in frame.critical]
        heard.first_offset, heard.last_offset = offsets[0], offsets[-1]
        if offsets != list(range(offsets[0], offsets[0] + len(offsets))):
            self._truths.broken("offsets", f"{frame.room} {frame.epoch}: {offsets[:20]}")
        for envelope in frame.critical:
            event = envelope.event
            self._truths.say("event", frame.room, frame.epoch, envelope.offset, envelope)
            if envelope.stream_time_ms is not None:
                heard.critical_stamps_us.append(envelope.stream_time_ms)
            stock = getattr(event, "stock", None) or getattr(getattr(event, "sale", None), "stock", None)
            if stock is not None:
                stocks.append(stock)


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"
