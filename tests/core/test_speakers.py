from __future__ import annotations

from liveserver.core.speakers import Speakers

from .make import NOW_MS


def test_so_many_turns_a_second_and_each_knows_its_number() -> None:
    speakers = Speakers(3)
    assert [speakers.next("ann", NOW_MS + step * 100) for step in range(5)] == [0, 1, 2, None, None]
    assert speakers.next("bob", NOW_MS + 500) == 0
    assert speakers.wait_ms(NOW_MS + 999) == 1
    assert speakers.next("ann", NOW_MS + 999) is None
    assert speakers.next("ann", NOW_MS + 1_000) == 0


def test_beyond_the_limit_users_are_not_remembered() -> None:
    speakers = Speakers(1, limit=2)
    assert [speakers.next(user, NOW_MS) for user in "abcc"] == [0, 0, 0, 0]
    assert speakers.next("a", NOW_MS) is None
