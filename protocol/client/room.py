"""One room of one session: joined or not, how its frames are numbered, and its mirror.

Knows: the join in flight, the reply that waits for its frames, ``n`` on this connection. Doesn't know:
ids, bytes, other rooms; ``session.py`` sends what ``wants_join_at_ms`` asks for.

Every way of falling behind ends in one thing, a join with the mirror's place: a new connection, a gap, a
room head that stays ahead of us, a join refused for the moment.
"""

from __future__ import annotations

from ..frames import Frame
from ..replies import ErrorReply, Joined
from .happenings import Entered, GapFound, Missed, RoomHappening, RoomRefused
from .limits import CATCH_UP_MS_MAX, TRANSIENT_RETRY_MS
from .mirror import Mirror

TRANSIENT = frozenset({"rate_limited", "unavailable", "pending", "retry"})
"""Codes that say "not now" of a join."""


class RoomLink:
    __slots__ = (
        "_behind_since_ms",
        "_first_n",
        "_last_n",
        "_numbered",
        "_owed",
        "join_id",
        "mirror",
        "missed_frames",
        "resumes",
        "room",
        "wants_join_at_ms",
    )

    def __init__(self, room: str) -> None:
        self.room = room
        self.mirror = Mirror(room)
        self.missed_frames = 0  # in all, over every connection
        self.resumes = 0
        self.join_id = ""  # of the join in flight on this connection
        self.wants_join_at_ms: float | None = None
        self._owed: Joined | None = None  # a reply whose frames have not all come
        self._numbered = False  # this connection's join has said where numbering starts
        self._first_n = 0  # the first and last number seen on this connection
        self._last_n = 0
        self._behind_since_ms: float | None = None

    @property
    def entered(self) -> bool:
        """The mirror is true up to what the last join named."""
        return self._owed is None and not self.join_id and self._numbered

    def connected(self, now_ms: float) -> None:
        self.wants_join_at_ms = now_ms

    def disconnected(self) -> None:
        self.join_id = ""
        self.wants_join_at_ms = None
        self._owed = None
        self._numbered = False
        self._first_n = self._last_n = 0
        self._behind_since_ms = None

    def join_sent(self, join_id: str) -> None:
        self.join_id = join_id
        self.wants_join_at_ms = None
        self._behind_since_ms = None

    def joined(self, reply: Joined, now_ms: float) -> list[RoomHappening]:
        """The reply to our join. Its frames may have come before it, or come after."""
        happenings: list[RoomHappening] = []
        self.join_id = ""
        if not self._numbered:
            self._numbered = True
            if self._first_n > reply.n + 1:
                happenings.append(self._missed(self._first_n - reply.n - 1))
            self._last_n = max(self._last_n, reply.n)
        mirror = self.mirror
        if mirror.epoch is not None and reply.epoch < mirror.epoch:
            # The room's history was set back. Ours can't be continued: start over.
            mirror.forget_place()
            self.wants_join_at_ms = now_ms
            return happenings
        self._owed = reply
        self._behind_since_ms = now_ms
        happenings += self._entered(now_ms)
        return happenings

    def refused(self, reply: ErrorReply, now_ms: float) -> RoomRefused | None:
        """``None``: only for the moment; the join is sent again later."""
        self.join_id = ""
        if reply.code in TRANSIENT:
            self.wants_join_at_ms = now_ms + max(reply.retry_ms, TRANSIENT_RETRY_MS)
            return None
        return RoomRefused(room=self.room, reply=reply)

    def take(self, frame: Frame, now_ms: float) -> list[RoomHappening]:
        happenings: list[RoomHappening] = []
        if frame.n > 0:
            happenings += self._count(frame.n)
        applied = self.mirror.apply(frame, now_ms)
        if self.join_id or self._owed is not None or self.wants_join_at_ms is not None:
            # What doesn't follow yet is on its way.
            applied = [each for each in applied if not isinstance(each, GapFound)]
        elif any(isinstance(each, GapFound) for each in applied):
            self.wants_join_at_ms = now_ms
        happenings += applied
        happenings += self._entered(now_ms)
        self._watch_head(frame, now_ms)
        return happenings

    def tick(self, now_ms: float) -> None:
        """Behind for too long: ask to resume."""
        behind = self._behind_since_ms
        if behind is not None and now_ms - behind >= CATCH_UP_MS_MAX:  # never while a join is in flight
            self._behind_since_ms = None
            self._owed = None
            self.wants_join_at_ms = now_ms

    @property
    def wake_at_ms(self) -> float | None:
        """When ``tick`` or a join is due."""
        if self.wants_join_at_ms is not None:
            return self.wants_join_at_ms
        return None if self._behind_since_ms is None else self._behind_since_ms + CATCH_UP_MS_MAX

    def _count(self, n: int) -> list[RoomHappening]:
        last, self._last_n = self._last_n, max(self._last_n, n)
        if not self._first_n:
            self._first_n = n
            if not self._numbered:
                return []
        return [self._missed(n - last - 1)] if n > last + 1 else []

    def _missed(self, frames: int) -> Missed:
        self.missed_frames += frames
        return Missed(room=self.room, frames=frames)

    def _entered(self, now_ms: float) -> list[RoomHappening]:
        reply = self._owed
        if reply is None or not self.mirror.follows(reply.epoch, reply.offset):
            return []
        self._owed = None
        self._behind_since_ms = None
        self.resumes += 1
        return [
            Entered(
                room=self.room,
                epoch=reply.epoch,
                offset=reply.offset,
                mode=reply.mode,
                replayed=reply.replayed,
                me=reply.me,
            )
        ]

    def _watch_head(self, frame: Frame, now_ms: float) -> None:
        if self._owed is not None or self.join_id or self.wants_join_at_ms is not None:
            return
        if frame.head <= self.mirror.offset:
            self._behind_since_ms = None
        elif self._behind_since_ms is None:
            self._behind_since_ms = now_ms
