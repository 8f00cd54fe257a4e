"""Reservation ids: opaque outside this file.

An id carries the sale, the user and the place among this user's reservations, so an order service that
kept nothing but the id can confirm it. ``~`` is in no id of ours and needs no escaping in a URL.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from liveserver.stock.limits import PLACES_MAX
from liveserver.stock.port import UnknownReservationError
from protocol.types import ID_PATTERN

SEPARATOR: Final = "~"
_ID: Final = re.compile(ID_PATTERN.removesuffix("$") + r"\Z")  # "$" would let a newline through


class ReservationRef(NamedTuple):
    sale_id: str
    user_id: str
    place: int


def is_id(text: str) -> bool:
    return _ID.match(text) is not None


def reservation_id(sale_id: str, user_id: str, place: int) -> str:
    return f"{sale_id}{SEPARATOR}{user_id}{SEPARATOR}{place}"


def parse_reservation_id(text: str) -> ReservationRef:
    """Raises ``UnknownReservationError`` for whatever ``reservation_id`` could not have made."""
    parts = text.split(SEPARATOR)
    if len(parts) == 3 and is_id(parts[0]) and is_id(parts[1]) and parts[2].isascii() and parts[2].isdigit():
        place = int(parts[2][:4])
        if place < PLACES_MAX and str(place) == parts[2]:
            return ReservationRef(parts[0], parts[1], place)
    raise UnknownReservationError(text[:200])
