from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from liveserver.core.counts import Counts
from protocol.frames import State

from .make import many


def test_only_what_changed_is_told() -> None:
    counts = Counts()
    assert counts.take() is None
    counts.set(viewers=3, likes=10, version=1)
    assert counts.take() == State(version=1, viewers=3, likes=10)
    assert counts.take() is None
    counts.set(viewers=3, likes=10, version=2)
    assert counts.take() is None
    counts.set(viewers=4, likes=10, version=3)
    assert counts.take() == State(version=3, viewers=4)
    counts.set(viewers=4, likes=11, version=4)
    assert counts.take() == State(version=4, likes=11)
    assert counts.all() == State(version=4, viewers=4, likes=11)


def test_an_empty_room_is_told_too() -> None:
    counts = Counts()
    counts.set(viewers=0, likes=0, version=1)
    assert counts.take() == State(version=1, viewers=0, likes=0)


def test_likes_never_go_back_even_at_a_newer_version() -> None:
    counts = Counts()
    counts.set(viewers=1, likes=10, version=1)
    counts.take()
    assert counts.set(viewers=1, likes=7, version=2)
    assert counts.take() is None
    assert counts.likes == 10


@many
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 20), st.booleans())))
def test_a_viewer_who_merges_what_is_told_sees_the_newest(steps: list[tuple[int, int, int, bool]]) -> None:
    counts = Counts()
    newest, best_likes, seen, seen_version = (0, 0), 0, {"viewers": 0, "likes": 0}, 0
    for viewers, likes, version, take in steps:
        assert counts.set(viewers, likes, version) == (version > newest[0])
        if version > newest[0]:
            newest, best_likes = (version, viewers), max(best_likes, likes)
        if take and (state := counts.take()):
            assert state.version > seen_version
            seen_version = state.version
            seen["viewers"] = seen["viewers"] if state.viewers is None else state.viewers
            seen["likes"] = seen["likes"] if state.likes is None else state.likes
        if take:
            assert seen == {"viewers": newest[1], "likes": best_likes}
