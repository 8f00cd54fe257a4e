"""``release``: give back what is held for me (or, from the order service, for anybody)."""

from __future__ import annotations

from protocol.commands import Release
from protocol.replies import ReservationChanged
from protocol.types import Role

from .ports import Context
from .reservations import held, ledger_errors
from .session import Session


async def handle(context: Context, session: Session, command: Release) -> ReservationChanged:
    mine_only = None if session.who.role is Role.SERVICE else session.who.user_id
    with ledger_errors():
        change = await context.stock.ledger.release(
            command.reservation_id, command_id=command.id, user_id=mine_only
        )
    context.stock.observe(change.view)
    if change.changed and mine_only is None:
        context.stock.notify("reservationReleased", change.reservation)
    return ReservationChanged(
        id=command.id,
        t=context.clock.now_ms(),
        reservation=held(change.reservation),
        changed=change.changed,
    )
