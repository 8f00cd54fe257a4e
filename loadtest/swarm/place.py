"""Where one viewer stands in his room, and the laws of it. Pure; kept small, for there are thousands.

The laws, by name:

    n          numbers of broadcasts grow; a gap is counted (``missed``), an older number breaks it
    critical   who is in step gets every next offset, within one epoch, or a snapshot: never a gap
    state      the counts of numbered frames never go back in ``version``
    stock      the stock of numbered frames never goes back in ``(epoch, seq)`` of its sale

Numbered frames are composed and written in one order, so what they say must not go back on a connection. A
frame without a number (a catch-up, a snapshot, a critical one) may carry older state than the tick before it:
the reader merges by version, and so does this. What the merge ends in is compared with everybody else's
(``digest``), which is how a viewer who missed frames is known to have caught up.
"""

from __future__ import annotations

from typing import NamedTuple

from loadtest.swarm.heard import Heard


class Broken(NamedTuple):
    """A law that did not hold."""

    law: str
    detail: str


class Place:
    __slots__ = (
        "_first_n",
        "_n",
        "_numbered",
        "_ticked",
        "_version",
        "epoch",
        "events",
        "head",
        "missed",
        "offset",
        "owed",
        "stock",
    )

    def __init__(self) -> None:
        self.epoch: int | None = None  # None: nothing known yet
        self.offset = 0
        self.head = 0  # the room's, as last heard
        self.owed: tuple[int, int] | None = (0, 0)  # what the last join named; None: in step
        self.missed = 0  # frames
        self.events = 0  # critical ones, applied one by one
        self.stock: dict[str, tuple[int, int]] = {}  # sale -> newest (epoch, seq)
        self._numbered = False
        self._first_n = self._n = 0
        self._version = 0
        self._ticked: dict[str, tuple[int, int]] = {}  # of this connection's numbered frames

    @property
    def in_step(self) -> bool:
        return self.owed is None

    def connected(self) -> None:
        """A new connection: its numbers begin anew; what is known is kept."""
        self.owed = (0, 0)
        self._numbered = False
        self._first_n = self._n = 0
        self._version = 0
        self._ticked = {}

    def joined(self, epoch: int, offset: int, n: int) -> Broken | None:
        """The reply to a join. Frames of it may have come before, or come after."""
        broken = None
        if not self._numbered:
            self._numbered = True
            if self._first_n > n + 1:
                self.missed += self._first_n - n - 1
            elif self._first_n and self._first_n <= n:
                broken = Broken("n", f"joined at {n}, and {self._first_n} came")
            self._n = max(self._n, n)
        if self.epoch is not None and epoch < self.epoch:
            broken = Broken("critical", f"a join answered with epoch {epoch} after {self.epoch}")
        self.owed = (epoch, offset)
        self._settle()
        return broken

    def take(self, heard: Heard) -> Broken | None:
        """A frame of this room; the first law it breaks."""
        broken = self._number(heard.n) if heard.n else None
        if heard.snapshot_offset >= 0:
            self._snapshot(heard)
        if heard.last_offset:
            broken = self._critical(heard) or broken
        if heard.version or heard.stock:
            broken = self._state(heard) or broken
        if heard.head > self.head:
            self.head = heard.head
        if self.owed is not None:
            self._settle()
        return broken

    def digest(self) -> str:
        """What this viewer ended with; equal for all who are at the end of one room."""
        sales = ",".join(f"{sale}@{epoch}.{seq}" for sale, (epoch, seq) in sorted(self.stock.items()))
        return f"{self.epoch}-{self.offset} {sales}"

    # -- inside ----------------------------------------------------------------------------------------

    def _number(self, n: int) -> Broken | None:
        last, self._n = self._n, max(self._n, n)
        if not self._first_n:
            self._first_n = n
            if not self._numbered:
                return None
        if n <= last:
            return Broken("n", f"{n} after {last}")
        self.missed += n - last - 1
        return None

    def _snapshot(self, heard: Heard) -> None:
        if self.epoch is None or (heard.epoch, heard.snapshot_offset) >= (self.epoch, self.offset):
            self.epoch, self.offset = heard.epoch, heard.snapshot_offset

    def _critical(self, heard: Heard) -> Broken | None:
        if self.epoch is None or heard.epoch < self.epoch:
            return None  # before our snapshot, or of a life of the room that is over
        if heard.epoch == self.epoch and heard.last_offset <= self.offset:
            return None
        broken = None
        if heard.epoch > self.epoch or heard.first_offset > self.offset + 1:
            if self.owed is not None:
                return None  # what comes between is on its way
            broken = Broken(
                "critical",
                f"{heard.epoch}-{heard.first_offset} after {self.epoch}-{self.offset}",
            )
        self.events += heard.last_offset - self.offset
        self.epoch, self.offset = heard.epoch, heard.last_offset
        return broken

    def _state(self, heard: Heard) -> Broken | None:
        broken = None
        if heard.n and heard.version:
            if heard.version < self._version:
                broken = Broken("state", f"version {heard.version} after {self._version}")
            self._version = heard.version
        for sale, version in heard.stock:
            if heard.n:
                if version < self._ticked.get(sale, (0, 0)):
                    broken = Broken("stock", f"{sale} at {version} after {self._ticked[sale]}")
                self._ticked[sale] = version
            if version > self.stock.get(sale, (0, 0)):
                self.stock[sale] = version
        return broken

    def _settle(self) -> None:
        if self.owed is not None and self.epoch == self.owed[0] and self.offset >= self.owed[1]:
            self.owed = None
