"""How many watch and how many likes there are: shown numbers, versioned by the server's time.

A version goes only forward, likes only up; viewers go both ways. Figures that didn't change are not told.
"""

from __future__ import annotations

from protocol.frames import State


class Counts:
    def __init__(self) -> None:
        self.viewers = 0
        self.likes = 0
        self.version = 0
        self._told_viewers: int | None = None
        self._told_likes: int | None = None

    def set(self, viewers: int, likes: int, version: int) -> bool:
        """False: it is no newer than what is known, and changed nothing. ``version`` in milliseconds."""
        if version <= self.version:
            return False
        self.version = version
        self.viewers = viewers
        self.likes = max(self.likes, likes)
        return True

    def take(self) -> State | None:
        """The figures that changed since the last take, at their version; None: none did."""
        viewers = self.viewers if self.viewers != self._told_viewers else None
        likes = self.likes if self.likes != self._told_likes else None
        if self.version == 0 or (viewers is None and likes is None):
            return None
        self._told_viewers, self._told_likes = self.viewers, self.likes
        return State(version=self.version, viewers=viewers, likes=likes)

    def all(self) -> State:
        """Both figures, for whoever has seen none."""
        return State(version=self.version, viewers=self.viewers, likes=self.likes)
