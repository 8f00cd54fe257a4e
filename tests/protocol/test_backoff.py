"""When a client comes back: full jitter, bounded, inside the server's window."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocol.client.backoff import delay_ms
from protocol.client.limits import BACKOFF_BASE_MS, BACKOFF_CAP_MS, RETRY_MS_MAX

draws = st.floats(0, 1, exclude_max=True)
failures = st.integers(0, 10_000)


@given(failures=failures, draw=draws)
def test_without_a_window_it_is_full_jitter(failures: int, draw: float) -> None:
    most = min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2**failures)
    assert delay_ms(failures, lambda: draw) == draw * most


@given(draw=draws, retry_ms=st.integers(0, RETRY_MS_MAX), spread_ms=st.integers(1, RETRY_MS_MAX))
def test_the_first_attempt_falls_inside_the_window(draw: float, retry_ms: int, spread_ms: int) -> None:
    delay = delay_ms(0, lambda: draw, retry_ms=retry_ms, spread_ms=spread_ms)
    assert retry_ms <= delay <= retry_ms + spread_ms
    assert delay == retry_ms + draw * spread_ms


@given(failures=failures, draw=draws, retry_ms=st.integers(1, 10**12), spread_ms=st.integers(0, 10**12))
def test_never_before_the_window_nor_beyond_all_bounds(
    failures: int, draw: float, retry_ms: int, spread_ms: int
) -> None:
    delay = delay_ms(failures, lambda: draw, retry_ms=retry_ms, spread_ms=spread_ms)
    assert min(retry_ms, RETRY_MS_MAX) <= delay <= 2 * RETRY_MS_MAX


def test_a_window_that_fails_grows_like_any_other() -> None:
    delays = [delay_ms(k, lambda: 0.5, retry_ms=1_000, spread_ms=100) for k in range(7)]
    assert delays == [1_050, 2_000, 3_000, 5_000, 9_000, 16_000, 16_000]


@given(retry_ms=st.integers(-(10**9), 0))
def test_a_senseless_window_is_none(retry_ms: int) -> None:
    assert delay_ms(0, lambda: 0.5, retry_ms=retry_ms, spread_ms=-5) == BACKOFF_BASE_MS / 2
