"""Viewers whose delays are told together: the fast, the slow, those of one room. By phase of the scenario."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from loadtest.swarm.delays import Delays, OverTime


class Group:
    """``frames`` counts deliveries. A delay's kind is ``critical`` or ``danmaku`` (from sending to each
    viewer), ``enter`` (from the loss of a connection, or the beginning of the first, to being in step), or
    the kind of the command whose reply it was."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.frames = 0
        self.over_time = OverTime()
        self.phase = ""
        self._of: dict[tuple[str, str], Delays] = {}
        self._now: dict[str, Delays] = {}

    def enter_phase(self, phase: str) -> None:
        """From here on; a phase may come again, and goes on then."""
        self.phase = phase
        self._now = {kind: delays for (of, kind), delays in self._of.items() if of == phase}

    def arrived(self, kind: str, sent_us: Iterable[int], now_us: int) -> None:
        for at_us in sent_us:
            self.replied(kind, now_us - at_us, now_us)

    def replied(self, kind: str, delay_us: int, now_us: int) -> None:
        delays = self._now.get(kind)
        if delays is None:
            delays = self._now[kind] = self._of[self.phase, kind] = Delays()
        delays.record(max(delay_us, 0))
        if kind == "critical":
            self.over_time.record(now_us // 1_000_000, max(delay_us, 0))

    def report(self) -> dict[str, Any]:
        return {
            "frames": self.frames,
            "delays": [[phase, kind, delays.encoded()] for (phase, kind), delays in self._of.items()],
            "critical_over_time": self.over_time.plain(),
        }
