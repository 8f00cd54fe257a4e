"""A sale's feed as changes of single reservations: what an order service and ``orders --follow`` read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from liveserver.stock.ids import reservation_id
from liveserver.stock.port import ReservationState
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


class Changed(NamedTuple):
    place: tuple[int, int]  # (epoch, seq) of this very change
    at_ms: int
    user_id: str
    reservation_id: str
    state: ReservationState  # after it


def changes_of(sale_id: str, row: AnyRow) -> Iterator[Changed]:
    """In the order of their seqs; nothing for rows that change no reservation."""
    refs: list[Ref]
    match row:
        case Reserved():
            refs, state = [order.ref for order in row.orders], ReservationState.HELD
        case Waited():
            refs, state = [order.ref for order in row.orders], ReservationState.WAITING
        case Served():
            refs, state = list(row.refs), ReservationState.HELD
        case Skipped():
            refs, state = list(row.refs), ReservationState.RELEASED
        case Confirmed() | ConfirmedLate():
            refs, state = [row.ref], ReservationState.CONFIRMED
        case Released():
            refs, state = [row.ref], ReservationState.RELEASED
        case RefundDue():
            refs, state = [row.ref], ReservationState.REFUND_DUE
        case Returned():
            refs, state = [row.ref], ReservationState.RETURNED
        case Expired():
            refs, state = list(row.refs), ReservationState.EXPIRED
        case Recovered() | Corrected():
            for nth, order in enumerate(row.orders):
                yield Changed(
                    place=(row.epoch, row.first + nth),
                    at_ms=row.at_ms,
                    user_id=order.ref.user_id,
                    reservation_id=reservation_id(sale_id, order.ref.user_id, order.ref.place),
                    state=order.state,
                )
            return
        case _:
            return
    for nth, ref in enumerate(refs):
        yield Changed(
            place=(row.epoch, row.first + nth),
            at_ms=row.at_ms,
            user_id=ref.user_id,
            reservation_id=reservation_id(sale_id, ref.user_id, ref.place),
            state=state,
        )
