"""late_payments: money that came after its hold had ended found its end, the right one, once.

From the feed, at the change before each such payment: it is ``confirm_late`` if a purchase made then would
have got every line (units nobody waits for, limit, the sale neither closed nor frozen), else ``refund_due``.
No reservation is paid late twice. From outside the feed: the order service was answered that state and no
other, and the buyer was told once.
"""

from __future__ import annotations

from functools import partial
from typing import Final, NamedTuple

from loadtest.verdict.case import Case
from loadtest.verdict.feed import Sale, fold
from loadtest.verdict.tally import Finding, Tally
from loadtest.verdict.told import Notices, confirms_asked

STATE: Final = {"confirm_late": "confirmed", "refund_due": "refund_due"}
NOTICE: Final = {"confirm_late": "reservationConfirmed", "refund_due": "reservationRefundDue"}


class Late(NamedTuple):
    user: str
    reservation_id: str
    kind: str
    at_ms: int
    could_be_had: bool


def check(case: Case) -> Finding:
    tally = Tally()
    notices = Notices(case)
    answered = {ask.reservation_id: ask.states for ask in confirms_asked(case)}
    paid_late = had = 0
    for sale_id, entries in case.feeds.items():
        late: list[Late] = []
        fold(sale_id, entries, partial(_note, late))
        paid = [each.reservation_id for each in late]
        for each in late:
            tally.expect(paid.count(each.reservation_id) == 1, f"{each.reservation_id} was paid late twice")
            right = (each.kind == "confirm_late") == each.could_be_had
            tally.expect(right, f"{each.reservation_id} came to {each.kind}, {_law(each.could_be_had)}")
            _answered(tally, each, answered.get(each.reservation_id, ()))
            notices.told_once(tally, each.user, NOTICE[each.kind], each.reservation_id, each.at_ms)
            had += each.kind == "confirm_late"
        paid_late += len(late)
    tally.remark(f"{paid_late} paid late, {had} of them had it anew")
    return tally.finding()


def _note(late: list[Late], sale: Sale, row: dict[str, str]) -> None:
    if row["kind"] not in STATE:
        return
    user, place = row["reservation"].split(" ")
    held, at_ms = sale.reservations.get((user, int(place))), int(row["at"])
    sells = not sale.closed and not sale.frozen and sale.opens_ms <= at_ms < sale.closes_ms
    fits = held is not None and all(sale.available[item] >= units for item, units in held.lines.items())
    waited_for = held is not None and any(sale.line[item] for item in held.lines)
    units = held.units if held is not None else 0
    within = not sale.limit or sale.units_by_user.get(user, 0) + units <= sale.limit
    late.append(
        Late(
            user,
            f"{sale.sale_id}~{user}~{place}",
            row["kind"],
            at_ms,
            sells and fits and within and not waited_for,
        )
    )


def _answered(tally: Tally, late: Late, states: tuple[str, ...]) -> None:
    said = [state for state in states if state in STATE.values()]
    right = bool(said) and set(said) == {STATE[late.kind]}
    tally.expect(right, f"{late.reservation_id} came to {late.kind}, the order service heard {said}")


def _law(could_be_had: bool) -> str:
    return "and could be had" if could_be_had else "and could not be had"
