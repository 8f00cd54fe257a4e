"""How the processes that hold a room share its danmaku budget: pure arithmetic on what each beat tells.

Every process computes its own share, from its own demand and the sums over all of them. Nobody is asked and
nothing is kept: where all know the same sums, the shares add up to the budget at most (a property test).
For the second in which demand moves, the sums that two processes know differ, and so may the shares.

All rates here are in thousandths of a line per second, so that a room over more processes than its budget
has lines still leaves each of them one now and then.
"""

from __future__ import annotations

from typing import Final

THOUSANDTHS: Final = 1_000
FLOOR_DIVISOR: Final = 4  # a quarter of the budget is shared alike: who was silent may say a word at once
MEASURE_MS_MIN: Final = 500  # a shorter while says little about a rate


def share(budget: int, own: int, whole: int, processes: int) -> int:
    """This process's part of ``budget``. ``own``: its demand; ``whole``: that of all ``processes``.

    While the budget is enough for everybody each gets what it asks for, and what is left is shared alike.
    Beyond, a quarter is shared alike and the rest by demand, so a comment has about the same chance wherever
    it arrives."""
    assert budget >= 0 and own >= 0, (budget, own)
    processes = max(1, processes)
    whole = max(own, whole)
    floor = budget // (FLOOR_DIVISOR * processes)
    by_demand = budget - floor * processes
    if whole <= by_demand:
        return own + (budget - whole) // processes
    return floor + by_demand * own // whole


class Demand:
    """How many lines a second would be shown here, were there no budget: of late, falling off by half a
    measure when it gets quiet, so that a wave with pauses keeps its share."""

    __slots__ = ("_lines", "_per_s", "_since_ms")

    def __init__(self, now_ms: int) -> None:
        self._lines = 0
        self._per_s = 0
        self._since_ms = now_ms

    def add(self, lines: int) -> None:
        self._lines += lines

    def per_s(self, now_ms: int) -> int:
        """In thousandths. Ends a measure, unless the last one ended just now: asking twice is harmless."""
        passed_ms = now_ms - self._since_ms
        if passed_ms >= MEASURE_MS_MIN:
            fresh = self._lines * THOUSANDTHS * 1_000 // passed_ms
            self._per_s = max(fresh, self._per_s // 2)
            self._lines, self._since_ms = 0, now_ms
        return self._per_s
