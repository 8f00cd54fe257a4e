"""``closeSale``: nothing is sold any more; what is held may still be paid until it is due.

Order of steps: close it in the ledger, which is final; tell the rooms that steer it; answer. So whoever was
answered may open the listing's next sale at once. A room that can't be told in time hears it from the next
process that looks the sale up; the close is answered all the same, for it is one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection

from liveserver.core.decide import decide_sale
from liveserver.stock.port import StockView
from liveserver.store.port import SHELF
from protocol.commands import CloseSale
from protocol.errors import CommandError
from protocol.replies import Done

from .ports import Context
from .reservations import fact_id, ledger_errors, stock
from .sales import may_steer
from .session import Session

TOLD_SECONDS_MAX = 2.0


async def handle(context: Context, session: Session, command: CloseSale) -> Done:
    await may_steer(context, session.who, command)
    with ledger_errors():
        view = await context.stock.ledger.close(
            command.sale_id, actor=session.who.user_id, command_id=command.id
        )
    with contextlib.suppress(CommandError, TimeoutError):
        async with asyncio.timeout(TOLD_SECONDS_MAX):
            await _tell(context, view, await _rooms(context, command))
    context.stock.observe(view)
    return Done(id=command.id, t=context.clock.now_ms())


async def _rooms(context: Context, command: CloseSale) -> Collection[str]:
    if command.room is not None:
        return (command.room,)
    places = await context.places.of(command.sale_id)
    return [room for room, at in places.items() if at.home and room != SHELF]


async def _tell(context: Context, view: StockView, rooms: Collection[str]) -> None:
    told = await asyncio.gather(*(_tell_one(context, view, room) for room in rooms), return_exceptions=True)
    for failed in told:
        if isinstance(failed, BaseException):
            raise failed


async def _tell_one(context: Context, view: StockView, room_id: str) -> None:
    live = await context.rooms.open(room_id)
    await live.publish(
        fact_id(view),
        lambda room: decide_sale(room, view.sale_id, stock(view), None),
    )
