"""What a run writes of itself can be read back."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from loadtest.report.model import Grid, Line, Mark, Plot, Report, read, write


def report() -> Report:
    return Report(
        kind="scenario",
        name="sale_night",
        prose="A night.",
        command="python -m loadtest scenario sale_night",
        commit="0123456789ab",
        seed=7,
        machine={"cores": 2},
        began_ms=1_700_000_000_000,
        seconds=3.5,
        ok=False,
        marks=[Mark(name="p99", value=2.0, unit="ms", mark=1.0, met=False, control="quiet room: 1 ms")],
        figures={"p99_ms": 2.0, "peers": {"other": {"p99_ms": 3.0}}},
        plots=[
            Plot(title="p", x_label="s", x=[0, 1], y_label="ms", lines=[Line(label="l", values=[1, None])])
        ],
        grids=[Grid(title="g", columns=["a"], rows=[["1"]])],
        notes=["NOT COMPARED: other, it is not installed"],
    )


def test_a_report_comes_back_as_it_was(tmp_path: Path) -> None:
    write(report(), tmp_path / "r.json")
    assert read(tmp_path / "r.json") == report()


@pytest.mark.parametrize("text", [b"", b"[]", b'{"kind": "party"}'])
def test_what_is_no_report_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "r.json").write_bytes(text)
    with pytest.raises(msgspec.DecodeError):
        read(tmp_path / "r.json")
