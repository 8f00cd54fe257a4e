"""Can this process write a room's broadcasts in time? If not, its comments are made fewer, step by step.

Halved after a second in which it could not, an eighth more after each in which it could: so it finds the
amount that goes, and comes back by itself. What is made smaller is the frames, never their number, which the
tick sees to (``core.tick``); and never what is critical, state or a reply.
"""

from __future__ import annotations

from typing import Final

EIGHTHS: Final = 8
PAUSED_DIVISOR: Final = 4  # Guess: a quarter of a room doesn't read: then it is our line, not theirs
BROADCAST_MS_MAX: Final = 500  # Guess: then the tick comes once a second


class Pace:
    """``broadcast`` after each, ``look`` once a second."""

    __slots__ = ("_captured", "_eighths", "_longest_ms", "_paused")

    def __init__(self) -> None:
        self._eighths = EIGHTHS
        self._captured = self._paused = self._longest_ms = 0

    @property
    def percent(self) -> int:
        return self._eighths * 100 // EIGHTHS

    def broadcast(self, *, took_ms: int, captured: int, paused: int) -> None:
        """Of ``captured`` sessions ``paused`` were passed over, since they take no more just now."""
        self._longest_ms = max(self._longest_ms, took_ms)
        self._captured += captured
        self._paused += paused

    def look(self) -> None:
        behind = self._paused * PAUSED_DIVISOR > self._captured or self._longest_ms > BROADCAST_MS_MAX
        self._eighths = max(1, self._eighths // 2) if behind else min(EIGHTHS, self._eighths + 1)
        self._captured = self._paused = self._longest_ms = 0
