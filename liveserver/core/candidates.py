"""The lines of a tick that may be shown, no more of them than can be: a flood's others are let go at once.

Each line draws its place when it comes: by priority, then by how many its user had before, then by lot. So
keeping the best as they come is the same as choosing among all at the tick, and a thousand comments that are
not going to be shown cost a comparison each, not a place in a list and a sort.
"""

from __future__ import annotations

import heapq
from itertools import count

from .waiting import Waiting


class Candidates:
    """Kept as a heap, the one to go first on top. One that was taken out of the tick elsewhere (``out``), or
    taken over by another process's line, is passed over when it comes to the top."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, float, int, Waiting]] = []
        self._numbers = count()

    def clear(self) -> None:
        self._heap.clear()

    def enter(self, waiting: Waiting, priority: int, places: int) -> Waiting | None:
        """Who has to go for it, which may be itself; None: there was room. ``priority``: of the one who says
        it, who isn't among its entries yet."""
        mine = (priority, -waiting.nth, -waiting.lot, next(self._numbers), waiting)
        while len(self._heap) >= places:
            first = self._heap[0]
            last = first[-1]
            if last.out or last.remote is not None:
                heapq.heappop(self._heap)
            elif last.priority != first[0]:  # somebody of another rank has said the same
                heapq.heapreplace(self._heap, (last.priority, *first[1:]))
            elif mine[:3] <= first[:3]:
                return waiting
            else:
                heapq.heapreplace(self._heap, mine)
                return last
        heapq.heappush(self._heap, mine)
        return None
