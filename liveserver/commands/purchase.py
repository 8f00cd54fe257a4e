"""``purchase``: ask for units. First half of the second walk: check, gather, one true answer."""

from __future__ import annotations

import asyncio
from functools import partial

from liveserver.stock.port import LedgerError, Line, Order, Outcome, Verdict
from protocol.commands import Purchase
from protocol.errors import CommandError
from protocol.replies import PurchaseOutcome

from .joined import joined_room
from .ports import Context, Later
from .reservations import held, refusal
from .session import Session

RETRY_MS = {Outcome.PENDING: 300, Outcome.UNAVAILABLE: 500, Outcome.FROZEN: 2_000}


def handle(context: Context, session: Session, command: Purchase) -> PurchaseOutcome | Later:
    live = joined_room(context, session, command.room)
    if command.sale_id not in live.view.sales:
        raise CommandError("unknown_sale", field="saleId", retry_ms=200)
    return _ask(context, session, command)


def _ask(context: Context, session: Session, command: Purchase) -> PurchaseOutcome | Later:
    order = Order(
        user_id=session.who.user_id,
        command_id=command.id,
        lines=tuple(Line(line.item_id, line.quantity) for line in command.lines),
    )
    try:
        asked = context.stock.purchase(command.sale_id, order, attempt=command.attempt)
    except LedgerError as error:
        raise refusal(error) from error
    if isinstance(asked, Verdict):
        return outcome_of(context, command.sale_id, command.id, asked)
    return Later(asked, partial(_answer, context, command))


def _answer(context: Context, command: Purchase, asked: asyncio.Future[Verdict]) -> PurchaseOutcome:
    try:
        return outcome_of(context, command.sale_id, command.id, asked.result())
    except LedgerError as error:
        raise refusal(error) from error


def outcome_of(context: Context, sale_id: str, command_id: str, verdict: Verdict) -> PurchaseOutcome:
    return PurchaseOutcome(
        id=command_id,
        t=context.clock.now_ms(),
        sale_id=sale_id,
        outcome=verdict.outcome.value,
        epoch=verdict.epoch,
        seq=verdict.seq,
        reservation=held(verdict.reservation) if verdict.reservation else None,
        ahead=verdict.ahead,
        replayed=verdict.replayed,
        durability=verdict.durability.value if verdict.durability else "",
        retry_ms=RETRY_MS.get(verdict.outcome, 0),
    )
