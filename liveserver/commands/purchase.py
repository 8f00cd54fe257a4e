"""``purchase``: ask for units. First half of the second walk: check, gather, one true answer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

from liveserver.stock.port import LedgerError, Line, Order, Outcome, Verdict
from protocol.commands import Purchase
from protocol.errors import CommandError
from protocol.replies import PurchaseOutcome

from .joined import joined_room
from .ports import Context, Later, decided
from .reservations import held, ledger_errors, refusal
from .session import Session

RETRY_MS = {Outcome.PENDING: 300, Outcome.UNAVAILABLE: 500, Outcome.FROZEN: 2_000}


def handle(
    context: Context, session: Session, command: Purchase
) -> PurchaseOutcome | Later | Coroutine[Any, Any, PurchaseOutcome]:
    if command.room is None:
        return _from_shelf(context, session, command)
    if joined_room(context, session, command.room).view.sold_here(command.sale_id) is None:
        raise CommandError("unknown_sale", field="saleId", retry_ms=200)
    asked = _ask(context, session, command)
    if isinstance(asked, Verdict):
        return outcome_of(context, command.sale_id, command.id, asked)
    return Later(asked, partial(_answer, context, command))


async def _from_shelf(context: Context, session: Session, command: Purchase) -> PurchaseOutcome:
    if not await context.shelf.sells(command.sale_id):
        raise CommandError("unknown_sale", "no such sale on a shelf", field="saleId", retry_ms=1_000)
    with ledger_errors():
        verdict = await decided(_ask(context, session, command))
    return outcome_of(context, command.sale_id, command.id, verdict)


def _ask(context: Context, session: Session, command: Purchase) -> Verdict | asyncio.Future[Verdict]:
    order = Order(
        user_id=session.who.user_id,
        command_id=command.id,
        lines=tuple(Line(line.item_id, line.quantity) for line in command.lines),
    )
    try:
        return context.stock.purchase(command.sale_id, order, attempt=command.attempt)
    except LedgerError as error:
        raise refusal(error) from error


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
