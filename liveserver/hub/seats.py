"""Who sits in a room of this process: one seat per session and room, in a table per variant.

A table has two columns, seats and the slots of their descriptors, so that a frame can be written to everybody
without a look at each. Whoever broadcasts holds the table and how long it was: newcomers sit beyond that, and
who leaves leaves an empty place. Places are filled again only while nobody holds the table.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from enum import IntEnum
from typing import Protocol
from weakref import WeakSet

from liveserver.commands.session import Session
from liveserver.edge.descriptors import NO_SLOT

from .encoded import Variant

NOWHERE = -1  # the place of a seat that is in no table


class Writable(Protocol):
    """What the hub needs of a socket to write to it: see ``edge.socket``."""

    slot: int  # in ``edge.descriptors``, as long as the seat is listed

    def write(self, frame: bytes) -> None: ...

    def say(self, frame: bytes) -> None:
        """In order with the replies of the read that is worked through, if one is."""
        ...


class SeatState(IntEnum):
    """0 is the only state that is written to. Whoever is PAUSED shows no descriptor."""

    READS = 0
    PAUSED = 1  # does not read; gets nothing more until it drains
    GONE = 2


class Seat:
    """``cursor`` is the last critical offset written to it: everything up to there it has been sent, from
    ``start`` on. ``missed`` says that a tick's frame passed it by, so it is owed the full state."""

    __slots__ = ("cursor", "missed", "place", "session", "start", "state", "variant", "writer")

    def __init__(self, session: Session, writer: Writable, variant: Variant, cursor: int) -> None:
        self.session = session
        self.writer = writer
        self.variant = variant
        self.cursor = cursor
        self.start = cursor
        self.state = SeatState.READS
        self.missed = False
        self.place = NOWHERE  # in its table


class Table:
    """The seats of one variant. ``slots`` and ``seats`` are of the same length."""

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self.seats: list[Seat | None] = []
        self.slots = array("i")
        self.holders: WeakSet[Captured] = WeakSet()
        self._empty: list[int] = []

    def __len__(self) -> int:
        """Without the empty places."""
        return len(self.seats) - len(self._empty)

    def __contains__(self, seat: Seat) -> bool:
        return 0 <= seat.place < len(self.seats) and self.seats[seat.place] is seat

    def append(self, seat: Seat) -> None:
        seat.place = len(self.seats)
        self.seats.append(seat)
        self.slots.append(seat.writer.slot)

    def remove(self, seat: Seat) -> None:
        self.seats[seat.place] = None
        self.slots[seat.place] = NO_SLOT
        self._empty.append(seat.place)
        seat.place = NOWHERE
        self.fill()

    def fill(self) -> None:
        """Move the last ones into the empty places, unless somebody holds the table."""
        if self.holders:
            return
        for place in sorted(self._empty, reverse=True):  # so that the last one is never of an empty place
            seat, slot = self.seats.pop(), self.slots.pop()
            if seat is not None:
                self.seats[place], self.slots[place] = seat, slot
                seat.place = place
        self._empty.clear()


class Captured:
    """Who was listed at an instant: the seats of ``table`` before ``end``, ``count`` of them beside empty
    places. As long as this is referred to, nothing changes there, but for places that become empty."""

    __slots__ = ("__weakref__", "count", "end", "table")

    def __init__(self, table: Table) -> None:
        table.fill()
        self.table = table
        self.end = len(table.seats)
        self.count = len(table)
        table.holders.add(self)


class Seats:
    """No branch per session: one table per variant."""

    def __init__(self) -> None:
        self._of: dict[Variant, Table] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Seat]:
        for table in self._of.values():
            for seat in table.seats:
                if seat is not None:
                    yield seat

    def add(self, seat: Seat) -> None:
        table = self._of.get(seat.variant)
        if table is None:
            table = self._of[seat.variant] = Table(seat.variant)
        table.append(seat)
        self._count += 1

    def remove(self, seat: Seat) -> None:
        table = self._of.get(seat.variant)
        if table is None or seat not in table:
            return
        table.remove(seat)
        seat.state = SeatState.GONE
        self._count -= 1
        if not len(table):
            del self._of[seat.variant]

    def captured(self) -> list[Captured]:
        """Who is listed now: those a frame composed now is for."""
        return [Captured(table) for table in self._of.values()]
