"""``closeSale``: nothing is sold any more; what is held may still be paid until it is due."""

from __future__ import annotations

from protocol.commands import CloseSale
from protocol.replies import Done

from .ports import Context
from .reservations import ledger_errors
from .sales import may_steer
from .session import Session


async def handle(context: Context, session: Session, command: CloseSale) -> Done:
    await may_steer(context, session.who, command)
    with ledger_errors():
        view = await context.stock.ledger.close(
            command.sale_id, actor=session.who.user_id, command_id=command.id
        )
    context.stock.observe(view)
    return Done(id=command.id, t=context.clock.now_ms())
