"""What became of a tick's comments, told to their senders in slices, so that a flood's thousand receipts at
once keep nobody's purchase waiting."""

from __future__ import annotations

from time import perf_counter

from liveserver.core.clock import Clock
from liveserver.core.waiting import Settled
from protocol.replies import Receipt

RECEIPTS_PER_LOOK = 16  # between two looks at the clock


class ReceiptsJob:
    """A ``broadcaster.Job``. Tickets are (session, command id)."""

    def __init__(self, room_id: str, settled: list[Settled], clock: Clock) -> None:
        self._room_id = room_id
        self._settled = settled
        self._clock = clock
        self._at = 0

    def write(self, until_s: float) -> bool:
        while self._at < len(self._settled):
            now_ms = self._clock.now_ms()
            for one in self._settled[self._at : self._at + RECEIPTS_PER_LOOK]:
                self._at += 1
                self._say(one, now_ms)
            if perf_counter() >= until_s:
                break
        return self._at >= len(self._settled)

    def _say(self, one: Settled, now_ms: int) -> None:
        session, command_id = one.ticket
        session.in_flight -= 1
        session.reply(
            Receipt(
                id=command_id,
                t=now_ms,
                room=self._room_id,
                fate=one.fate,
                danmaku_id=one.danmaku_id,
                reason=one.reason,
                retry_ms=one.retry_ms,
            )
        )
