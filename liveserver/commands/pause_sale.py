"""``pauseSale``: nothing is sold for now; what is held may be paid, and its time runs on."""

from __future__ import annotations

from protocol.commands import PauseSale
from protocol.replies import Done

from .ports import Context
from .reservations import ledger_errors
from .sales import may_steer
from .session import Session


async def handle(context: Context, session: Session, command: PauseSale) -> Done:
    await may_steer(context, session.who, command)
    with ledger_errors(repeated=True):
        view = await context.stock.ledger.pause(
            command.sale_id, actor=session.who.user_id, command_id=command.id
        )
    context.stock.observe(view)
    return Done(id=command.id, t=context.clock.now_ms())
