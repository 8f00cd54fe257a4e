"""How often: token buckets in whole numbers, so that the wait they name is exact.

A bucket holds thousandths of a token: at ``rate_per_s`` tokens a second exactly ``rate_per_s`` thousandths
flow in per millisecond. Time never runs backwards here: an older ``now_ms`` counts as the latest seen.
"""

from __future__ import annotations

from protocol import commands

from .limits import Rate, SessionRates

NEVER_MS = 3_600_000  # the wait a bucket without inflow names


class Bucket:
    """Full at first. ``rate_per_s`` and ``burst`` are whole tokens."""

    __slots__ = ("_at_ms", "_level", "burst", "rate_per_s")

    def __init__(self, rate_per_s: int, burst: int) -> None:
        assert rate_per_s >= 0 and burst >= 0, (rate_per_s, burst)
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._level = burst * 1_000
        self._at_ms = -1  # no time seen yet

    def whole(self, now_ms: int) -> int:
        """The tokens that could be taken at once."""
        self._refill(now_ms)
        return self._level // 1_000

    def take(self, now_ms: int, cost: int = 1) -> int:
        """0: taken. Else nothing was taken, and the same call succeeds after this many milliseconds."""
        assert 0 <= cost <= self.burst, (cost, self.burst)
        self._refill(now_ms)
        missing = cost * 1_000 - self._level
        if missing <= 0:
            self._level -= cost * 1_000
            return 0
        return -(-missing // self.rate_per_s) if self.rate_per_s else NEVER_MS

    def drain(self, now_ms: int, cost: int = 1) -> None:
        """Take as much of ``cost`` as there is: for what happens whether there is or not."""
        self._refill(now_ms)
        self._level = max(0, self._level - cost * 1_000)

    def retune(self, rate_per_s: int, burst: int) -> None:
        """From now on another rate. What was saved up beyond the new burst is lost."""
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._level = min(self._level, burst * 1_000)

    def _refill(self, now_ms: int) -> None:
        if self._at_ms < 0:
            self._at_ms = now_ms
        elif now_ms > self._at_ms:
            gained = (now_ms - self._at_ms) * self.rate_per_s
            self._level = min(self.burst * 1_000, self._level + gained)
            self._at_ms = now_ms


_OWN: dict[type, str] = {
    commands.SendDanmaku: "danmaku",
    commands.Like: "likes",
    commands.Purchase: "purchases",
}
"""Commands with a rate of their own, beside the one all commands share."""


class SessionLimits:
    """One session's buckets, made when first used: an idle viewer costs none."""

    __slots__ = ("_buckets", "_rates")

    def __init__(self, rates: SessionRates) -> None:
        self._rates = rates
        self._buckets: dict[str, Bucket] | None = None

    def take(self, command_type: type, now_ms: int) -> int:
        """0: go on. Else the command is refused, and may be sent again after this many milliseconds. A
        refused command has still cost one of the tokens shared by all."""
        wait_ms = self._bucket("commands").take(now_ms)
        own = _OWN.get(command_type)
        if wait_ms or own is None:
            return wait_ms
        return self._bucket(own).take(now_ms)

    def _bucket(self, name: str) -> Bucket:
        if self._buckets is None:
            self._buckets = {}
        bucket = self._buckets.get(name)
        if bucket is None:
            rate: Rate = getattr(self._rates, name)
            bucket = self._buckets[name] = Bucket(rate.per_s, rate.burst)
        return bucket
