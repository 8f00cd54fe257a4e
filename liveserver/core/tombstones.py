"""Names that were taken away, remembered for a while so that what comes late can't bring them back.

Whoever buries needn't know the time: a fresh tombstone counts from the next ``advance``, so it stands at
least as long as promised. Bounded: past the limit the oldest falls.
"""

from __future__ import annotations

from .limits import TOMBSTONE_MS, TOMBSTONES_MAX

_UNDATED = 1 << 62


class Tombstones:
    def __init__(self, stand_ms: int = TOMBSTONE_MS, limit: int = TOMBSTONES_MAX) -> None:
        self._stand_ms = stand_ms
        self._limit = limit
        self._until_ms: dict[str, int] = {}  # the soonest to fall first
        self._undated: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._until_ms

    def __len__(self) -> int:
        return len(self._until_ms)

    def bury(self, name: str) -> None:
        self._until_ms.pop(name, None)
        self._until_ms[name] = _UNDATED
        self._undated.add(name)
        if len(self._until_ms) > self._limit:
            self.lift(next(iter(self._until_ms)))

    def lift(self, name: str) -> None:
        self._until_ms.pop(name, None)
        self._undated.discard(name)

    def advance(self, now_ms: int) -> None:
        for name in self._undated:
            self._until_ms[name] = now_ms + self._stand_ms
        self._undated.clear()
        while self._until_ms:
            oldest = next(iter(self._until_ms))
            if self._until_ms[oldest] > now_ms:
                break
            del self._until_ms[oldest]
