"""Writes broadcasts in slices that end by time, so that nothing waits long behind a large audience.

Critical broadcasts go before ticks' frames; within a lane the rooms take turns, a slice each. Between two
slices the loop reads its sockets, so a buyer's reply never waits behind a danmaku frame.

A tick's frame goes from here to the kernel, by a ``Sender``; only whom it could not serve is looked at one by
one. Measured: the transport's own ``write`` costs 1.2 times a C loop of ``send()`` over 2,000 sockets.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

import structlog

from liveserver.edge.senders import WRITES_PER_LOOK, PythonSender, Sender

from .encoded import Encoded
from .seats import Captured, Seat

logger = structlog.get_logger(__name__)

SLICE_S = 0.002
TICK_SLICE_S = 0.0005  # of what is in no hurry: comments and receipts
# Measured: slices by time keep the loop's lag near their length at any audience; see ARCHITECTURE.md.
RESTS = 4  # turns of the loop between two slices; Measured: see ARCHITECTURE.md
SENDER: Sender = PythonSender()  # where none is given


class Job(Protocol):
    """A broadcast under way."""

    def write(self, until_s: float) -> bool:
        """Write until ``perf_counter`` says ``until_s``; True when there is nothing left to write. What it
        raises is logged, and it is called again: it must have gone on by then, past whom it failed at."""
        ...


class Broadcaster:
    """``sender``: by which ticks' frames leave."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sender: Sender | None = None) -> None:
        self.sender = sender or SENDER
        self._loop = loop
        self._critical: deque[Job] = deque()
        self._ticks: deque[Job] = deque()
        self._scheduled = False

    def submit_critical(self, job: Job) -> None:
        self._critical.append(job)
        self._schedule()

    def submit_tick(self, job: Job) -> None:
        self._ticks.append(job)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        until_s = perf_counter() + (SLICE_S if self._critical else TICK_SLICE_S)
        while queue := self._critical or self._ticks:
            job = queue.popleft()
            if not _written(job, until_s):
                queue.append(job)
            if perf_counter() >= until_s:
                break
        if self._critical or self._ticks:
            self._scheduled = True
            self._loop.call_soon(self._rest, RESTS)

    def _rest(self, left: int) -> None:
        """Let the loop go round: what a reply still needs is several turns of it, one after the other."""
        if left:
            self._loop.call_soon(self._rest, left - 1)
        else:
            self._turn()


def _written(job: Job, until_s: float) -> bool:
    """A mistake of ours with one viewer is not the room's end."""
    try:
        return job.write(until_s)
    except Exception:
        logger.exception("broadcast_failed")
        return False


class Written(Protocol):
    def __call__(self, *, captured: int, written: int, paused: int, closed: int) -> None: ...


class TickJob:
    """One tick's frame to everybody who was listed when it was composed."""

    def __init__(self, encoded: Encoded, captured: list[Captured], done: Written, sender: Sender) -> None:
        self._parts = [(encoded.bytes_for(one.table.variant), one) for one in captured]
        self._done = done
        self._sender = sender
        self._captured = sum(one.count for one in captured)
        self._at = 0
        self._odd: list[tuple[int, int]] = []  # of the part that is written, before ``_at``
        self._written = self._paused = 0
        self._closed = sum(one.count - one.end for one in captured)  # empty places are none of them

    def write(self, until_s: float) -> bool:
        while self._parts:
            frame, part = self._parts[-1]
            self._see_to_odd(frame, part)  # whom a mistake left
            if self._at >= part.end:
                self._parts.pop()
                self._at = 0
                continue
            self._write_some(frame, part, until_s - perf_counter())
            if perf_counter() >= until_s:
                break
        if self._parts:
            return False
        done, self._done = self._done, _is_done
        done(captured=self._captured, written=self._written, paused=self._paused, closed=self._closed)
        return True

    def _write_some(self, frame: bytes, part: Captured, seconds: float) -> None:
        reached, odd = self._sender.send(part.table.slots, self._at, part.end, frame, seconds)
        self._written += reached - self._at - len(odd)
        self._at = reached
        self._odd.extend(reversed(odd))
        self._see_to_odd(frame, part)

    def _see_to_odd(self, frame: bytes, part: Captured) -> None:
        while self._odd:
            place, taken = self._odd.pop()
            self._one(part.table.seats[place], frame, taken)

    def _one(self, seat: Seat | None, frame: bytes, taken: int) -> None:
        """Whom the kernel took ``taken`` bytes for, and not the whole frame."""
        if seat is None:
            self._closed += 1
        elif taken or not seat.state:  # full, broken, or it shows none: the transport knows what to do
            seat.writer.write(frame[taken:])
            self._written += 1
        else:
            seat.missed = True
            self._paused += 1


class CriticalJob:
    """Brings everybody up to the room's head. Who is there already is passed over; who fell behind gets
    what is missing, from wherever it is: a broadcast is the catch-up most sessions share."""

    def __init__(self, seats: list[Seat], bring: Callable[[Seat], None], done: Callable[[], None]) -> None:
        self._seats = seats
        self._bring = bring
        self._done = done
        self._at = 0

    def write(self, until_s: float) -> bool:
        while self._at < len(self._seats):
            for seat in self._seats[self._at : self._at + WRITES_PER_LOOK]:
                self._at += 1
                if not seat.state:
                    self._bring(seat)
            if perf_counter() >= until_s and self._at < len(self._seats):
                return False
        done, self._done = self._done, _is_done
        done()
        return True


def _is_done(**_sums: int) -> None:
    """So that what a job's end raises is raised once."""
