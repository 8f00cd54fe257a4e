"""The file descriptors that a broadcast may write to, in one table of the process: a slot per connection.

A connection takes a slot when it first shows its descriptor, and gives it back once nobody can refer to it
any more. In between the slot says where a frame may be written now, or ``NO_FD``: while something waits in
the transport's buffer, and from the moment the connection is closed, for its number may soon be a stranger's.

The table is as long as there ever were such connections at a time: four bytes each.
"""

from __future__ import annotations

from array import array
from typing import Final

NO_FD: Final = -1
NO_SLOT: Final = 0  # always ``NO_FD``: of who shows none, and of an empty place


class Descriptors:
    """``fds``: by slot. Whoever keeps its address must take it anew after each ``take``."""

    __slots__ = ("_free", "fds")

    def __init__(self) -> None:
        self.fds = array("i", [NO_FD])
        self._free: list[int] = []

    def take(self) -> int:
        """A slot that nobody has, saying ``NO_FD``."""
        if self._free:
            return self._free.pop()
        self.fds.append(NO_FD)
        return len(self.fds) - 1

    def give_back(self, slot: int) -> None:
        """Once nothing refers to it. ``NO_SLOT`` is nobody's, and giving it back does nothing."""
        if slot != NO_SLOT:
            self.fds[slot] = NO_FD
            self._free.append(slot)


DESCRIPTORS: Final = Descriptors()
