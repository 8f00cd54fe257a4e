from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveserver.core.history import CriticalHistory
from protocol.events import DanmakuDeleted, Envelope

from .make import NOW_MS, many


def event(offset: int) -> Envelope:
    return Envelope(offset=offset, at_ms=NOW_MS, event=DanmakuDeleted(danmaku_id=f"d{offset}"))


@many
@given(st.integers(1, 8), st.integers(0, 100), st.integers(0, 20), st.integers(-2, 130))
def test_all_after_an_offset_or_none(size: int, start: int, count: int, asked: int) -> None:
    history = CriticalHistory(size)
    history.reset(epoch=3, head=start)
    for offset in range(start + 1, start + count + 1):
        history.add(event(offset))
    oldest = start + max(0, count - size)
    found = history.after(asked)
    if oldest <= asked <= start + count:
        assert found == [event(offset) for offset in range(asked + 1, start + count + 1)]
    else:
        assert found is None


def test_a_gap_is_our_mistake() -> None:
    history = CriticalHistory()
    history.add(event(1))
    for offset in (1, 3):
        with pytest.raises(AssertionError):
            history.add(event(offset))


def test_another_epoch_begins_empty() -> None:
    history = CriticalHistory()
    history.add(event(1))
    history.reset(epoch=9, head=1)
    assert (history.epoch, history.head) == (9, 1)
    assert history.after(0) is None
    assert history.after(1) == []
