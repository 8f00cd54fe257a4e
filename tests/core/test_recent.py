from __future__ import annotations

from liveserver.core.recent import RecentDanmaku

from .make import comment


def test_the_last_ones_oldest_first() -> None:
    recent = RecentDanmaku(size=3)
    recent.extend(comment(f"d{number}", "text") for number in range(5))
    assert [danmaku.danmaku_id for danmaku in recent.all()] == ["d2", "d3", "d4"]


def test_what_a_moderator_takes_away_is_gone_and_the_bound_stays() -> None:
    recent = RecentDanmaku(size=3)
    recent.extend([comment("d1", "x", "rude"), comment("d2", "y", "ann"), comment("d3", "z", "rude")])
    recent.purge("d2")
    assert [danmaku.danmaku_id for danmaku in recent.all()] == ["d1", "d3"]
    recent.purge_user("rude")
    assert recent.all() == []
    recent.extend(comment(f"n{number}", "text") for number in range(9))
    assert len(recent.all()) == 3


def test_what_is_handed_out_is_a_copy() -> None:
    recent = RecentDanmaku()
    recent.extend([comment("d1", "x")])
    recent.all().clear()
    assert len(recent.all()) == 1
