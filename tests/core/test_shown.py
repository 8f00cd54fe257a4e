from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from liveserver.core.limits import ALIASES_MAX
from liveserver.core.shown import ShownTexts

from .make import comment, many


def test_past_the_limit_the_oldest_is_forgotten_with_its_aliases() -> None:
    shown = ShownTexts(window_ms=100, limit=2)
    first = shown.show("a", comment("d1", "a"), 1, 0)
    shown.alias(first, "r1")
    shown.show("b", comment("d2", "b"), 1, 0)
    shown.show("c", comment("d3", "c"), 1, 0)
    assert len(shown) == 2
    assert (shown.said("a"), shown.by_id("d1"), shown.by_id("r1")) == (None, None, None)


def test_aliases_of_one_line_are_bounded() -> None:
    shown = ShownTexts(window_ms=100)
    line = shown.show("a", comment("d", "a"), 1, 0)
    for number in range(ALIASES_MAX + 10):
        shown.alias(line, f"r{number}")
    assert shown.by_id(f"r{ALIASES_MAX - 1}") is line
    assert shown.by_id(f"r{ALIASES_MAX}") is None


@many
@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from("abcd"), st.sampled_from(["u", "v"]))))
def test_both_indexes_hold_the_same_lines(steps: list[tuple[int, str, str]]) -> None:
    shown, now_ms, ids = ShownTexts(window_ms=100, limit=3), 0, 0
    for passes_ms, text, user_id in steps:
        now_ms += passes_ms
        shown.advance(now_ms)
        if shown.said(text) is None:
            ids += 1
            shown.show(text, comment(f"d{ids}", text, user_id), 1, now_ms)
        elif passes_ms % 2:
            shown.forget_user(user_id)
        lines = set(shown._by_text.values())
        assert set(shown._by_id.values()) == lines
        assert all(now_ms < line.until_ms <= now_ms + 100 for line in lines)
        assert len(shown) <= 3
