"""Delays: kept as counts while they come, told as HDR histograms. Pure.

Recording one is an addition in a dictionary; a histogram of hdrhistogram is made when the report is. So a
broadcast to five thousand costs little more than five thousand additions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from hdrh.histogram import HdrHistogram

STEP_US: Final = 50
DELAY_US_MAX: Final = 120_000_000
OVER_TIME_STEP_MS: Final = 1
SECONDS_MAX: Final = 24 * 3_600


class Delays:
    """Of one kind."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps: dict[int, int] = {}

    def record(self, delay_us: int) -> None:
        step = (delay_us if delay_us < DELAY_US_MAX else DELAY_US_MAX) // STEP_US
        steps = self._steps
        steps[step] = steps.get(step, 0) + 1

    def encoded(self) -> str:
        """An HDR histogram in microseconds, in hdrhistogram's own text form."""
        histogram = empty()
        for step, count in self._steps.items():
            histogram.record_value(max(step * STEP_US + STEP_US // 2, 1), count)
        text: bytes = histogram.encode()
        return text.decode()


def empty() -> HdrHistogram:
    return HdrHistogram(1, DELAY_US_MAX, 3)


def merged(encoded: Iterable[str]) -> HdrHistogram:
    """Of several processes, one."""
    histogram = empty()
    for each in encoded:
        histogram.decode_and_add(each.encode())
    return histogram


def ms_at(histogram: HdrHistogram, percentile: float) -> float | None:
    """Milliseconds; None if nothing was recorded."""
    if not histogram.get_total_count():
        return None
    return round(float(histogram.get_value_at_percentile(percentile)) / 1_000, 2)


class OverTime:
    """Delays by the second in which they ended, to draw them: milliseconds, coarse."""

    def __init__(self) -> None:
        self._seconds: dict[int, Counter[int]] = {}

    def record(self, second: int, delay_us: int) -> None:
        counts = self._seconds.get(second)
        if counts is None:
            if len(self._seconds) >= SECONDS_MAX:
                return
            counts = self._seconds[second] = Counter()
        counts[delay_us // 1_000] += 1

    def plain(self) -> dict[str, dict[str, int]]:
        return {
            str(second): {str(ms): count for ms, count in counts.items()}
            for second, counts in self._seconds.items()
        }


def percentile_of(counts: Counter[int], percentile: float) -> float:
    """Of counts by value; there is at least one."""
    wanted = max(1, -(-sum(counts.values()) * percentile // 100))
    seen = 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= wanted:
            return float(value)
    raise AssertionError("percentile of nothing")
