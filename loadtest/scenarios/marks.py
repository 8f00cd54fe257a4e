"""The pass marks of one run, as they come in. Pure.

A law or a count is judged always. A figure of time or memory is judged in the long form alone: in the short
one it runs beside whatever else the machine does.
"""

from __future__ import annotations

from typing import Final, Literal

from loadtest.report.model import Grid, Mark

NOT_JUDGED: Final = "not judged in short form"
NOTHING: Final = "nothing was measured"

MarkIs = Literal["at most", "at least", "exactly"]


class Marks:
    def __init__(self, *, short: bool) -> None:
        self.short = short
        self.all: list[Mark] = []

    def law(self, name: str, value: float, mark_is: MarkIs, mark: float, *, note: str = "") -> None:
        met = holds(value, mark_is, mark)
        self.all.append(Mark(name=name, value=value, mark_is=mark_is, mark=mark, met=met, note=note))

    def figure(
        self,
        name: str,
        value: float | None,
        mark_is: MarkIs,
        mark: float,
        *,
        unit: str = "",
        control: str = "",
        rounds: list[float] | None = None,
    ) -> None:
        """``value`` None: it could not be had, which in the long form is a mark missed."""
        said = 0.0 if value is None else value
        met = None if self.short else value is not None and holds(said, mark_is, mark)
        note = NOT_JUDGED if self.short else (NOTHING if value is None else "")
        self.all.append(
            Mark(
                name=name,
                value=said,
                unit=unit,
                mark_is=mark_is,
                mark=mark,
                met=met,
                low=min(rounds) if rounds else None,
                high=max(rounds) if rounds else None,
                control=control,
                note=note,
            )
        )

    @property
    def ok(self) -> bool:
        """Something was judged, and all of that is met."""
        judged = [mark.met for mark in self.all if mark.met is not None]
        return bool(judged) and all(judged)


def holds(value: float, mark_is: MarkIs, mark: float) -> bool:
    match mark_is:
        case "at most":
            return value <= mark
        case "at least":
            return value >= mark
        case "exactly":
            return value == mark


def table(marks: list[Mark]) -> Grid:
    """Ready to be read."""
    rows = [
        [
            {True: "pass", False: "FAIL", None: "–"}[mark.met],
            mark.name,
            f"{mark.value:g} {mark.unit}".strip(),
            f"{mark.mark_is} {mark.mark:g}",
            "; ".join(each for each in (mark.control, mark.note) if each),
        ]
        for mark in marks
    ]
    return Grid(title="Marks", columns=["", "mark", "is", "must be", ""], rows=rows)
