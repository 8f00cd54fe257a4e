"""``openSale``: the stock of a listing's items becomes a sale.

Order of steps: look whose the sale is, if it is there; announce it to the room (so every process that
holds it will look it up); open it in the ledger; tell the room. Each step may be done twice, so a crash
between them is healed by the same command sent again: it takes over the times of the sale it finds.
"""

from __future__ import annotations

from liveserver.core.decide import check_open_sale, decide_sale
from liveserver.stock.port import SaleItem, SaleSpec, StockView, UnknownSaleError
from protocol.commands import OpenSale
from protocol.errors import CommandError
from protocol.events import Event, SaleOpened
from protocol.replies import Done
from protocol.types import Listing, Sale

from .critical import idempotency_key
from .ports import Context, LiveRoom
from .reservations import ledger_errors, stock
from .session import Session

SPREAD_MS = 1_000  # automatic clients draw their moment inside this window after opening


async def handle(context: Context, session: Session, command: OpenSale) -> Done:
    live = await context.rooms.open(command.room)
    key = idempotency_key(session, command)
    await live.check_id(key, lambda event: _opens(event, command))
    listing = check_open_sale(live.view, command, context.clock.now_ms())
    with ledger_errors():
        there = await _there(context, command.sale_id)
    if there is not None and not await _may_take_over(session, live, command.sale_id):
        raise CommandError("sale_conflict", "another room's sale has this id", field="saleId")
    await live.announce_sale(command.sale_id)
    with ledger_errors():
        view = await _open(context, command, listing, there)
    sale = Sale(
        sale_id=command.sale_id,
        listing_id=command.listing_id,
        limit_per_user=command.limit_per_user,
        opens_at_ms=view.opens_at_ms,
        closes_at_ms=view.closes_at_ms,
        hold_ms=command.hold_ms,
        spread_ms=SPREAD_MS,
        stock=stock(view),
    )
    epoch, offset, duplicate = await live.publish(
        key,
        lambda room: decide_sale(room, command.sale_id, sale.stock, sale),
        command.stream_time_ms,
    )
    context.stock.observe(view)
    return Done(id=command.id, t=context.clock.now_ms(), epoch=epoch, offset=offset, duplicate=duplicate)


def _opens(event: Event, command: OpenSale) -> bool:
    return isinstance(event, SaleOpened) and event.sale.sale_id == command.sale_id


async def _there(context: Context, sale_id: str) -> StockView | None:
    try:
        return await context.stock.ledger.view(sale_id)
    except UnknownSaleError:
        return None


async def _may_take_over(session: Session, live: LiveRoom, sale_id: str) -> bool:
    """A sale that is there is this room's if it was announced to it. Whose token is for some rooms only
    must not get at the sale of another by opening it once more in his own."""
    return "*" in session.who.rooms or sale_id in live.view.sales or await live.is_announced(sale_id)


async def _open(context: Context, command: OpenSale, listing: Listing, there: StockView | None) -> StockView:
    """A sale that is there keeps its times: else the same command sent later would be another one."""
    if there is not None:
        opens_at_ms, closes_at_ms = there.opens_at_ms, there.closes_at_ms
    else:
        opens_at_ms = context.clock.now_ms() + command.opens_in_ms
        closes_at_ms = opens_at_ms + command.duration_ms
    spec = SaleSpec(
        sale_id=command.sale_id,
        items=tuple(SaleItem(item.item_id, item.stock) for item in listing.items),
        limit_per_user=command.limit_per_user,
        opens_at_ms=opens_at_ms,
        closes_at_ms=closes_at_ms,
        hold_ms=command.hold_ms,
        waitlist=command.waitlist,
    )
    return await context.stock.ledger.open(spec, command_id=command.id)
