"""Series to figures, marks, plots and tables."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any, Final

from loadtest.bench.figures import Figures, ratios
from loadtest.bench.growth import messages, rooms, viewers, workers
from loadtest.bench.growth.rounds import Run
from loadtest.report.model import Grid, Line, Mark, Plot

GROWTH_MAX: Final = 1.2  # what must not grow: at the most so many times the first
WORKERS_MIN: Final = 1.8
TICKS_SATED: Final = 100  # comments a second at which every tick has one

median = statistics.median


class Findings:
    def __init__(self, run: Run) -> None:
        self.figures = Figures()
        self.marks: list[Mark] = []
        self.grids: list[Grid] = []
        self.plots: list[Plot] = []
        self.notes: list[str] = []
        if run.viewers is not None:
            self._viewers(run.viewers)
        if run.rooms:
            self._rooms(run.rooms)
        if run.messages:
            self._messages(run.messages)
        if run.workers is not None:
            self._workers(run.workers)

    def _viewers(self, series: viewers.Series) -> None:
        at = series.at
        if series.not_compared:
            self.notes.append(f"NOT COMPARED: {series.not_compared}")
        compared = bool(at[0].floor_us)
        for one in at:
            name = f"viewers.{one.viewers}."
            self.figures.put(name + "frame_us", one.frame_us)
            self.figures.put(name + "idle_share", one.idle_share)
            self.figures.put(name + "store_calls_per_s", one.store_calls_per_s)
            if compared:
                self.figures.put(name + "c_frame_us", one.floor_us)
                self.figures.put(name + "ratio_to_c", ratios(one.frame_us, one.floor_us))
        columns = ["frame_us", "idle_share", "store_calls_per_s"]
        columns += ["c_frame_us", "ratio_to_c"] if compared else []
        self._series(
            "viewers", [one.viewers for one in at], columns, "CPU µs a frame", ["frame_us", "c_frame_us"]
        )
        self._flat(
            "viewers", at[0].store_calls_per_s, at[-1].store_calls_per_s, f"at {at[0].viewers:,} viewers"
        )

    def _rooms(self, at: list[rooms.At]) -> None:
        for one in at:
            name = f"rooms.{one.rooms}."
            self.figures.put(name + "comment_us", one.comment_us)
            self.figures.put(name + "frames_per_comment", one.frames_per_comment)
            self.figures.put(name + "idle_share", one.idle_share)
            self.figures.put(name + "idle_store_calls_per_s", one.idle_store_calls_per_s)
            self.figures.put(
                name + "idle_store_calls_per_room_s", [c / one.rooms for c in one.idle_store_calls_per_s]
            )
        columns = [
            "comment_us",
            "frames_per_comment",
            "idle_share",
            "idle_store_calls_per_s",
            "idle_store_calls_per_room_s",
        ]
        self._series("rooms", [one.rooms for one in at], columns, "share of a core, idle", ["idle_share"])
        self.notes.append(f"rooms: {at[0].viewers:,} viewers in all of them together")

    def _messages(self, at: list[messages.At]) -> None:
        for one in at:
            name = f"messages.{one.per_s}."
            self.figures.put(name + "us_per_viewer_s", one.us_per_viewer_s)
            self.figures.put(name + "frames_per_viewer_s", one.frames_per_viewer_s)
            self.figures.put(name + "bytes_per_comment", one.bytes_per_comment)
            self.figures.put(name + "store_calls_per_s", one.store_calls_per_s)
        columns = ["us_per_viewer_s", "frames_per_viewer_s", "bytes_per_comment", "store_calls_per_s"]
        self._series(
            "messages",
            [one.per_s for one in at],
            columns,
            "CPU µs per viewer and second",
            ["us_per_viewer_s"],
        )
        first = next((one for one in at if one.per_s >= TICKS_SATED), at[0])
        self._flat(
            "messages",
            first.store_calls_per_s,
            at[-1].store_calls_per_s,
            f"at {first.per_s} comments a second",
        )

    def _workers(self, made: workers.Measured) -> None:
        one = [turn.us_per_viewer_s for turn in made.one]
        two = [turn.us_per_viewer_s for turn in made.two]
        self.figures.put("workers.1.us_per_viewer_s", one)
        self.figures.put("workers.2.us_per_viewer_s", two)
        self.figures.put("workers.1.store_calls_per_s", [turn.store_calls_per_s for turn in made.one])
        self.figures.put("workers.2.store_calls_per_s", [turn.store_calls_per_s for turn in made.two])
        columns = ["us_per_viewer_s", "store_calls_per_s"]
        self._series(
            "workers", [1, 2], columns, "CPU µs per viewer and second", ["us_per_viewer_s"], log=False
        )
        brings = [2 * alone for alone in ratios(one, two)]
        self._mark(
            "workers_2_times_1",
            brings,
            WORKERS_MIN,
            f"one process: {median(one):.1f} µs per viewer and second, a pair {median(two):.1f}",
            at_least=True,
        )
        self.notes.append(
            f"workers: a process has {made.viewers:,} viewers, a pair twice as many in the same busy room;"
            " twice one's cost per viewer over the pair's: what a pair with a core each would do of one's."
            " Both ran on one core, the sink on the other: what two busy cores share is not in it"
        )

    def _series(
        self,
        kind: str,
        x: Sequence[int],
        columns: list[str],
        y_label: str,
        lines: list[str],
        *,
        log: bool = True,
    ) -> None:
        """A table of all columns, a plot of the first and one of the store's calls."""
        rows = [[f"{at:,}", *(self._text(f"{kind}.{at}.{column}") for column in columns)] for at in x]
        self.grids.append(
            Grid(title=f"against {kind}", columns=[kind, *columns], rows=rows, note="(lowest-highest round)")
        )
        shown = [name for name in lines if name in columns]
        self._plot(f"cost against {kind}", kind, x, y_label, shown, log)
        calls = [name for name in columns if name.endswith("store_calls_per_s")]
        self._plot(f"what the store is asked, against {kind}", kind, x, "commands a second", calls, log)

    def _plot(
        self, title: str, kind: str, x: Sequence[int], y_label: str, columns: list[str], log: bool
    ) -> None:
        value: Callable[[int, str], float] = lambda at, column: self.figures[f"{kind}.{at}.{column}"].value  # noqa: E731
        self.plots.append(
            Plot(
                title=title,
                x_label=kind,
                x=[float(at) for at in x],
                y_label=y_label,
                lines=[Line(label=column, values=[value(at, column) for at in x]) for column in columns],
                log_x=log,
            )
        )

    def _flat(self, kind: str, first: Sequence[float], last: Sequence[float], where: str) -> None:
        self._mark(
            f"store_calls_growth_with_{kind}",
            ratios(_at_least_one(last), _at_least_one(first)),
            GROWTH_MAX,
            f"{where}: {median(first):.0f} a second; at the most: {median(last):.0f}",
        )

    def _mark(
        self, name: str, turns: Sequence[float], mark: float, control: str, *, at_least: bool = False
    ) -> None:
        made = self.figures.put(name, turns)
        met = made.value >= mark if at_least else made.value <= mark
        extra: dict[str, Any] = {"mark_is": "at least"} if at_least else {}
        self.marks.append(
            Mark(
                name=name,
                value=round(made.value, 3),
                mark=mark,
                met=met,
                low=round(made.low, 3),
                high=round(made.high, 3),
                control=control,
                **extra,
            )
        )

    def _text(self, name: str) -> str:
        return self.figures[name].text()


def _at_least_one(calls_per_s: Sequence[float]) -> list[float]:
    """A short look at a quiet room may see no command at all, and nothing is a multiple of that."""
    return [max(1.0, calls) for calls in calls_per_s]
