"""A figure: the median of its rounds, how far they lay apart, and the target beside it. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import msgspec


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    value: float
    low: float  # the lowest and the highest round
    high: float
    rounds: int
    target: float | None = None
    target_is: str = "at least"
    met: bool | None = None

    def text(self) -> str:
        """The median, and in brackets the lowest and the highest round."""
        return f"{_short(self.value)} ({_short(self.low)}-{_short(self.high)})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def plain(rounds: Sequence[float]) -> Figure:
    """One that is there to be read beside the others: nothing is promised of it."""
    return Figure(statistics.median(rounds), min(rounds), max(rounds), len(rounds))


def at_least(rounds: Sequence[float], target: float) -> Figure:
    median = statistics.median(rounds)
    return Figure(median, min(rounds), max(rounds), len(rounds), target, met=median >= target)


def at_most(rounds: Sequence[float], target: float) -> Figure:
    median = statistics.median(rounds)
    return Figure(median, min(rounds), max(rounds), len(rounds), target, "at most", median <= target)


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """Round by round: what ran beside each other is compared with each other."""
    return [one / other for one, other in zip(of, to, strict=True)]


class Figures:
    """Figures by dotted names, as a report keeps them: ``{"peers": {"bun": {"frame_us": 9.1}}, …}``, and the
    lowest and the highest round of each under the same name in ``low`` and ``high``."""

    def __init__(self) -> None:
        self._made: dict[str, Figure] = {}

    def put(self, name: str, rounds: Sequence[float]) -> Figure:
        made = self._made[name] = plain(rounds)
        return made

    def __getitem__(self, name: str) -> Figure:
        return self._made[name]

    def __contains__(self, name: str) -> bool:
        return name in self._made

    def tree(self) -> dict[str, Any]:
        values = _tree({name: made.value for name, made in self._made.items()})
        values["low"] = _tree({name: made.low for name, made in self._made.items()})
        values["high"] = _tree({name: made.high for name, made in self._made.items()})
        return values


def _tree(flat: dict[str, float]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        node = root
        for part in path:
            node = node.setdefault(part, {})
        node[last] = round(value, 4)
    return root
