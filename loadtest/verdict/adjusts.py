"""adjusts: what a streamer did to a running sale stands in its feed, as it was asked for, once.

Adjusts with item, units, actor and reason, pauses and resumes with their actor: every command answered
``done`` has one row, and every row has such a command. ``paused`` is answered only in a pause.
"""

from __future__ import annotations

from typing import Any, Final

from loadtest.verdict.asked import done_by
from loadtest.verdict.case import Case, Message
from loadtest.verdict.feed import Sale, fold
from loadtest.verdict.tally import Finding, Tally
from loadtest.verdict.told import outcomes_of

KINDS: Final = {"adjustStock": "adjust", "pauseSale": "pause", "resumeSale": "resume"}

Deed = tuple[Any, ...]  # kind, sale, actor, command, and of an adjust item, units and reason


def check(case: Case) -> Finding:
    tally = Tally()
    rows: list[Deed] = []
    pauses: dict[str, list[tuple[int, bool]]] = {}  # sale -> (seq, whether it is paused from there)

    def note(sale: Sale, row: dict[str, str]) -> None:
        if row["kind"] in KINDS.values():
            rows.append(_deed_of_row(sale, row))
        if row["kind"] in ("pause", "resume"):
            pauses.setdefault(sale.sale_id, []).append((int(row["first"]), row["kind"] == "pause"))

    for sale_id, entries in case.feeds.items():
        fold(sale_id, entries, note)
    asked = [_deed_of_command(user, command) for user, command in done_by(case) if command["type"] in KINDS]
    for deed in asked:
        tally.expect(
            rows.count(deed) == 1, f"{_told(deed)} was done, the feed has it {rows.count(deed)} times"
        )
    people = case.people()
    for deed in rows:
        if deed[2] in people or not case.meta.get("guests"):
            tally.expect(deed in asked, f"{_told(deed)} stands in the feed, and was not asked for")
    for user, order, told in outcomes_of(case, "paused"):
        seq = told.get("seq", 0)
        state = [paused for since, paused in pauses.get(order.get("saleId", ""), []) if since <= seq]
        tally.expect(bool(state) and state[-1], f"{user} was told paused at seq {seq}, in no pause")
    return tally.finding()


def _deed_of_row(sale: Sale, row: dict[str, str]) -> Deed:
    deed = row["kind"], sale.sale_id, row["actor"], row["command"]
    if row["kind"] != "adjust":
        return deed
    return *deed, sale.items[int(row["item"])], int(row["delta"]), row["reason"]


def _deed_of_command(user: str, command: Message) -> Deed:
    deed = KINDS[command["type"]], command["saleId"], user, command["id"]
    if command["type"] != "adjustStock":
        return deed
    return *deed, command["itemId"], command["delta"], command.get("reason", "")


def _told(deed: Deed) -> str:
    return " ".join(map(str, deed))
