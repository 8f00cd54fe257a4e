from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveserver.core.text import normalise
from liveserver.core.words import WordFilter

from .make import many


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("加微信买更便宜", "加微信"),
        ("please use Viagra now", "viagra"),
        ("ＶＩＡＧＲＡ！！", "viagra"),
        ("via\u200bgra", "viagra"),
        ("viaaaaaaaagra", None),
        ("加 微 信", None),
        ("你好", None),
        ("", None),
    ],
)
def test_words_are_found_however_they_are_written(text: str, found: str | None) -> None:
    assert WordFilter(["加微信", "viagra"]).blocked(text) == found


def test_the_word_is_told_as_it_was_given_and_the_longest_at_a_place() -> None:
    words = WordFilter(["Bad", "BAD guy"])
    assert words.blocked("a bad guys") == "BAD guy"
    assert words.blocked("not bad") == "Bad"


@pytest.mark.parametrize("words", [[], [""], ["", "\u200b"]])
def test_an_empty_filter_blocks_nothing(words: list[str]) -> None:
    assert len(WordFilter(words)) == 0
    assert WordFilter(words).blocked("anything") is None


@many
@given(
    st.lists(st.text(alphabet="abc", min_size=1, max_size=4), max_size=6),
    st.text(alphabet="abc", max_size=30),
)
def test_agrees_with_looking_for_each_word(words: list[str], text: str) -> None:
    expected = any(normalise(word) in normalise(text) for word in words)
    assert (WordFilter(words).blocked(text) is not None) == expected
