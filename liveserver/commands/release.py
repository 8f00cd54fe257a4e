"""``release``: give back what is held for me; or for anybody, says the order service, or the streamer whose
sale it is. Who may steer a sale may do this: a room it was only brought to gives no such right.
"""

from __future__ import annotations

from liveserver.core.identity import Identity
from liveserver.stock.ids import parse_reservation_id
from protocol.commands import Release
from protocol.replies import ReservationChanged
from protocol.types import Role

from .ports import Context
from .reservations import held, ledger_errors
from .sales import may_place
from .session import Session


async def handle(context: Context, session: Session, command: Release) -> ReservationChanged:
    with ledger_errors():
        mine_only = None if await _for_anybody(context, session.who, command) else session.who.user_id
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


async def _for_anybody(context: Context, who: Identity, command: Release) -> bool:
    """False: only for himself. What is his own a streamer gives back as any viewer does."""
    if who.role is not Role.STREAMER:
        return who.role is Role.SERVICE
    named = parse_reservation_id(command.reservation_id)
    return named.user_id != who.user_id and may_place(who, await context.places.of(named.sale_id))
