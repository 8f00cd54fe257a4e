"""A frame becomes bytes at most once per variant."""

from __future__ import annotations

from typing import NamedTuple

from liveserver.edge.wire import frame_bytes
from protocol.codec import Codec
from protocol.frames import Frame


class Variant(NamedTuple):
    """Everybody of one variant gets the very same bytes."""

    codec: Codec
    deflate: bool


class Encoded:
    """A frame and its bytes, made when first asked for."""

    __slots__ = ("_bytes", "frame")

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._bytes: dict[Variant, bytes] = {}

    def bytes_for(self, variant: Variant) -> bytes:
        """The complete WebSocket frame for this variant."""
        made = self._bytes.get(variant)
        if made is None:
            payload = variant.codec.encode(self.frame)
            made = frame_bytes(payload, text=variant.codec.text, deflate=variant.deflate)
            self._bytes[variant] = made
        return made
