"""line: nobody who waits is overtaken, and everybody who waits comes to an end.

In the feed: heads are served in the order they came, nobody is granted or paid late what others wait for,
at most so many wait as the streamer allowed, units that come free while somebody waits go to the line in the
very next row, and who is skipped had all he may. Each place ended: served, left, skipped, or in a sale that
is over. Outside it: ``waiting`` told the right number ahead, and who was served or skipped was told once.
"""

from __future__ import annotations

from typing import Final

from loadtest.verdict.asked import asked_of
from loadtest.verdict.case import Case
from loadtest.verdict.feed import Sale, fold
from loadtest.verdict.tally import Finding, Tally
from loadtest.verdict.told import Notices, outcomes_of

FROM_LINE: Final = frozenset({"serve", "skip"})
STOPS: Final = frozenset({"close", "freeze", "pause"})
NOTICE: Final = {"serve": "reservationServed", "skip": "reservationSkipped"}


class Follower:
    """Goes along a sale's feed, and sees each row before it counts."""

    def __init__(self, tally: Tally, notices: Notices) -> None:
        self._tally = tally
        self._notices = notices
        self._last_kind = ""
        self._skipped: list[tuple[str, int]] = []  # user and his units at a skip, until the next row is seen
        self.ahead: dict[str, int] = {}  # reservation id -> who stood before it when it came
        self.ends = dict.fromkeys(("served", "skipped", "left", "closed"), 0)

    def before(self, sale: Sale, row: dict[str, str]) -> None:
        kind = row["kind"]
        self._free_units_are_served(sale, row)
        self._skips(sale, row)
        match kind:
            case "wait":
                self._wait(sale, row)
            case "serve" | "skip":
                for ref in row["reservations"].split("\n"):
                    user, _, place = ref.partition(" ")
                    name = f"{sale.sale_id}~{user}~{place}"
                    self._tally.expect(name in self.ahead, f"{name}: a {kind}, and it never waited")
                    self._notices.told_once(self._tally, user, NOTICE[kind], name, int(row["at"]))
                    self.ends["served" if kind == "serve" else "skipped"] += 1
                    if kind == "skip":
                        self._skipped.append((user, sale.units_by_user.get(user, 0)))
            case "release":
                user, _, place = row["reservation"].partition(" ")
                held = sale.reservations.get((user, int(place)))
                self.ends["left"] += held is not None and held.state == "waiting"
            case _:
                pass
        self._last_kind = kind

    def _wait(self, sale: Sale, row: dict[str, str]) -> None:
        length = {item: len(line) for item, line in sale.line.items()}
        for order in row["orders"].split("\n"):
            user, place, _, lines = order.split(" ")
            item = sale.items[int(lines.partition("=")[0])]
            self.ahead[f"{sale.sale_id}~{user}~{place}"] = length[item]
            length[item] += 1

    def _free_units_are_served(self, sale: Sale, row: dict[str, str]) -> None:
        """A call serves so many heads at most, so behind a ``serve`` there may be more."""
        kind, at_ms = row["kind"], int(row["at"])
        waited_for = [item for item, line in sale.line.items() if line and sale.available[item] > 0]
        sells = not (sale.closed or sale.frozen or sale.paused) and at_ms < sale.closes_ms
        if waited_for and sells and not FROM_LINE & {kind, self._last_kind} and kind not in STOPS:
            self._tally.wrong(
                f"sale {sale.sale_id} seq {row['first']}: {waited_for} free, others wait: {kind}"
            )

    def _skips(self, sale: Sale, row: dict[str, str]) -> None:
        """The skips of a call stand before its serves, which may be what made them so."""
        served = row["reservations"].split("\n") if row["kind"] == "serve" else []
        for user, units in self._skipped:
            more = sum(ref.partition(" ")[0] == user for ref in served)
            over = units + more + 1 > sale.limit > 0
            self._tally.expect(over, f"sale {sale.sale_id}: {user} was skipped with {units + more} units")
        self._skipped.clear()


def check(case: Case) -> Finding:
    tally = Tally()
    notices, asked = Notices(case), asked_of(case)
    ahead: dict[str, int] = {}
    ends: dict[str, int] = {}
    for sale_id, entries in case.feeds.items():
        follower = Follower(tally, notices)
        sale = fold(sale_id, entries, follower.before)
        for problem in sale.problems["line"]:
            tally.wrong(problem)
        if sale_id in asked:
            wanted = asked[sale_id].waitlist
            tally.expect(
                sale.waitlist == wanted, f"sale {sale_id}: {sale.waitlist} places, {wanted} asked for"
            )
        for (user, place), held in sale.reservations.items():
            over = sale.closed or sale.frozen
            tally.expect(held.state != "waiting" or over, f"{sale_id}~{user}~{place} still waits")
            follower.ends["closed"] += held.state == "waiting" and over
        ahead |= follower.ahead
        for end, times in follower.ends.items():
            ends[end] = ends.get(end, 0) + times
    for user, _, told in outcomes_of(case, "waiting"):
        name = (told.get("reservation") or {}).get("reservationId", "")
        there = ahead.get(name)
        right = there is not None and (told.get("replayed", False) or told.get("ahead", 0) == there)
        tally.expect(right, f"{user} was told {told.get('ahead', 0)} ahead of {name}, there were {there}")
    tally.remark(f"{len(ahead)} waited: " + ", ".join(f"{times} {end}" for end, times in ends.items()))
    return tally.finding() if ahead else Tally().finding()
