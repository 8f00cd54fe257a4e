"""Which of the lines that wait are shown: as many as the share allows, by priority, then turn, then lot.

The share is this process's part of the room's budget, in thousandths of a line per second (``core.shares``);
it is tightened, by a percentage, while this process can't keep up. A second's worth may be saved up.
"""

from __future__ import annotations

import heapq
import random
from typing import Final

from .rate import Bucket
from .shares import THOUSANDTHS
from .waiting import Waiting

PLACES_MIN: Final = 64


class Budget:
    def __init__(self, per_s: int, rng: random.Random) -> None:
        self._rng = rng
        self._share = per_s * THOUSANDTHS
        self._percent = 100
        self._bucket = Bucket(self._share, self._share)
        self.wanted = 0  # lines that asked, since the start

    @property
    def rate(self) -> int:
        """Lines a second, in thousandths."""
        return self._share * self._percent // 100

    def set_share(self, thousandths_per_s: int) -> None:
        if thousandths_per_s != self._share:
            self._share = thousandths_per_s
            self._retune()

    def tighten(self, percent: int) -> None:
        """Of the share; 100 is all of it."""
        assert 0 < percent <= 100, percent
        if percent != self._percent:
            self._percent = percent
            self._retune()

    def _retune(self) -> None:
        rate = self.rate
        self._bucket.retune(rate, max(rate, THOUSANDTHS) if rate else 0)  # a whole line must fit in

    @property
    def places(self) -> int:
        """How many lines are worth keeping until the tick: more are never shown at once."""
        return max(PLACES_MIN, 2 * self._bucket.burst // THOUSANDTHS)

    def asked(self) -> float:
        """One more line asks; its lot."""
        self.wanted += 1
        return self._rng.random()

    def choose(self, asking: list[Waiting], now_ms: int) -> list[Waiting]:
        room_for = self._bucket.whole(now_ms) // THOUSANDTHS
        chosen = (
            asking if len(asking) <= room_for else heapq.nsmallest(room_for, asking, key=lambda one: one.turn)
        )
        self._bucket.take(now_ms, len(chosen) * THOUSANDTHS)
        return chosen
