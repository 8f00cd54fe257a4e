"""freeze: from the instant a sale is frozen nothing in it is sold or confirmed, and each holder is told once.

In the feed no unit is granted or paid for behind the row. Outside it: nobody was told of a grant made behind
it, nothing the order service was told confirmed was confirmed behind it, ``frozen`` was not answered before
it. Those who held units at the instant, and nobody else, were told. It stands in the feed if and only if a
streamer ordered it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from loadtest.verdict.asked import done_commands
from loadtest.verdict.case import Case
from loadtest.verdict.feed import Sale, fold
from loadtest.verdict.tally import Finding, Tally
from loadtest.verdict.told import Notices, answers_of, outcomes_of

SELLS: Final = frozenset({"reserve", "wait", "serve", "confirm", "confirm_late"})
NOTICE: Final = "reservationFrozen"


class Freeze(NamedTuple):
    sale_id: str
    seq: int  # of the row
    at_ms: int
    command: str
    holders: dict[str, str]  # reservation id -> user
    confirmed: frozenset[str]  # reservation ids paid for before it


def check(case: Case) -> Finding:
    tally = Tally()
    notices = Notices(case)
    freezes: dict[str, Freeze] = {}

    def note(sale: Sale, row: dict[str, str]) -> None:
        frozen = freezes.get(sale.sale_id)
        if frozen is not None:
            sells = row["kind"] in SELLS
            tally.expect(not sells, f"sale {sale.sale_id} seq {row['first']}: {row['kind']} after the freeze")
        elif row["kind"] == "freeze":
            freezes[sale.sale_id] = _freeze(sale, row)

    for sale_id, entries in case.feeds.items():
        fold(sale_id, entries, note)
    _as_ordered(tally, case, freezes)
    for frozen in freezes.values():
        for reservation_id, user in frozen.holders.items():
            notices.told_once(tally, user, NOTICE, reservation_id, frozen.at_ms)
    for user, reservation_id in notices.of(NOTICE):
        held = any(reservation_id in frozen.holders for frozen in freezes.values())
        tally.expect(held, f"{user} was told {NOTICE} of {reservation_id}, which was not held")
    _outside(tally, case, freezes)
    tally.remark(f"{sum(len(each.holders) for each in freezes.values())} held when a sale was frozen")
    return tally.finding()


def _freeze(sale: Sale, row: dict[str, str]) -> Freeze:
    named = {f"{sale.sale_id}~{user}~{place}": held for (user, place), held in sale.reservations.items()}
    return Freeze(
        sale.sale_id,
        int(row["first"]),
        int(row["at"]),
        row.get("command", ""),
        {name: held.user for name, held in named.items() if held.state == "held"},
        frozenset(name for name, held in named.items() if held.state in ("confirmed", "returned")),
    )


def _as_ordered(tally: Tally, case: Case, freezes: dict[str, Freeze]) -> None:
    ordered = {
        command["saleId"]: command["id"] for command in done_commands(case) if command["type"] == "freezeSale"
    }
    for sale_id, command_id in ordered.items():
        frozen = freezes.get(sale_id)
        there = frozen is not None and frozen.command == command_id
        tally.expect(there, f"sale {sale_id} was to be frozen by {command_id}, the feed has no such row")
    for sale_id in freezes.keys() - ordered.keys():
        tally.wrong(f"sale {sale_id} was frozen, and nobody ordered it")


def _outside(tally: Tally, case: Case, freezes: dict[str, Freeze]) -> None:
    for outcome in ("reserved", "frozen"):
        for user, order, told in outcomes_of(case, outcome):
            frozen = freezes.get(order.get("saleId", ""))
            if outcome == "frozen":
                early = frozen is None or told.get("seq", 0) < frozen.seq
                tally.expect(not early, f"{user} was told frozen at seq {told.get('seq')}, before it was")
            elif frozen is not None and not told.get("replayed", False):
                behind = told.get("seq", 0) > frozen.seq
                tally.expect(
                    not behind, f"{user} was granted {told['id']} at seq {told['seq']}, after the freeze"
                )
    for answer in answers_of(case):
        frozen = freezes.get(answer["saleId"])
        if frozen is not None and answer["state"] == "confirmed":
            name = answer["reservationId"]
            tally.expect(name in frozen.confirmed, f"{name} was told confirmed, after the freeze")
