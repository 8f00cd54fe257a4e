"""What one tick holds of a room's danmaku before it is decided what is shown."""

from __future__ import annotations

from typing import Any, NamedTuple

from protocol.types import Danmaku, Fate


class Offered(NamedTuple):
    """A comment of one of our viewers, its text already clean. ``priority``: see ``priority.Priority``;
    ``ticket``: whatever its sender's receipt needs, None if nobody waits for one."""

    danmaku: Danmaku
    priority: int
    ticket: Any


class Settled(NamedTuple):
    """What became of a ticket. ``danmaku_id``: the line that is shown, or that it was merged into.
    ``reason`` of ``limited``: budget, rate (he may say more after ``retry_ms``), muted, deleted."""

    ticket: Any
    fate: Fate
    danmaku_id: str = ""
    reason: str = ""
    retry_ms: int = 0


class Waiting:
    """Equal comments that wait for the tick. ``remote``: one of them comes from another process and is shown
    for certain; else the first of ``entries`` is shown, if the budget allows: the first said of those with
    the highest priority."""

    __slots__ = ("aliases", "entries", "lot", "more", "nth", "out", "remote", "text")

    def __init__(self, text: str, nth: int = 0, lot: float = 0.0) -> None:
        self.text = text
        self.entries: list[Offered] = []
        self.lot = lot
        self.out = False  # it is no longer in the tick
        self.nth = nth  # how many lines its sender had in this second before
        self.remote: Danmaku | None = None
        self.aliases: list[str] = []  # ids of equal ones other processes show
        self.more = 0  # equal ones other processes counted

    @property
    def priority(self) -> int:
        return self.entries[0].priority

    @property
    def turn(self) -> tuple[int, int, float]:
        """Smallest first: by priority, then whoever has said less in this second, then by lot."""
        return -self.priority, self.nth, self.lot

    def add(self, entry: Offered) -> None:
        self.entries.append(entry)
        if entry.priority > self.priority:
            self.entries[0], self.entries[-1] = self.entries[-1], self.entries[0]

    def drop(self, gone: list[Offered]) -> None:
        left = {id(entry) for entry in gone}
        self.entries = [entry for entry in self.entries if id(entry) not in left]
        if self.entries:
            first = max(range(len(self.entries)), key=lambda place: self.entries[place].priority)
            self.entries[0], self.entries[first] = self.entries[first], self.entries[0]
