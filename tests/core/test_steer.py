"""Steering, with both clocks in the test's hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from liveserver.core.steer import DRIFT, RESOLUTION_MS, Steering


def test_before_any_sample_it_goes_by_the_difference_given() -> None:
    assert Steering(1_000.0).now_ms(5.0) == 1_005


def test_a_sample_sets_it_within_half_its_delay() -> None:
    steering = Steering(0.0)
    steering.observe(sent_ms=100, received_ms=140, server_ms=9_000)
    assert abs(steering.now_ms(140) - 9_020) <= 1


def test_the_least_delayed_sample_is_kept() -> None:
    steering = Steering(0.0)
    steering.observe(100, 102, 10_101)  # the truth is local + 10,000
    steering.observe(200, 400, 10_390)  # late on the way out: its middle would be 90 off
    assert abs(steering.now_ms(400) - 10_400) <= 2
    steering.observe(500, 501, 10_500)  # better still
    assert abs(steering.difference_ms - 10_000) <= 1


def test_an_old_sample_gives_way_to_a_worse_but_fresh_one() -> None:
    steering = Steering(0.0)
    steering.observe(0, 0, 10_000)
    age_ms = 200 / DRIFT  # after which the clocks may have drifted 200 ms apart
    steering.observe(
        age_ms - 20, age_ms, int(age_ms) - 10 + 10_008
    )  # it is 8 ms by now, within doubt of both
    assert abs(steering.difference_ms - 10_008) <= 1


def test_a_server_clock_that_was_set_is_believed_at_once_forward() -> None:
    steering = Steering(0.0)
    steering.observe(0, 1, 10_000)
    steering.observe(1_000, 1_050, 71_000)  # a minute on, and a worse sample than the first
    assert abs(steering.now_ms(1_050) - 71_025) <= 1


def test_a_server_clock_set_back_slows_ours_to_half_and_never_turns_it() -> None:
    steering = Steering(0.0)
    steering.observe(0, 1, 10_000)
    before = steering.now_ms(100)
    steering.observe(100, 101, 10_000)  # 100 ms back
    assert steering.now_ms(101) >= before
    assert abs(steering.now_ms(141) - (before + 20)) <= 1
    assert abs(steering.now_ms(400) - 10_300) <= 1  # caught up, and right again


def test_an_impossible_sample_is_refused() -> None:
    steering = Steering(7.0)
    steering.observe(sent_ms=10, received_ms=9, server_ms=50_000)
    assert steering.difference_ms == 7.0


@given(
    st.lists(st.tuples(st.floats(0, 500), st.floats(0, 300), st.floats(0, 300), st.booleans()), max_size=60),
    st.floats(1e3, 1e12),
)
def test_it_never_goes_back_and_stays_within_the_least_delay(
    steps: list[tuple[float, float, float, bool]], difference_ms: float
) -> None:
    """Honest samples from a server that runs exactly with us, any delays each way."""
    steering = Steering(difference_ms + 5.0)
    local_ms, told, delays = 0.0, 0, []
    for pause_ms, out_ms, back_ms, ask in steps:
        local_ms += pause_ms
        server_ms = int(local_ms + out_ms + difference_ms)
        sent_ms, local_ms = local_ms, local_ms + out_ms + back_ms
        steering.observe(sent_ms, local_ms, server_ms)
        delays.append(out_ms + back_ms)
        allowed_ms = min(delays) / 2 + RESOLUTION_MS + DRIFT * local_ms * 2 + 1e-3
        assert abs(steering.difference_ms - difference_ms) <= allowed_ms
        if ask:
            now = steering.now_ms(local_ms)
            assert now >= told
            told = now
