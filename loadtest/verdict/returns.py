"""returns: what was paid and came back is on sale again, once, with the limit as it was asked for.

Every return the order service was told of stands in the feed once, and gives the limit back or keeps it as
the service said; every one in the feed was asked for; its buyer was told once. (That the units are there
again is the feed's own balance; that a kept limit binds and a given one frees is ``user_limit``.)
"""

from __future__ import annotations

from loadtest.verdict.case import Case
from loadtest.verdict.feed import Sale, fold
from loadtest.verdict.tally import Finding, Tally
from loadtest.verdict.told import Notices, returns_asked


def check(case: Case) -> Finding:
    tally = Tally()
    notices = Notices(case)
    asked = {ask.reservation_id: ask for ask in returns_asked(case)}
    rows: dict[str, list[str]] = {}

    def note(sale: Sale, row: dict[str, str]) -> None:
        if row["kind"] == "return":
            user, _, place = row["reservation"].partition(" ")
            reservation_id = f"{sale.sale_id}~{user}~{place}"
            rows.setdefault(reservation_id, []).append(row["limit"])
            notices.told_once(tally, user, "reservationReturned", reservation_id, int(row["at"]))

    for sale_id, entries in case.feeds.items():
        fold(sale_id, entries, note)
    for reservation_id, ask in asked.items():
        found = rows.get(reservation_id, [])
        wanted = ["back" if ask.limit_back else "kept"] if ask.done else []
        tally.expect(found == wanted, f"{reservation_id}: a return with limit {wanted}, the feed has {found}")
    for reservation_id in rows:
        tally.expect(reservation_id in asked, f"{reservation_id} came back, and nobody asked for it")
    return tally.finding()
