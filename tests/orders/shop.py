"""What must have arrived, from the feed alone: told apart from the code under test by counting anew."""

from __future__ import annotations

from liveserver.stock.fold import fold
from liveserver.stock.ids import reservation_id
from liveserver.stock.rows import (
    AnyRow,
    Confirmed,
    ConfirmedLate,
    Corrected,
    Expired,
    Recovered,
    RefundDue,
    Released,
    Reserved,
    Returned,
    Served,
    Skipped,
    Waited,
)
from tests.orders.order_service import Row

KINDS: dict[type, str] = {
    Confirmed: "confirmed",
    ConfirmedLate: "confirmed",
    Released: "released",
    RefundDue: "refundDue",
    Returned: "returned",
}


def expected(sale_id: str, feed: list[AnyRow]) -> dict[str, tuple[str, str]]:
    """Row id -> kind, reservation id."""
    found: dict[str, tuple[str, str]] = {}
    for row in feed:
        match row:
            case Reserved():
                refs, kind = [order.ref for order in row.orders], "held"
            case Waited():
                refs, kind = [order.ref for order in row.orders], "waiting"
            case Served():
                refs, kind = list(row.refs), "held"
            case Skipped():
                refs, kind = list(row.refs), "skipped"
            case Expired():
                refs, kind = list(row.refs), "expired"
            case Confirmed() | ConfirmedLate() | Released() | RefundDue() | Returned():
                refs, kind = [row.ref], KINDS[type(row)]
            case Recovered() | Corrected():
                for nth, one in enumerate(row.orders):
                    named = reservation_id(sale_id, one.ref.user_id, one.ref.place)
                    found[f"{sale_id}/{row.epoch}-{row.first + nth}"] = (one.state.value, named)
                continue
            case _:
                continue
        for nth, ref in enumerate(refs):
            found[f"{sale_id}/{row.epoch}-{row.first + nth}"] = (
                kind,
                reservation_id(sale_id, ref.user_id, ref.place),
            )
    return found


def arrived(rows: dict[str, Row]) -> dict[str, tuple[str, str]]:
    return {row_id: (row["kind"], row["reservationId"]) for row_id, row in rows.items()}


def units_of(rows: list[Row]) -> dict[str, dict[str, int]]:
    """Kind of the last row of each reservation -> item -> units: what the order service thinks is so."""
    last: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (row["epoch"], row["seq"])):
        last[row["reservationId"]] = row
    sums: dict[str, dict[str, int]] = {}
    for row in last.values():
        for line in row["lines"]:
            of_kind = sums.setdefault(row["kind"], {})
            of_kind[line["itemId"]] = of_kind.get(line["itemId"], 0) + line["quantity"]
    return sums


def folded_units(feed: list[AnyRow]) -> tuple[list[int], list[int]]:
    """Held and confirmed, by item number."""
    whole = fold(feed)
    return whole.held, whole.confirmed


def in_order(rows: list[Row]) -> bool:
    """First deliveries of each reservation come in the order of their seqs."""
    seen: set[str] = set()
    newest: dict[str, tuple[int, int]] = {}
    for row in rows:
        if row["id"] in seen:
            continue
        seen.add(row["id"])
        at = (row["epoch"], row["seq"])
        if at < newest.get(row["reservationId"], (0, 0)):
            return False
        newest[row["reservationId"]] = at
    return True
