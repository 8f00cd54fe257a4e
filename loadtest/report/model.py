"""The report of one run, a scenario's or a benchmark's: the shape written as JSON and drawn as a page.

``figures`` is for programs: names to numbers (or to further names), stable from version to version. All the
rest is for people, in the order in which it is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

FORMAT = 1


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One pass mark. ``met`` is None where it was not judged, ``value`` is None where there is none; ``note``
    then says why."""

    name: str
    value: float | None
    unit: str = ""
    mark_is: Literal["at most", "at least", "exactly"] = "at most"
    mark: float
    met: bool | None = None
    low: float | None = None  # the lowest and the highest round
    high: float | None = None
    control: str = ""  # what it is compared with, and that one's own value
    note: str = ""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a plot; ``None`` is a hole in it."""

    label: str
    values: list[float | None]


class Plot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Lines over one common axis."""

    title: str
    x_label: str
    x: list[float]
    y_label: str
    lines: list[Line]
    log_x: bool = False
    log_y: bool = False
    percentiles: bool = False  # x are percentiles: drawn so that each further nine is as wide as the last
    note: str = ""


class Bar(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``value`` is None where it was not measured; ``note`` then says why."""

    label: str
    value: float | None
    low: float | None = None  # the lowest and the highest round
    high: float | None = None
    control: bool = False  # what the others are compared with
    note: str = ""


class Bars(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One figure of several servers, ours and its controls: cost against control."""

    title: str
    unit: str = ""
    bars: list[Bar]
    mark: float | None = None  # drawn across all of them
    note: str = ""


class Grid(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A table; cells are ready to be read."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    note: str = ""


class Report(msgspec.Struct, kw_only=True):
    kind: Literal["scenario", "bench"]
    name: str
    prose: str  # what was done and why, in sentences
    command: str  # that runs it again
    commit: str
    seed: int
    machine: dict[str, Any]
    began_ms: int  # Unix time
    seconds: float
    ok: bool  # every mark that was judged is met
    marks: list[Mark] = []
    figures: dict[str, Any] = {}
    plots: list[Plot] = []
    bars: list[Bars] = []
    grids: list[Grid] = []
    notes: list[str] = []  # NOT COMPARED, and what else a reader must know
    format: int = FORMAT


def write(report: Report, path: Path) -> None:
    """As JSON, readable. ``OSError`` if it can't be written."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def read(path: Path) -> Report:
    """``OSError`` or ``msgspec.DecodeError`` (a ``ValueError``) for what is no report."""
    return msgspec.json.decode(path.read_bytes(), type=Report)
