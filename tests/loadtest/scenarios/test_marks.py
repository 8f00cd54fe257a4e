"""Marks are judged as written, and what is not judged says so."""

from __future__ import annotations

import pytest

from loadtest.scenarios.marks import NOT_JUDGED, Marks, holds, table


@pytest.mark.parametrize(
    ("value", "mark_is", "mark", "met"),
    [
        (1.5, "at most", 1.5, True),
        (1.51, "at most", 1.5, False),
        (3, "at least", 3, True),
        (2, "at least", 3, False),
        (0, "exactly", 0, True),
        (1, "exactly", 0, False),
    ],
)
def test_a_mark_holds_or_not(value: float, mark_is: str, mark: float, met: bool) -> None:
    assert holds(value, mark_is, mark) is met  # type: ignore[arg-type]


def test_a_law_is_judged_always_and_a_figure_in_the_long_form() -> None:
    for short in (True, False):
        marks = Marks(short=short)
        marks.law("laws broken", 0, "exactly", 0)
        marks.figure("p99", 9.0, "at most", 1.5, rounds=[8.0, 9.0, 12.0])
        law, figure = marks.all
        assert law.met is True
        assert figure.met is (None if short else False)
        assert figure.note == (NOT_JUDGED if short else "")
        assert (figure.low, figure.high) == (8.0, 12.0)
        assert marks.ok is short
        marks.law("viewers lost", 1, "exactly", 0)
        assert not marks.ok


def test_what_could_not_be_measured_is_missed() -> None:
    marks = Marks(short=False)
    marks.figure("p99", None, "at most", 1.5)
    assert marks.all[0].met is False and "nothing" in marks.all[0].note


def test_nothing_judged_is_no_pass() -> None:
    assert not Marks(short=True).ok


def test_the_table_says_what_is_must_be_and_why_not() -> None:
    marks = Marks(short=True)
    marks.law("viewers lost", 1, "exactly", 0)
    marks.figure("p99", 9.0, "at most", 1.5, unit="ms", control="quiet 8 ms")
    assert table(marks.all).rows == [
        ["FAIL", "viewers lost", "1", "exactly 0", ""],
        ["–", "p99", "9 ms", "at most 1.5", f"quiet 8 ms; {NOT_JUDGED}"],
    ]
