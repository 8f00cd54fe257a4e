"""``return``: what was confirmed comes back, says the order service."""

from __future__ import annotations

from protocol.commands import Return
from protocol.replies import ReservationChanged

from .ports import Context
from .reservations import held, ledger_errors
from .session import Session


async def handle(context: Context, session: Session, command: Return) -> ReservationChanged:
    with ledger_errors():
        change = await context.stock.ledger.return_order(
            command.reservation_id, command_id=command.id, limit_back=command.limit_back
        )
    context.stock.observe(change.view)
    if change.changed:
        context.stock.notify("reservationReturned", change.reservation)
    return ReservationChanged(
        id=command.id,
        t=context.clock.now_ms(),
        reservation=held(change.reservation),
        changed=change.changed,
    )
