"""nothing_stranded: no unit is stuck or lost, and nobody was sent away from a full shelf.

At the end of the feed: the sale is closed, nothing is held, and per item initial + adjusts = available +
confirmed. And each ``sold_out`` a viewer was told names an ``(epoch, seq)`` at which the folded feed has
too little for at least one line of that very order, or somebody in line for its item.
"""

from __future__ import annotations

from loadtest.verdict.case import Case, Message
from loadtest.verdict.feed import Sale, fold_all
from loadtest.verdict.tally import Finding, Tally
from loadtest.verdict.told import outcomes_of


def check(case: Case) -> Finding:
    tally = Tally()
    sales = fold_all(case)
    for sale in sales.values():
        tally.expect(sale.closed, f"sale {sale.sale_id} was never closed")
        for item in sale.items:
            held = sale.held[item]
            tally.expect(not held, f"sale {sale.sale_id}: {held} of {item} are still held")
            put_in = sale.initial[item] + sale.adjusted[item]
            out = sale.available[item] + sale.confirmed[item]
            tally.expect(
                held != 0 or put_in == out,
                f"sale {sale.sale_id}: {put_in} of {item} put in, {out} left or sold",
            )
    for user, order, outcome in outcomes_of(case, "sold_out"):
        _sold_out(tally, sales, user, outcome, order)
    return tally.finding()


def _sold_out(tally: Tally, sales: dict[str, Sale], user: str, outcome: Message, order: Message) -> None:
    told = f"{user} was told sold_out for {outcome['id']} at {outcome.get('epoch')}-{outcome.get('seq')}"
    sale = sales.get(outcome.get("saleId", ""))
    available = sale.available_at(outcome.get("epoch", 0), outcome.get("seq", 0)) if sale else None
    if available is None or not order:
        tally.expect(False, f"{told}, an instant the feed does not have")
        return
    wanted: dict[str, int] = {}
    for line in order["lines"]:
        wanted[line["itemId"]] = wanted.get(line["itemId"], 0) + line.get("quantity", 1)
    waited = sale.waited_at.get(outcome.get("seq", 0), frozenset()) if sale else frozenset()
    short = any(available.get(item, 0) < units or item in waited for item, units in wanted.items())
    tally.expect(short, f"{told}, but {available} were there for {wanted}")
