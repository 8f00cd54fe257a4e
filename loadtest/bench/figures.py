"""A figure: the median of its rounds, how far they lay apart, and the target beside it. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

import msgspec

TARGETS: Final = {  # what is promised; a figure without one is there to be read beside the others
    "reserve_per_s.memory": 200_000.0,
    "reserve_per_s.fsynced": 120_000.0,
    "ratio_to_floor": 0.35,
    "purchases_per_s": 15_000.0,
    "purchases_per_hub_core": 15_000.0,
    "sold_out_per_s": 40_000.0,
    "sold_out_per_hub_core": 40_000.0,
}
GROWTH_MAX: Final = 1.2  # cost per order, at most so many times that among a thousand buyers


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    value: float
    low: float  # the lowest and the highest round
    high: float
    rounds: int
    target: float | None = None
    target_is: str = "at least"
    met: bool | None = None


def figure(name: str, rounds: Sequence[float]) -> Figure:
    median = statistics.median(rounds)
    target = TARGETS.get(name)
    return Figure(
        value=median,
        low=min(rounds),
        high=max(rounds),
        rounds=len(rounds),
        target=target,
        met=None if target is None else median >= target,
    )


def at_most(rounds: Sequence[float], target: float) -> Figure:
    median = statistics.median(rounds)
    return Figure(median, min(rounds), max(rounds), len(rounds), target, "at most", median <= target)


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """Round by round: what ran beside each other is compared with each other."""
    return [one / other for one, other in zip(of, to, strict=True)]
