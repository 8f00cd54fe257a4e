"""``attachSale``: a sale opened elsewhere is sold in this room too (一盘货), from the same stock.

Order of steps: whose sale it is; does the room's listing have its items; note where it is shown; tell the
room; announce it to the room, which then looks it up each beat. A crash between them is healed by the same
command. Announced last: to ``openSale`` an announced sale is the room's own.
"""

from __future__ import annotations

from liveserver.core.decide import check_attach_sale, decide_sale
from liveserver.stock.port import SaleStatus
from liveserver.store.port import Place
from protocol.commands import AttachSale
from protocol.errors import CommandError
from protocol.replies import Done

from .critical import idempotency_key
from .head import at_the_head
from .ports import Context
from .reservations import ledger_errors
from .sales import may_place, shown
from .session import Session


async def handle(context: Context, session: Session, command: AttachSale) -> Done:
    live = await context.rooms.open(command.room)
    places = await context.places.of(command.sale_id)
    if not may_place(session.who, places):
        raise CommandError("unknown_sale", field="saleId")
    with ledger_errors():
        terms = await context.stock.ledger.terms(command.sale_id)
        view = await context.stock.ledger.view(command.sale_id)
    items = [item.item_id for item in terms.items]
    listing = await at_the_head(
        live, lambda room: check_attach_sale(room, command, items, context.clock.now_ms())
    )
    if view.status is SaleStatus.CLOSED:
        raise CommandError("closed", field="saleId")
    await context.kill_switch.check()
    known = live.view.sales.get(command.sale_id)
    here = places.get(command.room)
    guest = known.guest if known is not None else here is None or not here.home
    await context.places.put(
        command.sale_id, command.room, Place(listing, home=not guest), closes_at_ms=view.closes_at_ms
    )
    sale = shown(view, terms, command.listing_id, guest=guest)
    epoch, offset, duplicate = await live.publish(
        idempotency_key(session, command),
        lambda room: decide_sale(room, command.sale_id, sale.stock, sale),
        command.stream_time_ms,
    )
    await live.announce_sale(command.sale_id)
    context.stock.observe(view)
    return Done(id=command.id, t=context.clock.now_ms(), epoch=epoch, offset=offset, duplicate=duplicate)
