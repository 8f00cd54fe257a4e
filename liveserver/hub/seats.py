"""Who sits in a room of this process: one seat per session and room, listed per variant."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Protocol

from liveserver.commands.session import Session

from .encoded import Variant


class Writable(Protocol):
    """What the hub needs of a socket to write to it: see ``edge.socket``."""

    fd: int

    def write(self, frame: bytes) -> None: ...

    def say(self, frame: bytes) -> None:
        """In order with the replies of the read that is worked through, if one is."""
        ...


class SeatState(IntEnum):
    """0 is the only state that is written to, so the hot loop asks one truth value."""

    READS = 0
    PAUSED = 1  # does not read; gets nothing more until it drains
    GONE = 2


class Seat:
    """``cursor`` is the last critical offset written to it: everything up to there it has been sent, from
    ``start`` on. ``missed`` says that a tick's frame passed it by, so it is owed the full state."""

    __slots__ = ("cursor", "missed", "session", "start", "state", "variant", "writer")

    def __init__(self, session: Session, writer: Writable, variant: Variant, cursor: int) -> None:
        self.session = session
        self.writer = writer
        self.variant = variant
        self.cursor = cursor
        self.start = cursor
        self.state = SeatState.READS
        self.missed = False


class Seats:
    """No branch per session: one insertion-ordered set per variant."""

    def __init__(self) -> None:
        self._of: dict[Variant, dict[Seat, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Seat]:
        for seats in self._of.values():
            yield from seats

    def add(self, seat: Seat) -> None:
        self._of.setdefault(seat.variant, {})[seat] = None
        self._count += 1

    def remove(self, seat: Seat) -> None:
        seats = self._of.get(seat.variant)
        if seats is None or seat not in seats:
            return
        del seats[seat]
        seat.state = SeatState.GONE
        self._count -= 1
        if not seats:
            del self._of[seat.variant]

    def captured(self) -> list[tuple[Variant, list[Seat]]]:
        """Who is listed now: those a frame composed now is for."""
        return [(variant, list(seats)) for variant, seats in self._of.items()]
