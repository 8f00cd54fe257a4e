"""Where bars, whiskers and marks stand, in percent of the width. Pure."""

from __future__ import annotations

from typing import NamedTuple

from loadtest.report.model import Bars, Mark

HEADROOM = 1.08  # so that the longest bar doesn't end at the edge


class Drawn(NamedTuple):
    """All in percent; None: nothing to draw."""

    bar: float | None
    low: float | None = None
    high: float | None = None
    mark: float | None = None


def of_mark(mark: Mark) -> Drawn:
    return _drawn(_full([mark.value, mark.mark, mark.high]), mark.value, mark.low, mark.high, mark.mark)


def of_bars(bars: Bars) -> list[Drawn]:
    full = _full([bars.mark, *(value for bar in bars.bars for value in (bar.value, bar.high))])
    return [_drawn(full, bar.value, bar.low, bar.high, bars.mark) for bar in bars.bars]


def _full(values: list[float | None]) -> float:
    return max((value for value in values if value is not None), default=0.0) * HEADROOM


def _drawn(full: float, *values: float | None) -> Drawn:
    if full <= 0:
        return Drawn(None)
    return Drawn(
        *(None if value is None else round(min(100.0, max(0.0, 100 * value / full)), 2) for value in values)
    )
