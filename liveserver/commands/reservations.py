"""From the ledger's words to the wire's: reservations, and what the ledger refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from liveserver.stock.port import (
    LedgerError,
    LedgerPendingError,
    LedgerUnavailableError,
    Reservation,
    SaleConflictError,
    StockView,
)
from protocol.errors import CommandError
from protocol.types import HeldReservation, OrderLine, Stock

CODES = {"out_of_range": "invalid_field"}  # the ledger's code -> the wire's, where they differ
FIELDS = {
    "unknown_sale": "saleId",
    "sale_conflict": "saleId",
    "unknown_item": "lines",
    "unknown_reservation": "reservationId",
    "wrong_state": "reservationId",
    "below_held": "delta",
    "frozen": "saleId",
    "closed": "saleId",
    "too_many_adjusts": "saleId",
}


@contextmanager
def ledger_errors(*, repeated: bool = False, **fields: str) -> Iterator[None]:
    """What the ledger refuses becomes the command's error reply, naming the field. ``repeated``: the
    command's own id is what was used with other parameters, not the sale's."""
    try:
        yield
    except LedgerError as error:
        if repeated and isinstance(error, SaleConflictError):
            raise CommandError("conflict", field="id") from error
        raise refusal(error, **fields) from error


def refusal(error: LedgerError, **fields: str) -> CommandError:
    """``fields``: the ledger's code -> the field of this command that is at fault."""
    if isinstance(error, LedgerPendingError):
        return CommandError("pending", str(error), retry_ms=300)
    if isinstance(error, LedgerUnavailableError):
        return CommandError("unavailable", str(error), retry_ms=500)
    code = CODES.get(error.code, error.code)
    return CommandError(code, str(error), field=fields.get(error.code, FIELDS.get(error.code, "")))


def held(reservation: Reservation) -> HeldReservation:
    return HeldReservation(
        reservation_id=reservation.reservation_id,
        sale_id=reservation.sale_id,
        command_id=reservation.command_id,
        state=reservation.state.value,
        lines=[OrderLine(item_id=line.item_id, quantity=line.quantity) for line in reservation.lines],
        expires_at_ms=reservation.expires_at_ms,
    )


def fact_id(view: StockView) -> str:
    """Under which a room is told what this view means for it: whoever tells it, it enters once."""
    return f"sale/{view.sale_id}/{view.epoch}-{view.seq}"


def stock(view: StockView) -> Stock:
    return Stock(
        sale_id=view.sale_id,
        epoch=view.epoch,
        seq=view.seq,
        status=view.status.value,
        available=view.available,
    )
