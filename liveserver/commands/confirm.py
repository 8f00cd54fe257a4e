"""``confirm``: it was paid, says the order service."""

from __future__ import annotations

from protocol.commands import Confirm
from protocol.replies import ReservationChanged

from .ports import Context
from .reservations import held, ledger_errors
from .session import Session


async def handle(context: Context, session: Session, command: Confirm) -> ReservationChanged:
    with ledger_errors():
        change = await context.stock.ledger.confirm(command.reservation_id, command_id=command.id)
    context.stock.observe(change.view)
    if change.changed:
        context.stock.notify("reservationConfirmed", change.reservation)
    return ReservationChanged(
        id=command.id,
        t=context.clock.now_ms(),
        reservation=held(change.reservation),
        changed=change.changed,
    )
