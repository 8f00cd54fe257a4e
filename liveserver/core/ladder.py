"""What is given up when a process can't keep up, and in which order. A table, and the rule how it is climbed.

Judged by the event loop's lag, the median of a second: a single long pause says nothing, a lasting lag means
that everything is late. Up a rung after ``WORSE_LOOKS`` seconds in a row beyond the next rung's lag; down one
after ``BETTER_LOOKS`` in a row below half of its own. Critical events, state and replies stand on no rung:
they are never given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

WORSE_LOOKS: Final = 2
BETTER_LOOKS: Final = 3


class Rung(NamedTuple):
    name: str
    lag_ms: int  # from which on
    danmaku_percent: int  # of each room's share that is shown
    admits: bool  # new connections


RUNGS: Final = (
    Rung("full", 0, 100, True),
    Rung("fewer", 20, 50, True),
    Rung("few", 60, 20, True),
    Rung("refusing", 200, 20, False),
)
"""Guess: the lags; a loop that does well stays below 5 ms."""


class Ladder:
    """``look`` once a second."""

    def __init__(self) -> None:
        self.at = 0
        self.lag_ms = 0.0
        self._worse = self._better = 0

    @property
    def rung(self) -> Rung:
        return RUNGS[self.at]

    def look(self, lags_ms: Sequence[float]) -> Rung:
        """The lags seen in the last second."""
        lag_ms = self.lag_ms = median(lags_ms)
        worse = self.at + 1 < len(RUNGS) and lag_ms >= RUNGS[self.at + 1].lag_ms
        better = self.at > 0 and lag_ms < self.rung.lag_ms / 2
        self._worse = self._worse + 1 if worse else 0
        self._better = self._better + 1 if better else 0
        if self._worse >= WORSE_LOOKS:
            self.at += 1
            self._worse = 0
        elif self._better >= BETTER_LOOKS:
            self.at -= 1
            self._better = 0
        return self.rung
