"""user_limit: nobody ever had more units, held and confirmed, than the streamer allowed.

From the feed, at every change, against the limit the streamer asked for (not the one the feed states);
and from outside it: what one user was told confirmed in one sale.
"""

from __future__ import annotations

from loadtest.verdict.asked import asked_of
from loadtest.verdict.case import Case, Message
from loadtest.verdict.feed import fold_all
from loadtest.verdict.tally import Finding, Tally


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
    return tally.finding()


def _confirmed_by_user(case: Case) -> dict[tuple[str, str], int]:
    confirmed: dict[str, Message] = {}
    for connection in case.connections:
        for item in connection.items:
            reservation = item.body.get("reservation") if item.kind == "down" else None
            if reservation and reservation.get("state") == "confirmed":
                confirmed[reservation["reservationId"]] = reservation
    units: dict[tuple[str, str], int] = {}
    for reservation_id, reservation in confirmed.items():
        user = reservation_id.rpartition("~")[0].partition("~")[2]
        key = reservation["saleId"], user
        units[key] = units.get(key, 0) + sum(line.get("quantity", 1) for line in reservation["lines"])
    return units
