"""user_limit: nobody ever had more units, held and confirmed, than the streamer allowed.

From the feed, at every change, against the limit the streamer asked for (not the one the feed states);
and from outside it: what one user was told confirmed in one sale. The other way round too: at the
``(epoch, seq)`` of each ``limit_reached`` that order was more than its buyer might have.
"""

from __future__ import annotations

from typing import Final

from loadtest.verdict.asked import asked_of
from loadtest.verdict.case import Case, Message
from loadtest.verdict.feed import Sale, fold_all
from loadtest.verdict.tally import Finding, Tally
from loadtest.verdict.told import answers_of, outcomes_of, returns_asked

RECORDS_MAX: Final = 64  # reservations of one buyer in one sale: more is ``limit_reached`` too


def check(case: Case) -> Finding:
    tally = Tally()
    asked = asked_of(case)
    sales = fold_all(case)
    for sale_id, sale in sales.items():
        tally.examined += len(sale.units_by_user)
        for problem in sale.problems["limit"]:
            tally.wrong(problem)
        if sale_id in asked:
            limit = asked[sale_id].limit
            tally.expect(sale.limit == limit, f"sale {sale_id}: limit {sale.limit}, {limit} was asked for")
    for (sale_id, user), units in _confirmed_by_user(case).items():
        limit = asked[sale_id].limit if sale_id in asked else 0
        tally.expect(not limit or units <= limit, f"{user} paid for {units} in {sale_id}, limit {limit}")
    _refused_rightly(tally, case, sales)
    return tally.finding()


def _refused_rightly(tally: Tally, case: Case, sales: dict[str, Sale]) -> None:
    for user, order, outcome in outcomes_of(case, "limit_reached"):
        sale = sales.get(outcome.get("saleId", ""))
        units = sum(line.get("quantity", 1) for line in order.get("lines", ()))
        had = sale.units_at(user, outcome.get("seq", 0)) if sale else 0
        places = sum(ref[0] == user for ref in sale.reservations) if sale else 0
        over = sale is not None and (0 < sale.limit < had + units or places >= RECORDS_MAX)
        tally.expect(over, f"{user} was told limit_reached for {units} units, and had {had}")


def _confirmed_by_user(case: Case) -> dict[tuple[str, str], int]:
    given_back = {asked.reservation_id for asked in returns_asked(case) if asked.limit_back and asked.done}
    confirmed: dict[str, Message] = {}
    for answer in answers_of(case):
        if answer["state"] == "confirmed" and answer["reservationId"] not in given_back:
            confirmed[answer["reservationId"]] = answer
    units: dict[tuple[str, str], int] = {}
    for reservation_id, reservation in confirmed.items():
        user = reservation_id.rpartition("~")[0].partition("~")[2]
        key = reservation["saleId"], user
        units[key] = units.get(key, 0) + sum(line.get("quantity", 1) for line in reservation["lines"])
    return units
