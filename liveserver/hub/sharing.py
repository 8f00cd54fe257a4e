"""A room's danmaku budget in this process: its share, and what it is tightened by.

The share follows from what the beats tell (``core.shares``). It is tightened, on this process's own account,
while its broadcasts can't be written in time (``core.pace``) or its loop lags (``core.ladder``): the others
keep theirs, since their viewers are none the worse for it.
"""

from __future__ import annotations

from liveserver.core.budget import Budget
from liveserver.core.pace import Pace
from liveserver.core.shares import THOUSANDTHS, Demand, share
from liveserver.store.port import Beat


class Sharing:
    def __init__(self, budget_per_s: int, budget: Budget, now_ms: int) -> None:
        self._whole = budget_per_s * THOUSANDTHS
        self._budget = budget
        self._demand = Demand(now_ms)
        self._counted = 0
        self._pace = Pace()
        self._ladder_percent = 100

    @property
    def percent(self) -> int:
        """How much of the share is used; 100: all of it."""
        return min(self._pace.percent, self._ladder_percent)

    def demand(self, now_ms: int) -> int:
        """For the beat: in thousandths of a line per second."""
        wanted = self._budget.wanted
        self._demand.add(wanted - self._counted)
        self._counted = wanted
        return self._demand.per_s(now_ms)

    def beat(self, told: int, beat: Beat) -> None:
        """The store has answered; ``told`` is the demand it was told of."""
        self._budget.set_share(share(self._whole, told, beat.demand, beat.processes))

    def broadcast(self, *, took_ms: int, captured: int, paused: int) -> None:
        """A tick's frame has been written, as far as it could be."""
        self._pace.broadcast(took_ms=took_ms, captured=captured, paused=paused)

    def look(self, ladder_percent: int) -> None:
        """Once a second: how did it go?"""
        self._ladder_percent = ladder_percent
        self._pace.look()
        self._budget.tighten(self.percent)
