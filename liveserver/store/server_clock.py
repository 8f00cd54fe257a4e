"""The process's clock, steered to Redis ``TIME``: the shell around ``core.steer``.

Samples come with the beats (``ValkeyRoomStore(on_server_time=clock.observe)``), and from ``sync`` before
the first session is let in.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from redis.asyncio import Redis

from liveserver.core.steer import Steering

SYNC_SAMPLES: Final = 5


class ServerClock:
    """``core.clock.Clock``. Not for several threads."""

    def __init__(self) -> None:
        self._steering = Steering(time.time() * 1000 - _local_ms())

    def now_ms(self) -> int:
        return self._steering.now_ms(_local_ms())

    async def sleep_ms(self, delay_ms: float) -> None:
        # By the unsteered clock: they differ by parts in ten thousand, no matter for a wait. Event loops
        # wake up to a millisecond early.
        due_ms = _local_ms() + delay_ms
        while True:
            await asyncio.sleep(max(0.0, due_ms - _local_ms()) / 1000)
            if _local_ms() >= due_ms:
                return

    def observe(self, sent_ms: float, received_ms: float, server_ms: int) -> None:
        """A sample: asked and answered by ``time.monotonic`` in milliseconds, and what the server's wall
        clock read in between."""
        self._steering.observe(sent_ms, received_ms, server_ms)

    async def sync(self, client: Redis) -> None:
        """A few samples at once. Raises redis-py's exceptions. Safe to cancel."""
        for _ in range(SYNC_SAMPLES):
            sent_ms = _local_ms()
            seconds, microseconds = await client.time()
            self.observe(sent_ms, _local_ms(), int(seconds) * 1000 + int(microseconds) // 1000)


def _local_ms() -> float:
    return time.monotonic() * 1000
