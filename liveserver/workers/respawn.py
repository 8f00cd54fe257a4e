"""When a place that lost its process gets the next one. Pure: time is an argument.

The first death is made good at once: connections wait in the place's queue. Deaths in a row wait longer and
longer, since what kills a process in its first seconds mostly kills the next one too; after some it is given
up, for a server that only seems to run is worse than one that has ended.
"""

from __future__ import annotations

from typing import Final

STEADY_MS: Final = 10_000  # who lived this long died of something of its own
DEATHS_MAX: Final = 6  # in a row
WAIT_MS_MIN: Final = 100
WAIT_MS_MAX: Final = 3_000


class Respawn:
    def __init__(self) -> None:
        self.deaths = 0  # in a row

    def died(self, lived_ms: float) -> int | None:
        """The milliseconds to wait before the next one; None: give it up."""
        self.deaths = 1 if lived_ms >= STEADY_MS else self.deaths + 1
        if self.deaths > DEATHS_MAX:
            return None
        if self.deaths == 1:
            return 0
        return int(min(WAIT_MS_MIN * 2 ** (self.deaths - 2), WAIT_MS_MAX))
