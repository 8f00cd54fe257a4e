"""``confirm``: it was paid, says the order service. Too late for what is left, the money must go back."""

from __future__ import annotations

from liveserver.stock.port import ReservationState
from protocol.commands import Confirm
from protocol.replies import ReservationChanged

from .ports import Context
from .reservations import held, ledger_errors
from .session import Session


async def handle(context: Context, session: Session, command: Confirm) -> ReservationChanged:
    with ledger_errors(frozen="reservationId"):
        change = await context.stock.ledger.confirm(command.reservation_id, command_id=command.id)
    context.stock.observe(change.view)
    if change.changed:
        had = change.reservation.state is ReservationState.CONFIRMED
        context.stock.notify("reservationConfirmed" if had else "reservationRefundDue", change.reservation)
    return ReservationChanged(
        id=command.id,
        t=context.clock.now_ms(),
        reservation=held(change.reservation),
        changed=change.changed,
    )
