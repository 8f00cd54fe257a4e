"""What happens in a room, and when: the same for every server. Pure."""

from __future__ import annotations

import random
from enum import Enum
from typing import Final, NamedTuple


class Kind(Enum):
    COMMENT = "danmaku"
    LIKES = "likes"
    ENTRY = "entries"
    STOCK = "stock changes"


BUSY: Final = {Kind.COMMENT: 60, Kind.LIKES: 20, Kind.ENTRY: 10, Kind.STOCK: 10}  # a second
QUIET: Final = {Kind.COMMENT: 2, Kind.ENTRY: 1}


class Happening(NamedTuple):
    at_s: float  # since the beginning
    kind: Kind
    number: int  # of its kind


def plan(a_second: dict[Kind, int], seconds: int, seed: int) -> list[Happening]:
    """In each second exactly so many of each kind, at times drawn evenly."""
    draw = random.Random(seed)
    kinds = [kind for kind, count in a_second.items() for _ in range(count)]
    times = [(second + draw.random(), kind) for second in range(seconds) for kind in kinds]
    times.sort(key=lambda one: one[0])
    count = dict.fromkeys(a_second, 0)
    planned = []
    for at_s, kind in times:
        planned.append(Happening(at_s, kind, count[kind]))
        count[kind] += 1
    return planned
