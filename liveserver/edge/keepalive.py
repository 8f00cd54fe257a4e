"""Which connections are still alive: one clock-driven beat for the whole process, no timer per socket.

Three rules, each bounded and each in the time of the injected clock:
- everybody is pinged with one shared frame about every 25 s; who showed no sign for twice that is cut;
- who stopped reading (``paused``) is cut with TOO_SLOW when nothing more of ours left for him in 10 s:
  judged by progress, not by size, so a slow line that moves is left alone;
- who owes us something (a request's head, the answer to a close frame) is cut when it is overdue.

A beat that comes late means that *we* stood still (a stopped process, a laptop asleep): what the peers sent
meanwhile is not read yet, so that beat judges nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from random import Random
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from liveserver.core.clock import Clock
from liveserver.edge.wire import PING
from protocol.close import Close

if TYPE_CHECKING:
    from liveserver.edge.socket import Socket

BEAT_MS = 250
PING_EVERY_MS = 25_000  # Source: nginx cuts an idle upgraded connection at 60 s
PING_JITTER = 0.1
LOOK_EVERY_MS = 1_000  # at the paused ones
PROGRESS_MS_MAX = 10_000
HEAD_MS_MAX = 5_000
CLOSE_MS_MAX = 2_000
STALL_MS = 2_000  # a beat this late judges nobody

log = logging.getLogger(__name__)


class Owing(Protocol):
    """Who owes us something by a deadline."""

    def overdue(self) -> None: ...


T = TypeVar("T")


class Bucket(set[T]):
    """What is due in one beat."""

    __slots__ = ("place",)

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place


class Wheel(Generic[T]):
    """Things by when they are due, in buckets of one beat: put, discard and due all cost O(1) each."""

    def __init__(self, now_ms: int) -> None:
        self._buckets: dict[int, Bucket[T]] = {}
        self._bucket_of: dict[T, Bucket[T]] = {}  # not by number: each thing would hold one
        self._next = now_ms // BEAT_MS

    def __len__(self) -> int:
        return len(self._bucket_of)

    def put(self, thing: T, due_ms: int) -> None:
        """Once in the wheel: putting it again moves it. Never due before ``due_ms``."""
        self.discard(thing)
        place = max(-(-due_ms // BEAT_MS), self._next)
        bucket = self._buckets.get(place)
        if bucket is None:
            bucket = self._buckets[place] = Bucket(place)
        bucket.add(thing)
        self._bucket_of[thing] = bucket

    def discard(self, thing: T) -> None:
        bucket = self._bucket_of.pop(thing, None)
        if bucket is not None:
            bucket.discard(thing)
            if not bucket:
                del self._buckets[bucket.place]

    def due(self, now_ms: int) -> list[T]:
        """Take out all that is due."""
        until = now_ms // BEAT_MS
        places: Iterable[int] = range(self._next, until + 1)
        if until - self._next > len(self._buckets):
            places = sorted(place for place in self._buckets if place <= until)
        found: list[T] = []
        for place in places:
            found.extend(self._buckets.pop(place, ()))
        for thing in found:
            del self._bucket_of[thing]
        self._next = max(self._next, until + 1)
        return found


class Progress:
    """How far a paused socket has come."""

    __slots__ = ("since_ms", "unsent_bytes")

    def __init__(self, unsent_bytes: int, since_ms: int) -> None:
        self.unsent_bytes = unsent_bytes
        self.since_ms = since_ms


class Keepalive:
    """``run`` beats for ever; a test may call ``beat`` itself. Counters: ``pinged``; and of those cut:
    ``silent``, ``too_slow``, ``late`` (with what they owed us)."""

    def __init__(
        self, clock: Clock, *, ping_every_ms: int = PING_EVERY_MS, random: Random | None = None
    ) -> None:
        self.now_ms = clock.now_ms()  # as of the last beat: cheap to read on every inbound byte
        self.pinged = 0
        self.silent = 0
        self.too_slow = 0
        self.late = 0
        self._clock = clock
        self._ping_every_ms = ping_every_ms
        self._silence_ms_max = 2 * ping_every_ms
        self._random = random or Random()
        self._turns: Wheel[Socket] = Wheel(self.now_ms)
        self._owing: Wheel[Owing] = Wheel(self.now_ms)
        self._paused: dict[Socket, Progress] = {}
        self._look_ms = self.now_ms + LOOK_EVERY_MS

    @property
    def sockets(self) -> int:
        return len(self._turns)

    # -- what sockets and doors say --------------------------------------------------------------------

    def arriving(self, door: Owing) -> None:
        """A connection is there; its request's head is owed."""
        self._owing.put(door, self._clock.now_ms() + HEAD_MS_MAX)

    def opened(self, socket: Socket) -> None:
        """From now on it is pinged. The first turn is drawn wide: a crowd that came at once is spread."""
        self._turns.put(socket, self.now_ms + int(self._ping_every_ms * self._random.uniform(0.5, 1.0)))

    def closing(self, socket: Owing) -> None:
        """A close frame was written; the end of the connection is owed."""
        self._owing.put(socket, self._clock.now_ms() + CLOSE_MS_MAX)

    def paused(self, socket: Socket) -> None:
        self._paused[socket] = Progress(socket.unsent_bytes(), self._clock.now_ms())

    def drained(self, socket: Socket) -> None:
        self._paused.pop(socket, None)

    def arrived(self, door: Owing) -> None:
        self._owing.discard(door)

    def gone(self, socket: Socket) -> None:
        self._turns.discard(socket)
        self._owing.discard(socket)
        self._paused.pop(socket, None)

    # -- the beat --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Beat until cancelled; cancelled, it leaves every connection as it is."""
        while True:
            await self._clock.sleep_ms(BEAT_MS)
            try:
                self.beat()
            except Exception:
                log.exception("a beat failed")

    def beat(self) -> None:
        before, self.now_ms = self.now_ms, self._clock.now_ms()
        if self.now_ms - before > STALL_MS:
            for progress in self._paused.values():
                progress.since_ms = self.now_ms
            return
        for owing in self._owing.due(self.now_ms):
            self.late += 1
            owing.overdue()
        for socket in self._turns.due(self.now_ms):
            self._turn(socket)
        if self.now_ms >= self._look_ms:
            self._look_ms = self.now_ms + LOOK_EVERY_MS
            for socket, progress in list(self._paused.items()):
                self._look(socket, progress)

    def _turn(self, socket: Socket) -> None:
        silence_ms = self.now_ms - socket.heard_ms
        if silence_ms >= self._silence_ms_max and socket.pinged_ms > socket.heard_ms:
            self.silent += 1
            socket.abort(f"no sign for {silence_ms} ms")
            return
        if not socket.paused:  # else it would only queue behind what he does not read
            socket.write(PING)
            socket.pinged_ms = self.now_ms
            self.pinged += 1
        jitter = self._random.uniform(1 - PING_JITTER, 1 + PING_JITTER)
        next_ms = self.now_ms + int(self._ping_every_ms * jitter)
        judged_ms = socket.heard_ms + self._silence_ms_max
        self._turns.put(socket, min(next_ms, judged_ms) if judged_ms > self.now_ms else next_ms)

    def _look(self, socket: Socket, progress: Progress) -> None:
        unsent_bytes = socket.unsent_bytes()
        if unsent_bytes < progress.unsent_bytes:
            progress.since_ms = self.now_ms
            socket.heard_ms = self.now_ms  # he reads: that is a sign of life
        elif self.now_ms - progress.since_ms >= PROGRESS_MS_MAX:
            self.too_slow += 1
            socket.abort(f"{unsent_bytes} bytes and no progress", Close.TOO_SLOW)
            return
        progress.unsent_bytes = unsent_bytes
