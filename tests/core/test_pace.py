from __future__ import annotations

import pytest

from liveserver.core.pace import BROADCAST_MS_MAX, Pace


def seconds(pace: Pace, count: int, *, took_ms: int = 5, captured: int = 100, paused: int = 0) -> list[int]:
    percents = []
    for _ in range(count):
        for _ in range(10):
            pace.broadcast(took_ms=took_ms, captured=captured, paused=paused)
        pace.look()
        percents.append(pace.percent)
    return percents


def test_all_is_shown_while_broadcasts_are_in_time_and_some_dont_read() -> None:
    assert seconds(Pace(), 5, took_ms=BROADCAST_MS_MAX, paused=25) == [100] * 5


@pytest.mark.parametrize("trouble", [{"took_ms": BROADCAST_MS_MAX + 1}, {"paused": 26}])
def test_halved_while_it_cannot_and_never_nothing(trouble: dict[str, int]) -> None:
    assert seconds(Pace(), 5, **trouble) == [50, 25, 12, 12, 12]


def test_it_comes_back_by_itself_a_little_every_second() -> None:
    pace = Pace()
    seconds(pace, 2, paused=60)
    assert seconds(pace, 8) == [37, 50, 62, 75, 87, 100, 100, 100]


def test_a_room_that_says_nothing_comes_back_too() -> None:
    pace = Pace()
    seconds(pace, 1, paused=60)
    for _ in range(4):
        pace.look()
    assert pace.percent == 100


def test_one_bad_broadcast_in_a_second_counts_once() -> None:
    pace = Pace()
    pace.broadcast(took_ms=10_000, captured=100, paused=0)
    assert seconds(pace, 2) == [50, 62]
