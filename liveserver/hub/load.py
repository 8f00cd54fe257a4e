"""How this process is doing, and what it gives up when it isn't well: the shell around ``core.ladder``."""

from __future__ import annotations

from typing import Final

import structlog

from liveserver.core.clock import Clock
from liveserver.core.ladder import Ladder

from .gate import Gate
from .rooms import Rooms

logger = structlog.get_logger(__name__)

SAMPLE_MS: Final = 100
SAMPLES: Final = 10  # of a look


class Load:
    def __init__(self, clock: Clock, rooms: Rooms, gate: Gate) -> None:
        self._clock = clock
        self._rooms = rooms
        self._gate = gate
        self.ladder = Ladder()

    async def watch(self) -> None:
        """For ever: how late are we called, and what follows from it. Safe to cancel."""
        lags_ms: list[float] = []
        while True:
            due_ms = self._clock.now_ms() + SAMPLE_MS
            await self._clock.sleep_ms(SAMPLE_MS)
            lags_ms.append(max(0, self._clock.now_ms() - due_ms))
            if len(lags_ms) >= SAMPLES:
                self.look(lags_ms)
                lags_ms = []

    def look(self, lags_ms: list[float]) -> None:
        before = self.ladder.rung
        rung = self.ladder.look(lags_ms)
        if rung is not before:
            logger.warning("load", rung=rung.name, was=before.name, lag_ms=self.ladder.lag_ms)
        self._gate.admitting = rung.admits
        for live in self._rooms.all():
            live.sharing.look(rung.danmaku_percent)
