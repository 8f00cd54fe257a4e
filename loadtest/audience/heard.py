"""What is heard is decoded once: a frame is the same bytes for everyone of its variant.

Knows the codecs. A payload is remembered for as long as others may still receive it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final, NamedTuple

import msgpack
import orjson

from protocol.codec import Codec, Downward
from protocol.frames import Frame

REMEMBERED_MAX: Final = 512  # Guess: a stalled viewer hears frames this old again


class Heard(NamedTuple):
    said: Downward
    plain: Any  # JSON-able: what stood on the wire
    sent_ms: list[float]  # when the comments in it were sent, those of this audience
    fresh: bool  # nobody has heard it before


class Hearing:
    def __init__(self) -> None:
        self._remembered: OrderedDict[bytes, Heard] = OrderedDict()

    def hear(self, codec: Codec, payload: bytes) -> Heard:
        """Raises ``NotOurs``."""
        known = self._remembered.get(payload)
        if known is not None:
            return known
        said = codec.decode_downward(payload)
        plain = orjson.Fragment(payload) if codec.text else msgpack.unpackb(payload, strict_map_key=False)
        heard = Heard(said, plain, [], True)
        if isinstance(said, Frame):
            self._remembered[payload] = heard._replace(fresh=False)
            if len(self._remembered) > REMEMBERED_MAX:
                self._remembered.popitem(last=False)
        return heard
