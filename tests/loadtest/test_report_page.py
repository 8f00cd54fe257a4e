"""A run's report becomes a page: the verb, its refusals, and the figures as people read them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from loadtest.__main__ import main
from loadtest.report import against, page, scale
from loadtest.report.model import Bar, Bars, Mark, read, write
from loadtest.report.numbers import flat, shown
from tests.loadtest.reports import report


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (18_204.0, "18,204"),
        (18_204.6, "18,205"),
        (3.14159, "3.142"),
        (0.00214, "0.00214"),
        (0.1, "0.1"),
        (61.5, "61.5"),
        (-2.5, "-2.5"),
        (999.96, "1,000"),
        (None, "–"),
        (float("inf"), "–"),
    ],
)
def test_a_figure_is_read_with_four_digits(value: float | None, text: str) -> None:
    assert shown(value) == text


def test_nested_figures_are_named_by_their_path() -> None:
    figures = {"a": 1, "b": {"c": None, "d": [1.5, 2]}, "e": True, "f": "text"}
    assert list(flat(figures)) == [("a", "1"), ("b.c", "–"), ("b.d", "1.5, 2"), ("e", "True"), ("f", "text")]


def test_bars_share_one_scale_with_their_mark() -> None:
    bars = Bars(
        title="t", mark=20, bars=[Bar(label="a", value=10, low=5, high=40), Bar(label="b", value=None)]
    )
    first, second = scale.of_bars(bars)
    assert first.bar and first.low and first.high and first.mark
    assert first.high == pytest.approx(4 * first.bar, abs=0.05) == pytest.approx(2 * first.mark, abs=0.05)
    assert first.low == pytest.approx(first.bar / 2, abs=0.05)
    assert first.high < 100
    assert second == (None, None, None, first.mark)


def test_a_mark_of_nothing_has_no_scale() -> None:
    assert scale.of_mark(Mark(name="m", value=0, mark=0)) == (None, None, None, None)


def test_cost_against_control_follows_from_a_benchmarks_figures() -> None:
    figures = {
        "peers": {
            "c": {"frame_us": 9.7, "idle_share": 0.1},
            "ours": {"frame_us": 10.9, "ratio_to_c": 1.12, "idle_share": 0.1, "alone_us": 3},
        },
        "at_10000": {"peers": {"c": {"frame_us": 10}, "ours": {"frame_us": 11}, "bun": {"frame_us": None}}},
        "low": {"peers": {"ours": {"frame_us": 10.5}}},
        "high": {"peers": {"ours": {"frame_us": 11.4}}},
    }
    made = report(bars=[], figures=figures)
    near, far = against.drawn(made)
    assert near == Bars(
        title="frame us",
        bars=[
            Bar(label="c", value=9.7, control=True),
            Bar(label="ours", value=10.9, low=10.5, high=11.4),
        ],
    )
    assert (far.title, [bar.label for bar in far.bars]) == ("at 10000 · frame us", ["c", "ours"])
    assert against.drawn(report(figures=figures)) == report().bars  # its own go first


def test_what_was_judged_is_counted() -> None:
    assert page.tally(report()) == "1 met, 1 missed, 1 not judged"
    assert page.tally(report(marks=[])) == "no marks"


def test_one_run_has_no_index_and_several_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [tmp_path / "one.json", tmp_path / "two.json"]
    for path, name in zip(runs, ("first", "second"), strict=True):
        write(report(name), path)
    html = tmp_path / "page.html"
    assert main(["report", str(runs[0]), "--html", str(html)]) == 0
    assert 'id="index"' not in html.read_text()
    assert main(["report", *map(str, runs), "--html", str(html)]) == 0
    assert 'href="#run-2">second<' in html.read_text()
    assert "second (1 met, 1 missed, 1 not judged)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file"), (b"{", "no report of a run"), (b'{"kind": "party"}', "no report of a run")],
)
def test_what_is_no_report_is_named(
    content: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, html = tmp_path / "r.json", tmp_path / "page.html"
    if content is not None:
        path.write_bytes(content)
    assert main(["report", str(path), "--html", str(html)]) == 2
    error = capsys.readouterr().err
    assert str(path) in error and said in error
    assert not html.exists()


def test_a_page_that_cant_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(report(), tmp_path / "r.json")
    assert main(["report", str(tmp_path / "r.json"), "--html", str(tmp_path / "no" / "page.html")]) == 2
    assert "--html can't be written" in capsys.readouterr().err


def test_a_report_of_an_older_run_is_still_read(tmp_path: Path) -> None:
    """What came later to the shape has a default."""
    old = msgspec.json.decode(msgspec.json.encode(report()))
    for field in ("bars", "plots", "grids", "notes", "figures"):
        del old[field]
    (tmp_path / "r.json").write_bytes(msgspec.json.encode(old))
    assert "danmaku_flood" in page.page([read(tmp_path / "r.json")])


def test_prose_is_broken_where_the_page_ends_and_not_where_a_docstring_does() -> None:
    made = page.page([report(prose="One line,\nand its rest.\n\nAnother\nparagraph.")])
    assert "One line, and its rest.\n\nAnother paragraph." in made
