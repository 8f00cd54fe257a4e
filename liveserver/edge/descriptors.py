"""The file descriptors that a broadcast may write to, in one table of the process: a slot per connection.

A connection takes a slot when it first shows its descriptor, and gives it back once nobody can refer to it
any more. In between the slot says where a frame may be written now, or ``NO_FD``: while something waits in
the transport's buffer, and from the moment the connection is closed, for its number may soon be a stranger's.

The table is as long as there ever were such connections at a time, and eight bytes for each.
"""

from __future__ import annotations

from array import array
from typing import Final

NO_FD: Final = -1
NO_SLOT: Final = 0  # always ``NO_FD``: of who shows none, and of an empty place


class Descriptors:
    """``fds``: by slot, where may be written now. Whoever keeps its address must take it anew after each
    ``take``."""

    __slots__ = ("_free", "_own", "fds")

    def __init__(self) -> None:
        self.fds = array("i", [NO_FD])
        self._own = array("i", [NO_FD])  # by slot: what it says when it is shown
        self._free: list[int] = []

    def take(self, fd: int) -> int:
        """A slot that nobody else has, not shown yet."""
        if self._free:
            slot = self._free.pop()
        else:
            slot = len(self.fds)
            self.fds.append(NO_FD)
            self._own.append(NO_FD)
        self._own[slot] = fd
        return slot

    def show(self, slot: int) -> None:
        """Nothing waits there, and it is open. ``NO_SLOT`` stays what it is here, as in the other two."""
        self.fds[slot] = self._own[slot]

    def hide(self, slot: int) -> None:
        self.fds[slot] = NO_FD

    def give_back(self, slot: int) -> None:
        """Once nothing refers to it."""
        if slot != NO_SLOT:
            self.fds[slot] = self._own[slot] = NO_FD
            self._free.append(slot)


DESCRIPTORS: Final = Descriptors()
