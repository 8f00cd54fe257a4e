from __future__ import annotations

from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveserver.core.histogram import Histogram

BOUNDS = (1.0, 2.0, 5.0)


@given(st.lists(st.floats(min_value=0, max_value=10)))
def test_as_many_are_below_a_bound_as_a_sorted_list_says(values: list[float]) -> None:
    histogram = Histogram(BOUNDS)
    for value in values:
        histogram.add(value)
    ordered = sorted(values)
    assert histogram.count == len(values)
    assert histogram.total == pytest.approx(sum(values))
    assert histogram.cumulative() == [
        *((bound, bisect_right(ordered, bound)) for bound in BOUNDS),
        (float("inf"), len(values)),
    ]


@pytest.mark.parametrize("bounds", [(), (2.0, 1.0), (1.0, 1.0)])
def test_bounds_ascend(bounds: tuple[float, ...]) -> None:
    with pytest.raises(AssertionError):
        Histogram(bounds)
