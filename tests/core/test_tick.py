from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveserver.core.limits import TICK_AT_ONCE, TICK_PERIOD_MS
from liveserver.core.tick import Tick

from .make import NOW_MS, many


def broadcast(tick: Tick, now_ms: int, took_ms: int = 0) -> None:
    tick.started(now_ms)
    tick.finished(now_ms + took_ms)


def busy(now_ms: int) -> Tick:
    """One whose tokens are spent."""
    tick = Tick()
    for _ in range(TICK_AT_ONCE.burst):
        broadcast(tick, now_ms)
    return tick


def test_a_quiet_room_has_nothing_due() -> None:
    tick = Tick()
    assert tick.next_due(NOW_MS) is None
    assert not tick.is_wanted


def test_the_first_event_after_quiet_goes_at_once() -> None:
    tick = Tick()
    tick.wanted()
    assert tick.next_due(NOW_MS) == NOW_MS
    broadcast(tick, NOW_MS)
    assert tick.next_due(NOW_MS + 1) is None
    tick.wanted()
    assert tick.next_due(NOW_MS + 5_000) == NOW_MS + 5_000


def test_in_a_busy_room_what_comes_soon_after_waits_for_the_period_from_start_to_start() -> None:
    tick = busy(NOW_MS - 10)
    tick.wanted()
    broadcast(tick, NOW_MS, took_ms=20)
    tick.wanted()
    assert tick.next_due(NOW_MS + 21) == NOW_MS + 100
    assert tick.next_due(NOW_MS + 100) == NOW_MS + 100


def test_in_a_quiet_room_it_goes_at_once() -> None:
    tick, now_ms = Tick(), NOW_MS
    for _ in range(20):  # two close together, every half second
        for _ in range(2):
            tick.wanted()
            assert tick.next_due(now_ms) == now_ms
            broadcast(tick, now_ms, took_ms=5)
            now_ms += 10
        now_ms += 500


def test_of_a_flood_that_begins_a_few_go_at_once_and_a_busy_room_stays_busy() -> None:
    tick, starts, now_ms = Tick(), [], NOW_MS
    for _ in range(3_000):  # three seconds, a comment a millisecond
        tick.wanted()
        if tick.next_due(now_ms) == now_ms:
            starts.append(now_ms - NOW_MS)
            broadcast(tick, now_ms)
        now_ms += 1
    first, rest = starts[: TICK_AT_ONCE.burst], starts[TICK_AT_ONCE.burst :]
    assert first == [0, 1, 2]
    assert rest == [first[-1] + TICK_PERIOD_MS * nth for nth in range(1, 30)]


def test_what_comes_while_a_broadcast_runs_waits_for_its_end() -> None:
    tick = Tick()
    tick.wanted()
    tick.started(NOW_MS)
    tick.wanted()
    assert tick.next_due(NOW_MS + 500) is None
    tick.finished(NOW_MS + 500)
    assert tick.is_wanted
    assert tick.next_due(NOW_MS + 500) == NOW_MS + 1_000


def test_a_slow_broadcast_stretches_the_period_once() -> None:
    tick = busy(NOW_MS - 1)
    for took_ms, period_ms in ((0, 100), (50, 100), (51, 102), (0, 100), (300, 600)):
        tick.wanted()
        now_ms = tick.next_due(NOW_MS)
        assert now_ms is not None
        broadcast(tick, now_ms, took_ms)
        tick.wanted()
        assert tick.next_due(NOW_MS) == now_ms + period_ms


def test_a_slow_broadcast_makes_a_quiet_room_wait_too() -> None:
    tick = Tick()
    broadcast(tick, NOW_MS, took_ms=30)
    tick.wanted()
    assert tick.next_due(NOW_MS + 30) == NOW_MS + 60


def test_two_broadcasts_at_once_are_our_mistake() -> None:
    tick = Tick()
    with pytest.raises(AssertionError):
        tick.finished(NOW_MS)
    tick.started(NOW_MS)
    with pytest.raises(AssertionError):
        tick.started(NOW_MS)


@many
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1))
def test_never_busy_for_more_than_half_of_the_time(steps: list[tuple[int, int]]) -> None:
    tick, now_ms, busy_ms, starts = Tick(), NOW_MS, 0, [NOW_MS - 1_000]
    for quiet_ms, took_ms in steps:
        now_ms += quiet_ms
        tick.wanted()
        due_ms = tick.next_due(now_ms)
        assert due_ms is not None
        assert due_ms >= now_ms
        assert due_ms - starts[-1] >= 2 * busy_ms
        starts.append(due_ms)
        busy_ms = took_ms
        broadcast(tick, due_ms, took_ms)
        now_ms = due_ms + took_ms


def test_what_rides_along_waits_for_a_frame_and_goes_alone_if_none_comes() -> None:
    tick = Tick()
    tick.wanted_by(NOW_MS + 500)
    tick.wanted_by(NOW_MS + 700)
    assert tick.is_wanted
    assert tick.next_due(NOW_MS) == NOW_MS + 500
    assert tick.next_due(NOW_MS + 600) == NOW_MS + 600
    tick.wanted()
    assert tick.next_due(NOW_MS) == NOW_MS, "a comment goes at once, and takes it along"
    broadcast(tick, NOW_MS)
    assert not tick.is_wanted


def test_what_rides_along_keeps_to_the_period() -> None:
    tick = Tick()
    tick.wanted()
    broadcast(tick, NOW_MS, took_ms=200)
    tick.wanted_by(NOW_MS + 250)
    assert tick.next_due(NOW_MS + 201) == NOW_MS + 400


def test_what_comes_to_ride_along_while_a_broadcast_runs_is_not_forgotten() -> None:
    tick = Tick()
    tick.wanted()
    tick.started(NOW_MS)
    tick.wanted_by(NOW_MS + 500)
    assert tick.next_due(NOW_MS + 600) is None
    tick.finished(NOW_MS + 10)
    assert tick.next_due(NOW_MS + 10) == NOW_MS + 500
