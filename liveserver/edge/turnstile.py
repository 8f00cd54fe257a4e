"""A crowd comes in by slices: so long of each turn of the loop, and the rest of the turn is everybody else's.

A thousand heads may lie ready in one turn, and each takes 50 µs: without this a purchase in another room
waits for all of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Final

SLICE_S: Final = 0.002

log = logging.getLogger(__name__)


class Turnstile:
    """``slice_s`` seconds of work in each turn of the running loop, and at least one piece of it. In order:
    nobody overtakes who waits. How many may wait, the caller bounds."""

    def __init__(self, slice_s: float = SLICE_S) -> None:
        self._slice_s = slice_s
        self._waiting: deque[Callable[[], None]] = deque()
        self._spent_s = 0.0  # of this turn
        self._scheduled = False

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def enter(self, work: Callable[[], None]) -> bool:
        """Now, if there is time in this turn and nobody waits; else (False) in a later one, in which an
        exception out of it is logged."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)
        if self._waiting or self._spent_s >= self._slice_s:
            self._waiting.append(work)
            return False
        began_s = perf_counter()
        try:
            work()
        finally:
            self._spent_s += perf_counter() - began_s
        return True

    def _turn(self) -> None:
        """The loop has come round: time begins anew."""
        self._spent_s = 0.0
        began_s = perf_counter()
        self._scheduled = bool(self._waiting)
        while self._waiting:
            try:
                self._waiting.popleft()()
            except Exception:
                log.exception("what waited at the door failed")
            self._spent_s = perf_counter() - began_s
            if self._spent_s >= self._slice_s:
                break
        if self._scheduled:  # there may be more, or this turn's time must be forgotten
            asyncio.get_running_loop().call_soon(self._turn)
