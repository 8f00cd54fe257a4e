"""Rounds to figures, marks and a table."""

from __future__ import annotations

from typing import Final

from loadtest.bench.doors.servers import OURS
from loadtest.bench.figures import Figures, ratios
from loadtest.bench.memory.rounds import Measured
from loadtest.report.model import Grid, Mark

IDLE_KB: Final = 3.0
JOINED_KB: Final = 6.0


class Findings:
    def __init__(self, measured: Measured) -> None:
        self.figures = Figures()
        self.notes = [f"NOT COMPARED: {name}: {why}" for name, why in measured.missing.items()]
        ours = measured.idle_kb[OURS]
        self.figures.put("pss_kb_per_viewer", ours)
        self.figures.put("pss_kb_per_joined_viewer", measured.joined_kb)
        for name, each_kb in measured.idle_kb.items():
            if name != OURS:
                self.figures.put(f"peers.{name}.pss_kb_per_socket", each_kb)
                if all(each_kb):
                    self.figures.put(f"ratio_to_{name}", ratios(ours, each_kb))
        beside = ", ".join(
            f"{name} {self.figures[f'peers.{name}.pss_kb_per_socket'].value:.1f}"
            for name in measured.idle_kb
            if name != OURS
        )
        control = f"a bare socket of {beside}" if beside else ""
        self.marks = [
            self._mark("pss_kb_per_viewer", IDLE_KB, control),
            self._mark("pss_kb_per_joined_viewer", JOINED_KB, control),
        ]
        self.grids = [self._servers(measured)]

    def _mark(self, name: str, most: float, control: str) -> Mark:
        made = self.figures[name]
        return Mark(
            name=name,
            value=round(made.value, 2),
            unit="KB",
            mark=most,
            met=made.value <= most,
            low=round(made.low, 2),
            high=round(made.high, 2),
            control=control,
        )

    def _servers(self, measured: Measured) -> Grid:
        rows = [self._row(OURS, "authenticated, idle", "pss_kb_per_viewer")]
        rows.append(self._row(OURS, "authenticated, in a room", "pss_kb_per_joined_viewer"))
        for name, version in measured.versions.items():
            if name != OURS:
                rows.append(self._row(name, version, f"peers.{name}.pss_kb_per_socket"))
        return Grid(
            title=f"memory of one of {measured.size.sockets:,} sockets, KB (PSS of all its processes)",
            columns=["server", "", "median", "rounds"],
            rows=rows,
        )

    def _row(self, name: str, what: str, key: str) -> list[str]:
        made = self.figures[key]
        return [name, what, f"{made.value:.2f}", f"{made.low:.2f} to {made.high:.2f}"]
