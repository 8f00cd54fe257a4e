"""What is promised of the stock counter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from loadtest.bench.figures import Figure, at_least, plain

TARGETS: Final = {  # a figure without one is there to be read beside the others
    "reserve_per_s.memory": 200_000.0,
    "reserve_per_s.fsynced": 120_000.0,
    "ratio_to_floor": 0.35,
    "purchases_per_s": 15_000.0,
    "purchases_per_hub_core": 15_000.0,
    "sold_out_per_s": 40_000.0,
    "sold_out_per_hub_core": 40_000.0,
}
GROWTH_MAX: Final = 1.2  # cost per order, at most so many times that among a thousand buyers


def figure(name: str, rounds: Sequence[float]) -> Figure:
    target = TARGETS.get(name)
    return plain(rounds) if target is None else at_least(rounds, target)
