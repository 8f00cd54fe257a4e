"""When a row is tried again, and when no more. Pure; chance and time are arguments."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from liveserver.orders import limits
from liveserver.orders.sink import Failed, Refused


class Again(msgspec.Struct, frozen=True):
    wait_ms: int


class Dead(msgspec.Struct, frozen=True):
    why: str


class Patience(msgspec.Struct, frozen=True):
    """``attempts_max`` deliveries of a row, the waits between them doubling from ``wait_ms_first`` to
    ``wait_ms_most``."""

    attempts_max: int = limits.ATTEMPTS_MAX
    wait_ms_first: int = limits.WAIT_MS_FIRST
    wait_ms_most: int = limits.WAIT_MS_MOST

    def after(self, answer: Refused | Failed, attempts: int, chance: Callable[[], float]) -> Again | Dead:
        """``attempts`` counts this one too. ``chance`` answers 0.0 to 1.0: a wait is between half of its
        length and all of it, so that rows that failed together don't come back together."""
        if isinstance(answer, Refused):
            return Dead(answer.why)
        if attempts >= self.attempts_max:
            return Dead(f"{attempts} attempts, the last: {answer.why}")
        return Again(self.wait_ms(attempts, chance))

    def wait_ms(self, attempts: int, chance: Callable[[], float]) -> int:
        doublings = min(attempts - 1, 32)
        longest = min(self.wait_ms_first << doublings, self.wait_ms_most)
        return round(longest * (1 + chance()) / 2)
