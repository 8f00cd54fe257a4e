"""What the processes of a swarm report, put together. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from hdrh.histogram import HdrHistogram

from loadtest.swarm.delays import empty, merged, ms_at

SUMMED: Final = (
    "viewers",
    "connected",
    "in_step",
    "frames",
    "commands",
    "stay",
    "at_the_end",
    "waiting",
    "critical_events",
    "missed_frames",
    "decoded",
    "bytes",
    "purchases",
    "outcomes_known",
)
COUNTED: Final = ("counts", "errors", "fates", "closes", "laws_broken", "outcomes")


class Tally:
    """``sums`` and ``counters`` by the names of ``Herd.report``."""

    def __init__(self, reports: Sequence[dict[str, Any]]) -> None:
        self.sums = {name: sum(each[name] for each in reports) for name in SUMMED}
        self.counters: dict[str, Counter[str]] = {}
        for name in COUNTED:
            counter = self.counters[name] = Counter()
            for each in reports:
                counter.update(each[name])
        self.window_ms: int = max((each["window_ms"] for each in reports), default=0)
        self.broken_details: list[str] = [line for each in reports for line in each["broken_details"]]
        self.reservations: list[str] = [one for each in reports for one in each["reservations"]]
        self.rooms: dict[str, Counter[str]] = defaultdict(Counter)
        encoded: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        self._over_time: dict[str, dict[int, Counter[int]]] = defaultdict(dict)
        for each in reports:
            for room, digests in each["digests"].items():
                self.rooms[room].update(digests)
            for group, said in each["groups"].items():
                for phase, kind, text in said["delays"]:
                    encoded[group, phase, kind].append(text)
                for second, counts in said["critical_over_time"].items():
                    into = self._over_time[group].setdefault(int(second), Counter())
                    into.update({int(ms): count for ms, count in counts.items()})
        self._delays = {key: merged(texts) for key, texts in encoded.items()}

    @property
    def divided_rooms(self) -> list[str]:
        """Rooms whose viewers did not all end with the same state."""
        return sorted(room for room, digests in self.rooms.items() if len(digests) > 1)

    def delays(self, group: str, phase: str, *kinds: str) -> HdrHistogram:
        """Several kinds together; empty where nothing was recorded. An empty ``group`` or ``phase`` means
        all."""
        return _together(
            histogram
            for (of, during, kind), histogram in self._delays.items()
            if kind in kinds and group in ("", of) and phase in ("", during)
        )

    def ms(self, group: str, phase: str, percentile: float, *kinds: str) -> float | None:
        return ms_at(self.delays(group, phase, *kinds), percentile)

    def heard_of(self) -> list[tuple[str, str, str]]:
        """(group, phase, kind) of everything recorded."""
        return sorted(self._delays)

    def critical_over_time(self, group: str) -> dict[int, Counter[int]]:
        """By the second of the machine's monotonic clock: milliseconds, counted."""
        return self._over_time.get(group, {})


def _together(histograms: Iterable[HdrHistogram]) -> HdrHistogram:
    whole = empty()
    for each in histograms:
        whole.add(each)
    return whole
