"""Rounds to figures, marks and tables."""

from __future__ import annotations

from typing import Final

from loadtest.bench.fanout.happenings import BUSY
from loadtest.bench.fanout.rooms import BATCHED, RoomRound
from loadtest.bench.fanout.rounds import Measured, Run
from loadtest.bench.figures import Figures, ratios
from loadtest.report.model import Grid, Line, Mark, Plot

P99_AT: Final = 2_000  # sockets for which a busy room's p99 is promised


class Findings:
    """What the rounds say. ``under``: where the figures of a number of sockets stand; the first one's have
    no prefix."""

    def __init__(self, run: Run) -> None:
        self.figures = Figures()
        self.marks: list[Mark] = []
        self.grids: list[Grid] = []
        self.plots: list[Plot] = []
        self.notes: list[str] = []
        for number, measured in enumerate(run.at):
            self._missing(measured)
            under = "" if number == 0 else f"at_{measured.sockets}."
            if measured.frames:
                self._frames(measured, under)
            if measured.busy:
                self._room("busy_room", measured, measured.busy, under)
            if measured.quiet:
                self._room("quiet_room", measured, measured.quiet, under)
        if len(run.at) > 1 and run.at[0].frames:
            self._plot(run)
        if run.lag:
            self._lag(run)

    def _missing(self, measured: Measured) -> None:
        for name, why in measured.missing.items():
            self.notes.append(f"NOT COMPARED at {measured.sockets:,} sockets: {name}: {why}")

    def _frames(self, measured: Measured, under: str) -> None:
        names = list(measured.frames[0])
        cost = {name: [one[name].frame_us for one in measured.frames] for name in names}
        for name in names:
            at = f"{under}peers.{name}."
            self.figures.put(at + "frame_us", cost[name])
            self.figures.put(at + "idle_share", [one[name].idle_share for one in measured.frames])
            self.figures.put(at + "frame_bytes", [one[name].bytes for one in measured.frames])
            self.figures.put(at + "frame_p50_ms", [one[name].p50_ms for one in measured.frames])
            self.figures.put(at + "frame_p99_ms", [one[name].p99_ms for one in measured.frames])
            for other in ("c", "bun"):
                if other in names:
                    self.figures.put(f"{at}ratio_to_{other}", ratios(cost[name], cost[other]))
        if "ours_python" in names:
            self.figures.put(f"{under}ratio_to_python", ratios(cost["ours"], cost["ours_python"]))
        for other, most in (("c", 1.15), ("bun", 1.0)):
            if other in names:
                rounds = ratios(cost["ours"], cost[other])
                control = f"{other}: {self.figures[f'{under}peers.{other}.frame_us'].value:.2f} µs"
                self._mark(f"{under}ratio_to_{other}", rounds, most, control)
        self.grids.append(self._frames_grid(measured, under))

    def _frames_grid(self, measured: Measured, under: str) -> Grid:
        rows = []
        for name in measured.frames[0]:
            at = f"{under}peers.{name}."
            rows.append(
                [
                    f"{name} {measured.versions[name]}",
                    self._text(at + "frame_us"),
                    *(self._text(f"{at}ratio_to_{other}") for other in ("c", "bun")),
                    self._text(at + "frame_bytes"),
                    self._text(at + "frame_p50_ms"),
                    self._text(at + "frame_p99_ms"),
                ]
            )
        return Grid(
            title=f"one frame to each of {measured.sockets:,} sockets",
            columns=["server", "CPU µs a frame", "to C", "to Bun", "bytes", "p50 ms", "p99 ms"],
            rows=rows,
            note="CPU of the server's process, less what it uses idle; (lowest-highest round)",
        )

    def _room(self, kind: str, measured: Measured, rounds: list[dict[str, RoomRound]], under: str) -> None:
        cost = {name: [one[name].us_per_viewer_s for one in rounds] for name in rounds[0]}
        for name in rounds[0]:
            at = f"{under}peers.{name}.{kind}_"
            self.figures.put(at + "us_per_viewer_s", cost[name])
            self.figures.put(at + "frames_per_viewer_s", [one[name].frames_per_viewer_s for one in rounds])
            self.figures.put(at + "bytes_per_viewer_s", [one[name].bytes_per_viewer_s for one in rounds])
            self.figures.put(at + "p50_ms", [one[name].p50_ms for one in rounds])
            self.figures.put(at + "p99_ms", [one[name].p99_ms for one in rounds])
            self.figures.put(at + "late_s", [one[name].late_s for one in rounds])
        most = {"busy_room": {"bun": 0.125, "bun" + BATCHED: 1.15}, "quiet_room": {"bun": 1.0}}[kind]
        for other, limit in most.items():
            if other in cost:
                control = (
                    f"{other}: {self.figures[f'{under}peers.{other}.{kind}_us_per_viewer_s'].value:.1f} µs"
                )
                self._mark(
                    f"{under}{kind}_ratio_to_{other}", ratios(cost["ours"], cost[other]), limit, control
                )
        if kind == "busy_room" and measured.frames and "c" in measured.frames[0]:
            sends = [sum(BUSY.values()) * one["c"].frame_us for one in measured.frames]
            self.figures.put(f"{under}busy_room_ratio_to_c_sends", ratios(cost["ours"], sends))
        self._delay(kind, measured, rounds, under)
        self.grids.append(self._room_grid(kind, measured, list(rounds[0]), under))

    def _delay(self, kind: str, measured: Measured, rounds: list[dict[str, RoomRound]], under: str) -> None:
        p99 = [one["ours"].p99_ms for one in rounds]
        beside = "; ".join(
            f"{name}: {self.figures[f'{under}peers.{name}.{kind}_p99_ms'].value:.0f} ms"
            for name in rounds[0]
            if name != "ours"
        )
        promised = kind == "busy_room" and measured.sockets <= P99_AT
        note = "" if promised else "reported: nothing is promised of it"
        self._mark(f"{under}{kind}_p99_ms", p99, 150.0, beside, "ms", note)

    def _room_grid(self, kind: str, measured: Measured, names: list[str], under: str) -> Grid:
        columns = (
            "us_per_viewer_s",
            "frames_per_viewer_s",
            "bytes_per_viewer_s",
            "p50_ms",
            "p99_ms",
            "late_s",
        )
        rows = [
            [name, *(self._text(f"{under}peers.{name}.{kind}_{column}") for column in columns)]
            for name in names
        ]
        return Grid(
            title=f"a {kind.replace('_', ' ')} of {measured.sockets:,} sockets",
            columns=["server", "CPU µs", "frames", "bytes", "p50 ms", "p99 ms", "late s"],
            rows=rows,
            note="the first three per viewer and second; all CPU of the server's process; late: when the last"
            " frame was read after the plan's end (0.2 s of it is the look that nothing more comes)",
        )

    def _plot(self, run: Run) -> None:
        names = run.at[0].frames[0]
        lines = []
        for name in names:
            under = ["" if n == 0 else f"at_{one.sockets}." for n, one in enumerate(run.at)]
            keys = [f"{prefix}peers.{name}.frame_us" for prefix in under]
            lines.append(
                Line(
                    label=name,
                    values=[self.figures[key].value if key in self.figures else None for key in keys],
                )
            )
        self.plots.append(
            Plot(
                title="what a delivered frame costs",
                x_label="sockets",
                x=[float(one.sockets) for one in run.at],
                y_label="CPU µs a frame",
                lines=lines,
            )
        )

    def _lag(self, run: Run) -> None:
        rest = self.figures.put("loop_lag_at_rest_p99_ms", [one.rest_p99 for one in run.lag])
        self.figures.put("loop_lag_p50_ms", [one.p50 for one in run.lag])
        control = f"the same loop at rest: {rest.value:.1f} ms"
        self._mark("loop_lag_p99_ms", [one.p99 for one in run.lag], 5.0, control, "ms")
        own = "of it, what the process itself worked"
        self._mark("loop_lag_own_p99_ms", [one.own_p99 for one in run.lag], 5.0, own, "ms")
        self.notes.append(f"the loop's lag: {run.size.lag_sockets:,} sockets, a broadcast every 120 ms")

    def _mark(
        self, name: str, rounds: list[float], most: float, control: str, unit: str = "", note: str = ""
    ) -> None:
        made = self.figures.put(name, rounds)
        self.marks.append(
            Mark(
                name=name,
                value=round(made.value, 3),
                unit=unit,
                mark=most,
                met=None if note else made.value <= most,
                low=round(made.low, 3),
                high=round(made.high, 3),
                control=control,
                note=note,
            )
        )

    def _text(self, name: str) -> str:
        if name not in self.figures:
            return ""
        return self.figures[name].text()
