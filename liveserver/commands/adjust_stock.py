"""``adjustStock``: restock a sale, or take unsold units out of it."""

from __future__ import annotations

from protocol.commands import AdjustStock
from protocol.replies import Done

from .ports import Context
from .reservations import ledger_errors
from .sales import may_steer
from .session import Session


async def handle(context: Context, session: Session, command: AdjustStock) -> Done:
    await may_steer(context, session.who, command)
    with ledger_errors(repeated=True, unknown_item="itemId", out_of_range="delta"):
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
