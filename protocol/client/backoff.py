"""When to come back: full jitter, inside the server's window where it gave one. Pure."""

from __future__ import annotations

from collections.abc import Callable

from .limits import BACKOFF_BASE_MS, BACKOFF_CAP_MS, RETRY_MS_MAX


def delay_ms(failures: int, random: Callable[[], float], *, retry_ms: int = 0, spread_ms: int = 0) -> float:
    """Milliseconds to wait before the next attempt, after ``failures`` (>= 0) attempts in a row failed.

    Without a window: uniform in ``[0, min(cap, base * 2**failures))``. With one, the first attempt falls
    inside ``[retryMs, retryMs + spreadMs)``; when that fails too, the spread grows as it would have without.
    """
    assert failures >= 0
    floor = min(max(retry_ms, 0), RETRY_MS_MAX)
    spread = min(max(spread_ms, 0), RETRY_MS_MAX)
    windowed = floor > 0 or spread > 0
    grown = min(BACKOFF_CAP_MS, BACKOFF_BASE_MS << min(failures, 32))
    if not windowed:
        return random() * grown
    return floor + random() * (spread if failures == 0 else max(spread, grown))
