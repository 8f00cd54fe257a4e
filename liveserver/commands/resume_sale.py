"""``resumeSale``: the sale goes on."""

from __future__ import annotations

from protocol.commands import ResumeSale
from protocol.replies import Done

from .ports import Context
from .reservations import ledger_errors
from .sales import may_steer
from .session import Session


async def handle(context: Context, session: Session, command: ResumeSale) -> Done:
    await may_steer(context, session.who, command)
    await context.kill_switch.check()
    with ledger_errors(repeated=True):
        view = await context.stock.ledger.resume(
            command.sale_id, actor=session.who.user_id, command_id=command.id
        )
    context.stock.observe(view)
    return Done(id=command.id, t=context.clock.now_ms())
