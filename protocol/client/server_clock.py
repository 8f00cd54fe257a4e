"""The server's time as seen from here.

Every message carries the server's time ``t`` of its making, so ``t - now`` is the true offset less that
message's delay: of all samples the greatest is the least delayed. It is kept for one to two windows, so a
drifting clock on either side is followed.
"""

from __future__ import annotations

from .limits import CLOCK_WINDOW_MS


class ServerClock:
    __slots__ = ("_best", "_previous", "_window_ends_ms")

    def __init__(self) -> None:
        self._best: float | None = None
        self._previous: float | None = None
        self._window_ends_ms = 0.0

    def sample(self, server_ms: int, now_ms: float) -> None:
        """A message made at ``server_ms`` arrived at ``now_ms`` of the local clock."""
        offset = server_ms - now_ms
        if self._best is None:
            self._best, self._window_ends_ms = offset, now_ms + CLOCK_WINDOW_MS
        elif now_ms >= self._window_ends_ms:
            self._previous, self._best = self._best, offset
            self._window_ends_ms = now_ms + CLOCK_WINDOW_MS
        elif offset > self._best:
            self._best = offset

    @property
    def offset_ms(self) -> float | None:
        """Add it to the local clock; ``None`` before the first message."""
        if self._best is None or self._previous is None:
            return self._best
        return max(self._best, self._previous)

    def server_ms(self, now_ms: float) -> float | None:
        offset = self.offset_ms
        return None if offset is None else now_ms + offset
