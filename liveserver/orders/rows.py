"""What an order service gets: one row for each change of one reservation. Pure.

The feed names a reservation and, but for its first row, not what it is of; the buyer's record knows that. A
record's lines and command never change, so a row says the same whenever it is delivered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

import msgspec

from liveserver.stock.ids import reservation_id
from liveserver.stock.packed import SaleFacts
from liveserver.stock.port import Reservation, ReservationState
from liveserver.stock.rows import (
    AnyRow,
    Confirmed,
    ConfirmedLate,
    Corrected,
    Expired,
    Recovered,
    Ref,
    RefundDue,
    Released,
    Reserved,
    Returned,
    Served,
    Skipped,
    Waited,
)

Kind = Literal["waiting", "held", "skipped", "confirmed", "released", "expired", "refundDue", "returned"]


_HOLDING: Final = (Reserved, Served, Recovered, Corrected)
_RESTORED: Final[dict[ReservationState, Kind]] = {
    ReservationState.WAITING: "waiting",
    ReservationState.HELD: "held",
    ReservationState.CONFIRMED: "confirmed",
    ReservationState.RELEASED: "released",
    ReservationState.EXPIRED: "expired",
    ReservationState.REFUND_DUE: "refundDue",
    ReservationState.RETURNED: "returned",
}
_BY_ITSELF: Final[dict[type[AnyRow], Kind]] = {Served: "held", Skipped: "skipped", Expired: "expired"}


class RowLine(msgspec.Struct, frozen=True, rename="camel"):
    item_id: str
    quantity: int


class OrderRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``id`` is the same at every delivery of this row, so who remembers it takes each row once. ``seq``
    rises over the rows of a sale; a reservation's rows come in their order."""

    id: str  # "sale/epoch-seq"
    sale_id: str
    epoch: int
    seq: int
    at_ms: int
    kind: Kind
    reservation_id: str
    user_id: str
    command_id: str  # of the purchase: the same in all rows of this reservation
    by_command_id: str  # what made this change; empty where time or the line did
    lines: list[RowLine]
    expires_at_ms: int  # of ``held``: until when it may be paid; else 0


class Change(NamedTuple):
    seq: int
    kind: Kind
    ref: Ref
    by_command_id: str


def changes(row: AnyRow) -> Iterator[Change]:
    """In the order of their seqs; nothing for a row that changes no reservation."""
    match row:
        case Reserved() | Waited():
            begun: Kind = "held" if isinstance(row, Reserved) else "waiting"
            for nth, order in enumerate(row.orders):
                yield Change(row.first + nth, begun, order.ref, order.command_id)
        case Served() | Skipped() | Expired():
            for nth, ref in enumerate(row.refs):
                yield Change(row.first + nth, _BY_ITSELF[type(row)], ref, "")
        case Confirmed() | ConfirmedLate():
            yield Change(row.first, "confirmed", row.ref, row.command_id)
        case Released():
            yield Change(row.first, "released", row.ref, row.command_id)
        case RefundDue():
            yield Change(row.first, "refundDue", row.ref, row.command_id)
        case Returned():
            yield Change(row.first, "returned", row.ref, row.command_id)
        case Recovered() | Corrected():
            for nth, restored in enumerate(row.orders):
                yield Change(row.first + nth, _RESTORED[restored.state], restored.ref, "")
        case _:
            return


def order_rows(
    facts: SaleFacts, row: AnyRow, bought: Mapping[str, list[Reservation]]
) -> tuple[OrderRow, ...]:
    """``bought``: the reservations of every user the row names, by place. Raises ``ValueError`` where one is
    not there: feed and buyers disagree."""
    return tuple(_order_row(facts, row, change, bought) for change in changes(row))


def _order_row(
    facts: SaleFacts, row: AnyRow, change: Change, bought: Mapping[str, list[Reservation]]
) -> OrderRow:
    named = reservation_id(facts.sale_id, change.ref.user_id, change.ref.place)
    mine = bought.get(change.ref.user_id, [])
    of = next((one for one in mine if one.reservation_id == named), None)
    if of is None:
        raise ValueError(
            f"{facts.sale_id}: {change.ref.user_id} has no reservation {change.ref.place}, but row "
            f"{row.epoch}-{row.last} names it; `liveserver ledger verify` says more"
        )
    return OrderRow(
        id=f"{facts.sale_id}/{row.epoch}-{change.seq}",
        sale_id=facts.sale_id,
        epoch=row.epoch,
        seq=change.seq,
        at_ms=row.at_ms,
        kind=change.kind,
        reservation_id=named,
        user_id=change.ref.user_id,
        command_id=of.command_id,
        by_command_id=change.by_command_id,
        lines=[RowLine(line.item_id, line.quantity) for line in of.lines],
        expires_at_ms=row.due_ms if change.kind == "held" and isinstance(row, _HOLDING) else 0,
    )
