"""How many lines each user has had a turn for in the running second, over all his connections here.

Equal comments are merged into one line with a count, whoever repeats them. This bounds the other flood: one
user's many different texts. Seconds are those of the first line after a quiet spell, not of the clock.
"""

from __future__ import annotations

from .limits import SPEAKERS_MAX

SECOND_MS = 1_000


class Speakers:
    def __init__(self, lines_per_s: int, limit: int = SPEAKERS_MAX) -> None:
        self._lines_per_s = lines_per_s
        self._limit = limit
        self._until_ms = 0
        self._lines: dict[str, int] = {}

    def next(self, user_id: str, now_ms: int) -> int | None:
        """How many he had before this one; None: he has had his turns. Beyond ``limit`` users in a second
        those that come later aren't counted."""
        if now_ms >= self._until_ms:
            self._lines.clear()
            self._until_ms = now_ms + SECOND_MS
        before = self._lines.get(user_id, 0)
        if before >= self._lines_per_s:
            return None
        if before or len(self._lines) < self._limit:
            self._lines[user_id] = before + 1
        return before

    def wait_ms(self, now_ms: int) -> int:
        """Until everybody has his turns again."""
        return max(1, self._until_ms - now_ms)
