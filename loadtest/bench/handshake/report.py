"""Rounds to figures, marks and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from loadtest.bench.doors.servers import OURS
from loadtest.bench.figures import Figures, ratios
from loadtest.bench.handshake.rounds import Measured
from loadtest.report.model import Grid, Mark

BARE_PER_S: Final = 8_000
TOKEN_JOIN_PER_S: Final = 4_000

SAID: Final = {
    "token_first": "with a token in the header, new to it",
    "token": "with a token in the header, verified before",
    "token_join": "then authenticate (verified before) and join, in frames",
}


class Findings:
    def __init__(self, measured: Measured) -> None:
        self.figures = Figures()
        self.notes = [f"NOT COMPARED: {name}: {why}" for name, why in measured.missing.items()]
        ours = measured.bare[OURS]
        self._per_s("handshakes_per_s", ours)
        for what, costs in measured.ours.items():
            self._per_s(f"handshakes_{what}_per_s", costs)
        for name, costs in measured.bare.items():
            if name != OURS:
                self._per_s(f"peers.{name}.handshakes_per_s", costs)
                self.figures.put(f"ratio_to_{name}", ratios(costs, ours))
        for algorithm, done in measured.keys.items():
            for what, costs in done.items():
                self._per_s(f"keys.{algorithm}.handshakes_{what}_per_s", costs)
        self.marks = [
            self._mark("handshakes_per_s", BARE_PER_S, measured),
            self._mark("handshakes_token_join_per_s", TOKEN_JOIN_PER_S, measured),
        ]
        self.grids = [self._servers(measured), self._ours(measured)]

    def _per_s(self, name: str, costs: Sequence[float]) -> None:
        self.figures.put(name, [1 / cost for cost in costs])

    def _mark(self, name: str, least: float, measured: Measured) -> Mark:
        made = self.figures[name]
        beside = ", ".join(
            f"{other} {self.figures[f'peers.{other}.handshakes_per_s'].value:,.0f}"
            for other in measured.bare
            if other != OURS
        )
        return Mark(
            name=name,
            value=round(made.value),
            unit="per s and core",
            mark_is="at least",
            mark=least,
            met=made.value >= least,
            low=round(made.low),
            high=round(made.high),
            control=f"bare handshakes of {beside}" if beside else "",
        )

    def _servers(self, measured: Measured) -> Grid:
        rows = []
        for name, version in measured.versions.items():
            key = "handshakes_per_s" if name == OURS else f"peers.{name}.handshakes_per_s"
            made = self.figures[key]
            ratio = "" if name == OURS else f"{self.figures[f'ratio_to_{name}'].value:.2f}"
            rows.append([f"{name} ({version})", f"{made.value:,.0f}", _spread(made.low, made.high), ratio])
        return Grid(
            title="a browser's handshake alone, per second and core",
            columns=["server", "median", "rounds", "ours / it"],
            rows=rows,
        )

    def _ours(self, measured: Measured) -> Grid:
        rows = []
        for what, words in SAID.items():
            made = self.figures[f"handshakes_{what}_per_s"]
            rows.append([f"HS256, {words}", f"{made.value:,.0f}", _spread(made.low, made.high)])
        for algorithm, done in measured.keys.items():
            for what in done:
                made = self.figures[f"keys.{algorithm}.handshakes_{what}_per_s"]
                rows.append([f"{algorithm}, {SAID[what]}", f"{made.value:,.0f}", "1 round"])
        return Grid(
            title="ours, with all that comes behind it", columns=["done", "median", "rounds"], rows=rows
        )


def _spread(low: float, high: float) -> str:
    return f"{low:,.0f} to {high:,.0f}"
