"""A set that forgets: by time, and the oldest first when it is full."""

from __future__ import annotations


class FadingSet:
    """Ids, each remembered for ``keep_ms``, at most ``most`` of them."""

    __slots__ = ("_keep_ms", "_most", "_until_ms")

    def __init__(self, keep_ms: float, most: int) -> None:
        assert most > 0
        self._keep_ms = keep_ms
        self._most = most
        self._until_ms: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._until_ms)

    def add(self, key: str, now_ms: float) -> None:
        self._until_ms.pop(key, None)  # so that insertion order is the order of ending
        if len(self._until_ms) >= self._most:
            del self._until_ms[next(iter(self._until_ms))]
        self._until_ms[key] = now_ms + self._keep_ms

    def holds(self, key: str, now_ms: float) -> bool:
        until_ms = self._until_ms.get(key)
        if until_ms is None:
            return False
        if now_ms >= until_ms:
            del self._until_ms[key]
            return False
        return True
