"""What an application has not read yet of a room. Pure, and bounded however slow the reader.

State is merged into one (latest wins), danmaku beyond the limit is dropped and counted (``Dropped``), and
critical events are never dropped: beyond the limit all of them are replaced by one ``Snapshotted`` made
from the mirror, which contains them.
"""

from __future__ import annotations

from collections import deque

from .happenings import DanmakuShown, Dropped, Happened, RoomHappening, Snapshotted, StateChanged
from .limits import CRITICAL_BACKLOG_MAX, DANMAKU_BACKLOG_MAX
from .mirror import Mirror


class Inbox:
    __slots__ = ("_covered", "_danmaku_blocks", "_dropped", "_mirror", "_queue", "_state")

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._queue: deque[RoomHappening | None] = deque()  # None: here the merged state is read
        self._state: StateChanged | None = None
        self._danmaku_blocks = 0
        self._dropped = 0
        self._covered = (0, 0)  # place up to which our own snapshot spoke

    def __len__(self) -> int:
        return len(self._queue) + (self._dropped > 0)

    def put(self, happening: RoomHappening) -> None:
        """``happening`` has been applied to the mirror already."""
        if isinstance(happening, StateChanged):
            self._put_state(happening)
        elif isinstance(happening, DanmakuShown):
            if self._danmaku_blocks >= DANMAKU_BACKLOG_MAX:
                self._dropped += 1
            else:
                self._danmaku_blocks += 1
                self._queue.append(happening)
        else:
            if len(self._queue) - self._danmaku_blocks >= CRITICAL_BACKLOG_MAX:
                self._collapse()
            if not self._is_covered(happening):
                self._queue.append(happening)

    def take(self) -> RoomHappening | None:
        """The next thing to read; ``None``: nothing."""
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            return Dropped(room=self._mirror.room, danmaku_blocks=dropped)
        if not self._queue:
            return None
        happening = self._queue.popleft()
        if happening is None:
            state, self._state = self._state, None
            assert state is not None
            return state
        if isinstance(happening, DanmakuShown):
            self._danmaku_blocks -= 1
        return happening

    def _put_state(self, newer: StateChanged) -> None:
        older = self._state
        if older is None:
            self._queue.append(None)
            self._state = newer
            return
        stock = {each.sale_id: each for each in older.stock}
        stock.update((each.sale_id, each) for each in newer.stock)
        self._state = StateChanged(
            room=newer.room,
            stock=list(stock.values()),
            viewers=older.viewers if newer.viewers is None else newer.viewers,
            likes=older.likes if newer.likes is None else newer.likes,
        )

    def _is_covered(self, happening: RoomHappening) -> bool:
        return (
            isinstance(happening, Happened) and (happening.epoch, happening.envelope.offset) <= self._covered
        )

    def _collapse(self) -> None:
        mirror = self._mirror
        assert mirror.epoch is not None
        skipped = sum(1 for each in self._queue if isinstance(each, Happened))
        self._dropped += self._danmaku_blocks
        self._danmaku_blocks = 0
        self._queue.clear()
        self._queue.append(
            Snapshotted(room=mirror.room, epoch=mirror.epoch, snapshot=mirror.snapshot(), skipped=skipped)
        )
        self._covered = (mirror.epoch, mirror.offset)
        if self._state is not None:
            self._queue.append(None)
