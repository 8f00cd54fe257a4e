"""What was asked of one part of an arm: how long the answers took, and how many didn't come in time.

What became of a command without an answer is unknown. Among the times it is with as long as it was waited
for, which is the least it took: left out, a server that answers nothing would be the fastest.
"""

from __future__ import annotations

import statistics
from typing import Final

import msgspec

from loadtest.bench.stock.buyer import ANSWER_S_MAX

UNKNOWN_MS: Final = 1e3 * ANSWER_S_MAX


class NotMeasuredError(Exception):
    """Something the figures need did not come; says what."""


class Took(msgspec.Struct):
    ms: list[float] = []
    unknown: int = 0  # no answer within ``UNKNOWN_MS``
    undecided: int = 0  # purchases answered ``pending`` or ``unavailable``; their times are in ``ms``

    def percentile(self, percent: int) -> float:
        """In milliseconds. ``NotMeasuredError`` where nothing was asked."""
        values = [*self.ms, *[UNKNOWN_MS] * self.unknown]
        if not values:
            raise NotMeasuredError("nothing was asked in the time of one arm: the probes came too late")
        if len(values) == 1:
            return values[0]
        return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
