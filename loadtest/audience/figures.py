"""What the night amounts to, in numbers. Counters and histograms; no judgement."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from hdrh.histogram import HdrHistogram

LATENCY_US_MAX: Final = 60_000_000


class Delays:
    """Milliseconds, kept to three digits up to a minute."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, LATENCY_US_MAX, 3)

    def record(self, ms: float) -> None:
        self._histogram.record_value(min(max(int(ms * 1000), 1), LATENCY_US_MAX))

    def at(self, percentile: float) -> float | None:
        """None if nothing was recorded."""
        if not self._histogram.get_total_count():
            return None
        return round(float(self._histogram.get_value_at_percentile(percentile)) / 1000, 2)


class Figures:
    def __init__(self) -> None:
        self.viewers = 0  # connected now
        self.viewers_most = 0
        self.counts: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()  # of the rushes
        self.scenes: Counter[str] = Counter()  # what became of orders in the scenes, and of late payments
        self.fates: Counter[str] = Counter()
        self.delivery = Delays()  # own comment sent -> in each viewer's hands
        self.listing = Delays()  # a listing published -> in each viewer's hands
        self.purchase_s: Counter[int] = Counter()  # outcomes per second of the night
        self._last_n: dict[str, int] = {}

    def came(self) -> None:
        self.viewers += 1
        self.viewers_most = max(self.viewers_most, self.viewers)

    def went(self) -> None:
        self.viewers -= 1

    def block(self, process: str, n: int, shown: int, merged: int, shed: int) -> bool:
        """A tick's counts, once per tick however many codecs carry it; False if this one was known."""
        if n <= self._last_n.get(process, 0):
            return False
        self._last_n[process] = n
        self.counts.update(danmaku_shown=shown, danmaku_merged=merged, danmaku_shed=shed)
        return True

    def report(self) -> dict[str, Any]:
        counts = self.counts
        return {
            "viewers": self.viewers_most,
            "danmaku": {
                "in": counts["danmaku_sent"],
                "shown": counts["danmaku_shown"],
                "merged": counts["danmaku_merged"],
                "shed": counts["danmaku_shed"],
                "receipts": dict(self.fates),
            },
            "gifts": counts["gifts"],
            "likes": counts["likes"],
            "entries": counts["entries"],
            "purchases": {
                "asked": counts["purchases"],
                "repeated_ids": counts["purchase_repeats"],
                "units_asked": counts["units_asked"],
                "units_offered": counts["units_offered"],
                "per_second_peak": max(self.purchase_s.values(), default=0),
                "outcomes": dict(self.outcomes),
                "confirmed": counts["confirmed"],
                "never_paid": counts["never_paid"],
                "released": counts["released"],
            },
            "scenes": dict(sorted(self.scenes.items())),
            "delivery_ms": {"p50": self.delivery.at(50), "p99": self.delivery.at(99)},
            "listing_ms": {"p50": self.listing.at(50), "p99": self.listing.at(99)},
            "frames_received": counts["frames"],
            "reconnects": counts["reconnects"],
            "stopped_reading": counts["stalls"],
            "resumed_by_replay": counts["replayed"],
            "snapshots": counts["snapshots"],
            "frames_missed": counts["frames_missed"],
        }
