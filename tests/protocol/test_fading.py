"""The set that forgets, against the plainest model of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocol.client.fading import FadingSet

steps = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 40)), max_size=40)


@given(steps=steps, most=st.integers(1, 4))
def test_it_holds_the_newest_for_as_long_as_promised(steps: list[tuple[str, int]], most: int) -> None:
    fading, added, now_ms = FadingSet(100, most), dict[str, float](), 0.0
    for key, passed_ms in steps:
        now_ms += passed_ms
        fading.add(key, now_ms)
        added.pop(key, None)
        added[key] = now_ms
        newest = list(added)[-most:]
        for name in "abcdef":
            if name in newest and now_ms < added[name] + 100:
                assert fading.holds(name, now_ms)
            elif name not in newest or now_ms >= added[name] + 100:
                assert not fading.holds(name, now_ms)
                added.pop(name, None)
        assert len(fading) <= most
