"""A figure: the median of its rounds, how far they lay apart, and the target beside it. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    value: float
    low: float  # the lowest and the highest round
    high: float
    rounds: int
    target: float | None = None
    target_is: str = "at least"
    met: bool | None = None


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
