"""A sale's feed as changes of single reservations, with the state after each: what ``orders --follow``
reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from liveserver.orders.rows import Kind, changes
from liveserver.stock.ids import reservation_id
from liveserver.stock.port import ReservationState
from liveserver.stock.rows import AnyRow

_STATE: Final[dict[Kind, ReservationState]] = {
    "waiting": ReservationState.WAITING,
    "held": ReservationState.HELD,
    "skipped": ReservationState.RELEASED,
    "confirmed": ReservationState.CONFIRMED,
    "released": ReservationState.RELEASED,
    "expired": ReservationState.EXPIRED,
    "refundDue": ReservationState.REFUND_DUE,
    "returned": ReservationState.RETURNED,
}


class Changed(NamedTuple):
    place: tuple[int, int]  # (epoch, seq) of this very change
    at_ms: int
    user_id: str
    reservation_id: str
    state: ReservationState  # after it


def changes_of(sale_id: str, row: AnyRow) -> Iterator[Changed]:
    """In the order of their seqs; nothing for rows that change no reservation."""
    for change in changes(row):
        yield Changed(
            place=(row.epoch, change.seq),
            at_ms=row.at_ms,
            user_id=change.ref.user_id,
            reservation_id=reservation_id(sale_id, change.ref.user_id, change.ref.place),
            state=_STATE[change.kind],
        )
