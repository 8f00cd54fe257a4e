"""``adjustStock``: restock a sale, or take unsold units out of it."""

from __future__ import annotations

from protocol.commands import AdjustStock
from protocol.replies import Done

from .ports import Context
from .reservations import ledger_errors
from .sales import sale_of_room
from .session import Session


async def handle(context: Context, session: Session, command: AdjustStock) -> Done:
    await sale_of_room(context, command.room, command.sale_id)
    with ledger_errors(unknown_item="itemId"):
        view = await context.stock.ledger.adjust(
            command.sale_id,
            command.item_id,
            command.delta,
            actor=session.who.user_id,
            reason=command.reason,
            command_id=command.id,
        )
    context.stock.observe(view)
    return Done(id=command.id, t=context.clock.now_ms())
