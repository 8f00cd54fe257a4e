from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveserver.core.conservation import Conservation
from protocol.frames import DanmakuBlock
from protocol.types import Gift

from .make import comment, many

BLOCK = DanmakuBlock(
    offered=10,
    merged=4,
    shed=3,
    danmaku=[comment("d1", "a"), comment("d2", "b")],
    gifts=[Gift("u", "U", "rose", 1)],
)


def a_night() -> Conservation:
    law = Conservation()
    law.danmaku_broadcast(BLOCK, captured=100, written=90, paused=7, closed=3)
    law.state_broadcast(5, 2, captured=100, written=90, paused=7, closed=3)
    law.critical_advanced(40, written=30, replayed=6, covered=4)
    return law


def test_the_terms() -> None:
    law = a_night()
    assert (law.danmaku_offered, law.danmaku_merged, law.danmaku_sampled) == (1_000, 400, 300)
    assert (law.danmaku_written, law.danmaku_paused, law.danmaku_closed) == (270, 21, 9)
    assert (law.state_updates, law.state_superseded) == (500, 300)
    assert (law.state_written, law.state_paused, law.state_closed) == (180, 14, 6)
    assert law.holds()


BROKEN: list[Callable[[Conservation], None]] = [
    lambda law: law.danmaku_broadcast(BLOCK, captured=10, written=9, paused=0, closed=0),
    lambda law: law.danmaku_broadcast(BLOCK, captured=10, written=10, paused=1, closed=0),
    lambda law: law.danmaku_broadcast(
        DanmakuBlock(offered=2, danmaku=[comment("d", "a")]), captured=1, written=1, paused=0, closed=0
    ),
    lambda law: law.state_broadcast(5, 2, captured=10, written=8, paused=1, closed=0),
    lambda law: law.state_broadcast(5, 2, captured=10, written=9, paused=1, closed=1),
    lambda law: law.critical_advanced(3, written=2),
    lambda law: law.critical_advanced(3, written=2, replayed=2),
    lambda law: law.critical_advanced(3, covered=4),
]


@pytest.mark.parametrize("mistake", BROKEN)
def test_one_session_forgotten_or_counted_twice_breaks_the_law(
    mistake: Callable[[Conservation], None],
) -> None:
    law = a_night()
    mistake(law)
    assert not law.holds()


def test_mistakes_in_different_lanes_do_not_make_up_for_each_other() -> None:
    law = a_night()
    law.danmaku_written += 1
    law.state_written -= 1
    assert not law.holds()
    assert not law.danmaku_holds()
    assert not law.state_holds()
    assert law.critical_holds()


def test_the_advance_of_those_still_there_may_be_told_apart() -> None:
    law = Conservation()
    law.critical_advanced(written=5, replayed=2)
    assert not law.holds()
    assert law.holds(advance_of_open_sessions=7)
    law.critical_advanced(4)  # one of them left
    assert law.holds(advance_of_open_sessions=3)


sums = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)))


@many
@given(sums)
def test_it_holds_whatever_is_told_rightly(told: list[tuple[int, int, int, int]]) -> None:
    law = Conservation()
    for written, paused, closed, kept in told:
        captured = written + paused + closed
        law.danmaku_broadcast(BLOCK, captured, written, paused, closed)
        law.state_broadcast(kept + paused, kept, captured, written, paused, closed)
        law.critical_advanced(captured, written=written, replayed=paused, covered=closed)
        assert law.holds()
