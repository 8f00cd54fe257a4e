"""What the streamer asked for, from the streamer's own commands: the stock, the limit, the adjusts.

Only what was answered ``done`` counts (a repeat of the same command id counts once).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from loadtest.verdict.case import Case, Message


@dataclass
class Asked:
    sale_id: str
    limit: int
    waitlist: int
    stock: dict[str, int]
    adjusted: dict[str, int] = field(default_factory=dict)
    closed: bool = False


def asked_of(case: Case) -> dict[str, Asked]:
    sales: dict[str, Asked] = {}
    stock_of: dict[str, dict[str, int]] = {}
    for command in done_commands(case):
        match command["type"]:
            case "publishListing":
                listing = command["listing"]
                stock_of[listing["listingId"]] = _stock(listing["items"])
            case "updateListing" if command.get("items"):
                stock_of[command["listingId"]] = _stock(command["items"])
            case "openSale":
                stock = dict(stock_of.get(command["listingId"], {}))
                limit, waitlist = command.get("limitPerUser", 0), command.get("waitlist", 0)
                sales[command["saleId"]] = Asked(command["saleId"], limit, waitlist, stock)
            case "adjustStock" if command["saleId"] in sales:
                adjusted = sales[command["saleId"]].adjusted
                adjusted[command["itemId"]] = adjusted.get(command["itemId"], 0) + command["delta"]
            case "closeSale" if command["saleId"] in sales:
                sales[command["saleId"]].closed = True
            case _:
                pass
    return sales


def _stock(items: list[Message]) -> dict[str, int]:
    return {item["itemId"]: item.get("stock", 0) for item in items}


def done_commands(case: Case) -> list[Message]:
    """The staff's commands that were answered ``done``, each id once, in the order they were sent."""
    return [command for _, command in done_by(case)]


def done_by(case: Case) -> list[tuple[str, Message]]:
    """The same, with who said it."""
    sent: dict[tuple[str, str], Message] = {}
    done: set[tuple[str, str]] = set()
    in_order = sorted(
        ((item.ms, connection.user, item) for connection in case.connections for item in connection.items),
        key=lambda entry: entry[0],
    )
    for _, user, item in in_order:
        if item.kind == "cmd" and item.body.get("room") == case.room:
            sent.setdefault((user, item.body["id"]), item.body)
        elif item.kind == "down" and item.body.get("type") == "done":
            done.add((user, item.body["id"]))
    return [(key[0], command) for key, command in sent.items() if key in done]
