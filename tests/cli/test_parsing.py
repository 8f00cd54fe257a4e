"""What people type: every way to say it right, and what is said to who says it wrong."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveserver.cli import parsing
from liveserver.cli.parsing import ItemText
from protocol.limits import AMOUNT_MAX


@pytest.mark.parametrize(
    ("text", "fen"),
    [
        ("9.90", 990),
        ("9.9", 990),
        ("9", 900),
        ("0.29", 29),  # int(0.29 * 100) is 28
        ("1.15", 115),  # int(1.15 * 100) is 114
        ("¥9.90", 990),
        ("￥ 9.90", 990),
        (" 0 ", 0),
        ("90071992547409.91", AMOUNT_MAX),
    ],
)
def test_money(text: str, fen: int) -> None:
    assert parsing.money_fen(text) == fen


@pytest.mark.parametrize(
    "text",
    ["", "9.", ".9", "9.999", "-1", "+1", "1e3", "9,90", "9 90", "nan", "٣", "90071992547409.92", "9.90元"],
)
def test_no_money(text: str) -> None:
    with pytest.raises(ValueError, match="price"):
        parsing.money_fen(text)


@given(st.integers(0, 9_999_999 * 86_400_000))
def test_a_duration_there_and_back(milliseconds: int) -> None:
    assert parsing.duration_ms(parsing.spelled(milliseconds)) == milliseconds


@given(st.integers(0, AMOUNT_MAX))
def test_money_there_and_back(fen: int) -> None:
    assert parsing.money_fen(parsing.yuan(fen)) == fen


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("5s", 5_000),
        ("10m", 600_000),
        ("1h30m", 5_400_000),
        ("2d", 172_800_000),
        ("500ms", 500),
        ("0s", 0),
        ("1H", 3_600_000),
    ],
)
def test_durations(text: str, milliseconds: int) -> None:
    assert parsing.duration_ms(text) == milliseconds


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "1.5h", "30m1h", "5 s", "5sec"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="unit"):
        parsing.duration_ms(text)


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("red,M:9.90:100", ItemText("red,M", 990, 100)),
        ("9.90:100", ItemText("", 990, 100)),
        (":9.90:100", ItemText("", 990, 100)),
        ("2:1 盒:19.90:8", ItemText("2:1 盒", 1_990, 8)),
        (" 红色 M : 99 : 0 ", ItemText("红色 M", 9_900, 0)),
    ],
)
def test_items(text: str, item: ItemText) -> None:
    assert parsing.item(text) == item


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("9.90", "VARIANT:PRICE:STOCK"),
        ("red:9.90:many", "no stock"),
        ("red:cheap:1", "no price"),
        ("red:9.90:-1", "no stock"),
        ("red:9.90:9007199254740992", "no stock"),
        ("x" * 61 + ":1:1", "60 characters"),
    ],
)
def test_no_items(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parsing.item(text)


@pytest.mark.parametrize(("text", "delta"), [("+50", 50), ("-3", -3), (" +1 ", 1)])
def test_changes(text: str, delta: int) -> None:
    assert parsing.change(text) == delta


@pytest.mark.parametrize("text", ["50", "+0", "-0", "+", "+1.5", "--1", "+9007199254740992"])
def test_no_changes(text: str) -> None:
    with pytest.raises(ValueError, match="sign"):
        parsing.change(text)


@given(st.text(max_size=30))
def test_nothing_typed_breaks_anything(text: str) -> None:
    for parse in (parsing.money_fen, parsing.duration_ms, parsing.item, parsing.units, parsing.change):
        with contextlib.suppress(ValueError):
            parse(text)
