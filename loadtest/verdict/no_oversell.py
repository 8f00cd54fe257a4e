"""no_oversell: nobody was granted a unit that was not there.

From the feed: rows join without a gap, and at every change stock + adjusts = available + held +
confirmed with nothing negative. From outside the feed: it opened with the stock the streamer asked for,
every ``reserved`` and ``waiting`` a viewer was told stands in it with the same user, command and lines, and
the units confirmed to the order service, less what came back, are no more than what the streamer put on sale.
"""

from __future__ import annotations

from loadtest.verdict.asked import Asked, asked_of
from loadtest.verdict.case import Case, Message
from loadtest.verdict.feed import Sale, fold_all
from loadtest.verdict.tally import Finding, Tally
from loadtest.verdict.told import answers_of


def check(case: Case) -> Finding:
    tally = Tally()
    sales = fold_all(case)
    asked = asked_of(case)
    for sale in sales.values():
        tally.examined += len(sale.at)
        for law in ("format", "join", "balance", "window"):
            for problem in sale.problems[law]:
                tally.wrong(problem)
    _opened_as_asked(tally, sales, asked)
    _grants_stand_in_the_feed(tally, case, sales)
    _confirmed_units(tally, case, sales, asked)
    return tally.finding()


def _opened_as_asked(tally: Tally, sales: dict[str, Sale], asked: dict[str, Asked]) -> None:
    for sale_id, wanted in asked.items():
        sale = sales.get(sale_id)
        if sale is None:
            tally.wrong(f"sale {sale_id} was opened and has no feed")
            continue
        tally.expect(sale.initial == wanted.stock, f"sale {sale_id} opened with {sale.initial}")
        adjusted = {item: delta for item, delta in sale.adjusted.items() if delta}
        tally.expect(adjusted == wanted.adjusted, f"sale {sale_id} was adjusted by {adjusted}")


def _grants_stand_in_the_feed(tally: Tally, case: Case, sales: dict[str, Sale]) -> None:
    for connection in case.connections:
        for item in connection.items:
            if item.kind != "down" or item.body.get("type") != "outcome":
                continue
            if item.body["outcome"] in ("reserved", "waiting"):
                reservation = item.body.get("reservation") or {}
                tally.expect(
                    _in_feed(sales, connection.user, reservation),
                    f"{connection.user} was told {reservation.get('reservationId')}: not in the feed",
                )


def _in_feed(sales: dict[str, Sale], user: str, told: Message) -> bool:
    sale = sales.get(told.get("saleId", ""))
    held = sale.grant_of(told.get("reservationId", "")) if sale else None
    if held is None:
        return False
    lines: dict[str, int] = {}
    for line in told["lines"]:
        lines[line["itemId"]] = lines.get(line["itemId"], 0) + line.get("quantity", 1)
    return (held.user, held.command, held.lines) == (user, told["commandId"], lines)


def _confirmed_units(tally: Tally, case: Case, sales: dict[str, Sale], asked: dict[str, Asked]) -> None:
    answers = answers_of(case)
    returned = {answer["reservationId"] for answer in answers if answer["state"] == "returned"}
    confirmed: dict[str, Message] = {}
    for answer in answers:
        if answer["state"] == "confirmed" and answer["reservationId"] not in returned:
            confirmed[answer["reservationId"]] = answer
    units: dict[tuple[str, str], int] = {}
    for reservation in confirmed.values():
        for line in reservation["lines"]:
            key = reservation["saleId"], line["itemId"]
            units[key] = units.get(key, 0) + line.get("quantity", 1)
    for (sale_id, item), sold in units.items():
        wanted = asked.get(sale_id)
        stock = wanted.stock.get(item, 0) + wanted.adjusted.get(item, 0) if wanted else 0
        tally.expect(sold <= stock, f"sale {sale_id}: {sold} of {item} were paid for, {stock} on sale")
        in_feed = sales[sale_id].confirmed.get(item, 0) if sale_id in sales else 0
        tally.expect(sold <= in_feed, f"sale {sale_id}: {sold} of {item} paid, the feed has {in_feed}")
