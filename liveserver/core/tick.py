"""When a room's next broadcast is due.

In a quiet room what happens goes at once; in a busy one it waits for the next broadcast, which has all of it.
The period is measured from start to start: 100 ms, or twice what the last broadcast took if that is more, so
that a room is never busy with broadcasting for more than half of its time. A room is quiet while it has a
token in hand: each broadcast takes one, and a busy room's take more than flow in, so it never has any.

What is in no hurry (a count, that somebody has come in) rides along with the next broadcast, and goes alone
if none comes in time: a frame each would cost a quiet room as much as its comments do.

    quiet -- wanted --> due -- started --> running -- finished --> quiet, or due again if wanted meanwhile
"""

from __future__ import annotations

from .limits import TICK_AT_ONCE, TICK_BROADCASTS_PER_PERIOD, TICK_PERIOD_MS
from .rate import Bucket


class Tick:
    """One room's. All times are ``now_ms``, in milliseconds."""

    __slots__ = (
        "_alone_ms",
        "_not_before_ms",
        "_period_ms",
        "_quiet",
        "_rested_ms",
        "_started_ms",
        "_wanted",
    )

    def __init__(self, period_ms: int = TICK_PERIOD_MS) -> None:
        self._period_ms = period_ms
        self._quiet = Bucket(TICK_AT_ONCE.per_s, TICK_AT_ONCE.burst)
        self._not_before_ms = 0  # by the period
        self._rested_ms = 0  # and for a room that is quiet
        self._started_ms: int | None = None  # of the broadcast that runs
        self._wanted = False
        self._alone_ms: int | None = None  # when what rides along goes alone

    def wanted(self) -> None:
        """There is something to broadcast."""
        self._wanted = True

    def wanted_by(self, alone_ms: int) -> None:
        """There is something that rides along, and goes alone at ``alone_ms`` at the latest."""
        self._alone_ms = alone_ms if self._alone_ms is None else min(self._alone_ms, alone_ms)

    @property
    def is_urgent(self) -> bool:
        """Something waits that doesn't merely ride along."""
        return self._wanted

    @property
    def is_wanted(self) -> bool:
        """Something waits for the next broadcast."""
        return self._wanted or self._alone_ms is not None

    def next_due(self, now_ms: int) -> int | None:
        """When to broadcast, never earlier than now; None: nothing is wanted, or a broadcast is running (ask
        again when it has finished)."""
        if not self.is_wanted or self._started_ms is not None:
            return None
        if not self._wanted and self._alone_ms is not None:
            return max(now_ms, self._not_before_ms, self._alone_ms)
        return max(now_ms, self._rested_ms if self._quiet.whole(now_ms) else self._not_before_ms)

    def started(self, now_ms: int) -> None:
        """A broadcast begins; it carries all that was wanted up to now."""
        assert self._started_ms is None, "one broadcast at a time"
        self._started_ms = now_ms
        self._quiet.drain(now_ms)
        self._wanted = False
        self._alone_ms = None

    def finished(self, now_ms: int) -> None:
        assert self._started_ms is not None, "no broadcast runs"
        took_ms = max(0, now_ms - self._started_ms)
        self._rested_ms = self._started_ms + TICK_BROADCASTS_PER_PERIOD * took_ms
        self._not_before_ms = max(self._started_ms + self._period_ms, self._rested_ms)
        self._started_ms = None
