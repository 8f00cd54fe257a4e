"""Time as an argument.

The pure core takes ``now_ms`` as a plain integer. What must *wait* (the ledger's deadline, the tick,
keepalive, the sweeper) waits on a ``Clock``, so that a test can hold time still and move it by hand.
All times are milliseconds of the server's wall clock, steered to Redis ``TIME`` and never going back.
"""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch; never smaller than a value returned before."""
        ...

    async def sleep_ms(self, delay_ms: float) -> None:
        """Return once ``delay_ms`` of this clock have passed. Safe to cancel."""
        ...
