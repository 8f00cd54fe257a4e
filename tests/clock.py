"""A clock that stands still until a test moves it. Implements ``liveserver.core.clock.Clock``."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math

SETTLE_TURNS = 20  # loop turns given to whoever was woken, before the next one is


class ManualClock:
    def __init__(self, now_ms: int = 1_767_000_000_000) -> None:
        self._now_ms = now_ms
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self._now_ms

    async def sleep_ms(self, delay_ms: float) -> None:
        if delay_ms <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_ms + math.ceil(delay_ms), next(self._order), woken))
        await woken

    async def advance(self, delay_ms: int) -> None:
        """Moves on, stopping at each sleeper's moment in turn, so that it acts at its own time and may
        sleep again within the same advance. Real I/O is not waited for."""
        end_ms = self._now_ms + delay_ms
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end_ms:
            self._now_ms, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
            await self.settle()
        self._now_ms = end_ms

    async def settle(self) -> None:
        for _ in range(SETTLE_TURNS):
            await asyncio.sleep(0)

    @property
    def sleepers(self) -> int:
        """How many wait on this clock now."""
        return sum(not woken.done() for _, _, woken in self._sleepers)
