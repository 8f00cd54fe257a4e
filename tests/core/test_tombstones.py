from __future__ import annotations

from liveserver.core.tombstones import Tombstones


def test_past_the_limit_the_oldest_falls() -> None:
    stones = Tombstones(stand_ms=10, limit=2)
    for name in ("a", "b", "c"):
        stones.bury(name)
    assert [name in stones for name in ("a", "b", "c")] == [False, True, True]
    assert len(stones) == 2


def test_burying_again_begins_again() -> None:
    stones = Tombstones(stand_ms=10)
    stones.bury("a")
    stones.advance(0)
    stones.bury("b")
    stones.advance(5)
    stones.bury("a")
    stones.advance(9)
    stones.advance(15)
    assert ("a" in stones, "b" in stones) == (True, False)
    stones.advance(19)
    assert len(stones) == 0


def test_a_lifted_one_can_be_dated_no_more() -> None:
    stones = Tombstones()
    stones.bury("a")
    stones.lift("a")
    stones.advance(5)
    assert "a" not in stones
