"""What is given up, in order; on lags as they come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from liveserver.core.ladder import BETTER_LOOKS, RUNGS, WORSE_LOOKS, Ladder

from .make import many


def looks(ladder: Ladder, lag_ms: float, count: int) -> list[str]:
    return [ladder.look([lag_ms] * 20).name for _ in range(count)]


def test_more_is_given_up_the_worse_it_is_and_connections_last() -> None:
    assert [rung.lag_ms for rung in RUNGS] == sorted({rung.lag_ms for rung in RUNGS})
    percents = [rung.danmaku_percent for rung in RUNGS]
    assert percents == sorted(percents, reverse=True) and min(percents) > 0
    assert [rung.admits for rung in RUNGS] == [True, True, True, False]


def test_a_lasting_lag_is_climbed_one_rung_at_a_time() -> None:
    assert WORSE_LOOKS == 2
    assert looks(Ladder(), 500, 7) == ["full", "fewer", "fewer", "few", "few", "refusing", "refusing"]


def test_no_further_than_the_lag_demands() -> None:
    ladder = Ladder()
    assert looks(ladder, 25, 10)[-1] == "fewer"
    assert looks(ladder, 100, 10)[-1] == "few"


def test_one_bad_second_or_one_long_pause_in_each_is_nothing() -> None:
    ladder = Ladder()
    for _ in range(10):
        ladder.look([500.0] * 20)
        ladder.look([1.0] * 20)
    for _ in range(10):
        ladder.look([5_000.0] + [1.0] * 19)
    assert ladder.rung.name == "full"


def test_down_again_only_when_it_is_well_below_and_lastingly() -> None:
    ladder = Ladder()
    looks(ladder, 500, 6)
    assert BETTER_LOOKS == 3
    assert looks(ladder, 120, 10)[-1] == "refusing", "better, but it would soon be back"
    assert looks(ladder, 3, 9) == ["refusing"] * 2 + ["few"] * 3 + ["fewer"] * 3 + ["full"]


@many
@given(st.lists(st.sampled_from([0.0, 5.0, 15.0, 25.0, 70.0, 150.0, 250.0]), max_size=60))
def test_a_rung_at_a_time_and_always_back(lags: list[float]) -> None:
    ladder = Ladder()
    before = 0
    for lag_ms in lags:
        ladder.look([lag_ms])
        assert abs(ladder.at - before) <= 1
        assert 0 <= ladder.at < len(RUNGS)
        before = ladder.at
    looks(ladder, 0, BETTER_LOOKS * len(RUNGS))
    assert ladder.rung.name == "full"
