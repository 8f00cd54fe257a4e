from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveserver.core.text import clean, normalise
from protocol.errors import CommandError

from .make import many

PREPENDED = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Format characters that draw something: Arabic, Syriac and Kaithi number signs."""
HIEROGLYPHS = {chr(code) for code in range(0x13430, 0x13440)}  # format characters that join visible signs


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("想要 3 号", "想要 3 号"),
        ("  two\n\tlines  ", "two lines"),
        ("a\u200bb\ufeffc", "abc"),
        ("\u202eevil\u202c", "evil"),
        ("nul\x00bell\x07", "nulbell"),
        ("全角　空格", "全角 空格"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("❤\ufe0f\u200d🔥", "❤\ufe0f\u200d🔥"),
        ("a\u200db", "ab"),
        ("👍\u200d", "👍"),
        ("e\u0301", "e\u0301"),
        ("<b>text</b>", "<b>text</b>"),
    ],
)
def test_clean(said: str, shown: str) -> None:
    assert clean(said) == shown


@pytest.mark.parametrize(
    "said", ["", "   ", "\u200b\u200d", "\u202e", "\u3164", "\u2800", "\ufe0f\u0301", "\x00"]
)
def test_nothing_to_show_is_refused(said: str) -> None:
    with pytest.raises(CommandError) as refused:
        clean(said)
    assert (refused.value.code, refused.value.field) == ("invalid_field", "text")


def test_no_control_or_format_character_of_unicode_reaches_a_screen() -> None:
    left = [
        char
        for char in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        and char not in PREPENDED
        and char not in HIEROGLYPHS
        and clean(f"a{char}b") not in ("ab", "a b")
    ]
    assert left == []


@many
@given(st.text(max_size=100))
def test_clean_is_settled_after_once_and_never_longer(text: str) -> None:
    try:
        shown = clean(text)
    except CommandError:
        return
    assert clean(shown) == shown
    assert 0 < len(shown) <= len(text)
    assert "\n" not in shown


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("哈哈哈", "哈哈哈哈哈哈哈哈"),
        ("666", "66666666"),
        ("６６６６", "666"),
        ("好！！！", "好"),
        ("好～", "好"),
        ("OK.", "ok"),
        ("真的？！？", "真的?"),
        ("Ｏｋ", "oK"),
        ("多少 钱", "多少  钱 "),
        ("l\u200bink", "link"),
        ("❤", "❤\ufe0f"),
        ("???", "？？？？？"),
        ("nooooo", "NOOOOOOOO!"),
    ],
)
def test_the_same_comment(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("哈", "哈哈"),
        ("6", "66"),
        ("1000", "10000"),
        ("我要1000个", "我要100000个"),
        ("要", "不要"),
        ("?", "!"),
        ("还有?", "还有!"),
        ("好👍", "好"),
        ("a b", "ab"),
    ],
)
def test_not_the_same_comment(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@many
@given(st.text(alphabet="aAbB 哈1６！!.~？👍\u200b", max_size=30))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@many
@given(st.text(max_size=100))
def test_what_can_be_shown_can_be_compared(text: str) -> None:
    try:
        shown = clean(text)
    except CommandError:
        return
    assert normalise(shown) != ""
