"""Commands that wait, each for one reply. Pure.

The law ``reply``: one reply per command while the connection lives, and none that nobody asked for. A
command whose connection is lost is unknown: a purchase is then said again with the same id until its outcome
is known, and has one true answer in the end; two different ones break the law ``outcome``.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from loadtest.swarm.place import Broken
from protocol.replies import PurchaseOutcome


class Asked(NamedTuple):
    kind: str
    at_us: int


class Answers:
    """Of one viewer."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: dict[str, Asked] = {}

    def ask(self, command_id: str, kind: str, now_us: int) -> None:
        assert command_id not in self.waiting, command_id
        self.waiting[command_id] = Asked(kind, now_us)

    def answered(self, command_id: str) -> Asked | Broken:
        asked = self.waiting.pop(command_id, None)
        return asked if asked is not None else Broken("reply", f"nobody asked {command_id!r}")

    def cut(self) -> dict[str, Asked]:
        """The connection is lost: what will have no reply any more."""
        lost, self.waiting = self.waiting, {}
        return lost


class Outcomes:
    """What purchases came to, by command id. ``asked`` counts purchases, not how often one was said."""

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.held: dict[str, str] = {}  # command id -> reservation, to pay or to give back
        self._of: dict[str, str] = {}

    def take(self, reply: PurchaseOutcome) -> Broken | None:
        """A final outcome. The same said twice is one; another reservation, or a refusal beside one, is a
        second truth."""
        reservation = reply.reservation.reservation_id if reply.reservation is not None else ""
        value = reservation or reply.outcome
        if reply.id not in self.asked:
            return Broken("outcome", f"{reply.id} was never asked")
        known = self._of.get(reply.id)
        if known is None:
            self._of[reply.id] = value
            self.counts[reply.outcome] += 1
            if reservation:
                self.held[reply.id] = reservation
        elif known != value:
            return Broken("outcome", f"{reply.id} was {known!r}, then {value!r}")
        return None

    def refused(self, command_id: str, code: str) -> None:
        """Answered by an error that saying it again doesn't mend."""
        if command_id not in self._of:
            self._of[command_id] = code
            self.counts[code] += 1

    @property
    def known(self) -> int:
        return len(self._of)
