"""The rows of one sale that are under way. Pure.

What holds: rows of one reservation are given out one after another, the next only when the one before has
found its end (delivered, or a dead letter); rows of different reservations don't wait for each other. An
entry of the feed is acknowledged when all its rows have found theirs.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Mapping, Sequence

from liveserver.orders.rows import OrderRow


class Under:
    """One row under way. ``entry_id`` empty: a dead letter that is tried again, in no entry any more."""

    __slots__ = ("attempts", "entry_id", "row")

    def __init__(self, row: OrderRow, entry_id: str, attempts: int) -> None:
        self.row = row
        self.entry_id = entry_id
        self.attempts = attempts  # deliveries that failed

    @property
    def place(self) -> str:
        """``epoch-seq``: the row's name within its sale."""
        return f"{self.row.epoch}-{self.row.seq}"


class Window:
    def __init__(self) -> None:
        self._lanes: dict[str, deque[Under]] = {}  # by reservation, oldest first
        self._ready: list[tuple[int, int, int, Under]] = []  # heads of lanes: due ms, epoch, seq
        self._left: dict[str, set[str]] = {}  # by entry: places of rows that have found no end
        self._places: dict[str, tuple[str, ...]] = {}  # by entry: of all its rows
        self._redriven: set[str] = set()
        self.rows = 0

    def take(
        self,
        entry_id: str,
        rows: Sequence[OrderRow],
        *,
        done: Collection[str] = (),
        attempts: Mapping[str, int] = {},
    ) -> bool:
        """An entry that was read. ``done``: places of its rows that have found their end before, ``attempts``
        how often others failed. False: nothing of it is left to do, so acknowledge it."""
        under = [Under(row, entry_id, 0) for row in rows]
        left = [one for one in under if one.place not in done]
        if not left:
            return False
        self._left[entry_id] = {one.place for one in left}
        self._places[entry_id] = tuple(one.place for one in under)
        for one in left:
            one.attempts = attempts.get(one.place, 0)
            self._join(one)
        return True

    def redrive(self, row: OrderRow) -> None:
        """A dead letter, once more. One that is under way already is not taken twice."""
        one = Under(row, "", 0)
        if one.place not in self._redriven:
            self._redriven.add(one.place)
            self._join(one)

    def next(self, now_ms: int) -> Under | None:
        """The next row to deliver now, or None. It is out until ``ended`` or ``again``."""
        if self._ready and self._ready[0][0] <= now_ms:
            return heapq.heappop(self._ready)[3]
        return None

    def due_ms(self) -> int | None:
        """When the next row is due; None: all that are left are out, or none is."""
        return self._ready[0][0] if self._ready else None

    def closes(self, one: Under) -> bool:
        """It is the last of its entry that has found no end."""
        return self._left.get(one.entry_id) == {one.place}

    def places(self, one: Under) -> tuple[str, ...]:
        """Of all rows of its entry."""
        return self._places.get(one.entry_id, ())

    def ended(self, one: Under) -> None:
        self.rows -= 1
        if one.entry_id:
            left = self._left[one.entry_id]
            left.discard(one.place)
            if not left:
                del self._left[one.entry_id], self._places[one.entry_id]
        else:
            self._redriven.discard(one.place)
        lane = self._lanes[one.row.reservation_id]
        assert lane[0] is one
        lane.popleft()
        if lane:
            self._push(lane[0], 0)
        else:
            del self._lanes[one.row.reservation_id]

    def again(self, one: Under, due_ms: int) -> None:
        """It failed, and stays the first of its reservation."""
        one.attempts += 1
        self._push(one, due_ms)

    def _join(self, one: Under) -> None:
        self.rows += 1
        lane = self._lanes.setdefault(one.row.reservation_id, deque())
        lane.append(one)
        if len(lane) == 1:
            self._push(one, 0)

    def _push(self, one: Under, due_ms: int) -> None:
        heapq.heappush(self._ready, (due_ms, one.row.epoch, one.row.seq, one))
