"""The server's time as seen from a client whose own clock is wrong."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocol.client.limits import CLOCK_WINDOW_MS
from protocol.client.server_clock import ServerClock


@given(
    offset_ms=st.integers(-(10**12), 10**12), delays=st.lists(st.integers(0, 60_000), min_size=1, max_size=50)
)
def test_the_least_delayed_sample_is_kept(offset_ms: int, delays: list[int]) -> None:
    clock = ServerClock()
    for at_ms, delay_ms in enumerate(delays):
        clock.sample(at_ms + offset_ms - delay_ms, at_ms)
    assert clock.offset_ms == offset_ms - min(delays)
    assert clock.server_ms(1_000) == 1_000 + offset_ms - min(delays)


def test_before_the_first_message_nothing_is_known() -> None:
    assert ServerClock().offset_ms is None
    assert ServerClock().server_ms(5) is None


def test_a_clock_that_drifts_is_followed() -> None:
    """What was true two windows ago is forgotten; what was true one window ago is not."""
    clock = ServerClock()
    clock.sample(10_000, 0)
    clock.sample(CLOCK_WINDOW_MS + 7_000, CLOCK_WINDOW_MS)
    assert clock.offset_ms == 10_000
    clock.sample(2 * CLOCK_WINDOW_MS + 6_000, 2 * CLOCK_WINDOW_MS)
    assert clock.offset_ms == 7_000
