"""``freezeSale``: buyer protection. Nothing is sold or confirmed from here on, and each holder is told.

The call that froze the sale tells them, once: a repetition of it finds the sale frozen and tells nobody.
Notices go at most once, as all of them; whoever joins learns from ``me`` what he holds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from liveserver.stock.port import LedgerError
from protocol.commands import FreezeSale
from protocol.replies import Done

from .ports import Context
from .reservations import ledger_errors
from .sales import may_steer
from .session import Session

TOLD_AT_ONCE: Final = 200
PAUSE_MS: Final = 100  # a tick: what goes to the other processes rides in its chunk

log = structlog.get_logger(__name__)


async def handle(context: Context, session: Session, command: FreezeSale) -> Done:
    await may_steer(context, session.who, command)
    with ledger_errors():
        froze = await context.stock.ledger.freeze(
            command.sale_id, actor=session.who.user_id, command_id=command.id
        )
    context.stock.observe(froze.view)
    if froze.changed:
        try:
            await tell_holders(context, command.sale_id)
        except LedgerError as error:  # it is frozen, and that is what was asked for
            log.warning("holders of a frozen sale were not told", sale=command.sale_id, why=error.code)
    return Done(id=command.id, t=context.clock.now_ms())


async def tell_holders(
    context: Context, sale_id: str, *, told: Callable[[], Awaitable[None]] | None = None
) -> int:
    """Everybody who holds units of a frozen sale, and how many those were. ``told`` is awaited after each
    portion. Raises ``LedgerError`` before anybody was told."""
    held = await context.stock.ledger.held(sale_id)
    for place, reservation in enumerate(held, start=1):
        context.stock.notify("reservationFrozen", reservation)
        if place % TOLD_AT_ONCE == 0:
            if told is not None:
                await told()
            await context.clock.sleep_ms(PAUSE_MS)
    return len(held)
