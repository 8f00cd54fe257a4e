"""``purchase``: ask for units. First half of the second walk: check, gather, one true answer."""

from __future__ import annotations

from liveserver.stock.port import Line, Order, Outcome, Verdict
from protocol.commands import Purchase
from protocol.errors import CommandError
from protocol.replies import PurchaseOutcome

from .joined import joined_room
from .ports import Context
from .reservations import held, ledger_errors
from .session import Session

RETRY_MS = {Outcome.PENDING: 300, Outcome.UNAVAILABLE: 500, Outcome.FROZEN: 2_000}


async def handle(context: Context, session: Session, command: Purchase) -> PurchaseOutcome:
    live = joined_room(context, session, command.room)
    if command.sale_id not in live.view.sales:
        raise CommandError("unknown_sale", field="saleId", retry_ms=200)
    order = Order(
        user_id=session.who.user_id,
        command_id=command.id,
        lines=tuple(Line(line.item_id, line.quantity) for line in command.lines),
    )
    with ledger_errors():
        verdict = await context.stock.purchase(command.sale_id, order, attempt=command.attempt)
    return _reply(context, command, verdict)


def _reply(context: Context, command: Purchase, verdict: Verdict) -> PurchaseOutcome:
    granted = verdict.reservation is not None
    return PurchaseOutcome(
        id=command.id,
        t=context.clock.now_ms(),
        sale_id=command.sale_id,
        outcome=verdict.outcome.value,
        epoch=verdict.epoch,
        seq=verdict.seq,
        reservation=held(verdict.reservation) if verdict.reservation else None,
        ahead=verdict.ahead,
        replayed=verdict.replayed,
        durability=context.stock.durability if granted else "",
        retry_ms=RETRY_MS.get(verdict.outcome, 0),
    )
