"""``openSale``: the stock of a listing's items becomes a sale.

Order of steps: look whose the sale is, if it is there, and whether it can be opened at all; announce it to
the room (so every process that holds it will look it up); open it in the ledger; note where it is shown;
tell the room. Each step may be done twice, so a crash between them is healed by the same command sent again:
it takes over the times of the sale it finds.
"""

from __future__ import annotations

from liveserver.core.decide import check_open_sale, decide_sale
from liveserver.store.port import SHELF, Place
from protocol.commands import OpenSale
from protocol.errors import CommandError
from protocol.events import Event, SaleOpened
from protocol.replies import Done

from .critical import idempotency_key
from .head import at_the_head
from .opening import open_in_ledger, terms_of, there
from .ports import Context, LiveRoom
from .reservations import ledger_errors
from .sales import shown
from .session import Session


async def handle(context: Context, session: Session, command: OpenSale) -> Done:
    live = await context.rooms.open(command.room)
    key = idempotency_key(session, command)
    await live.check_id(key, lambda event: _opens(event, command))
    listing = await at_the_head(live, lambda room: check_open_sale(room, command, context.clock.now_ms()))
    with ledger_errors():
        found = await there(context, command.sale_id)
    if found is not None and not await _may_take_over(context, session, live, command):
        raise CommandError("sale_conflict", "another room's sale has this id", field="saleId")
    terms = terms_of(context, command, listing.items, found)
    await context.kill_switch.check()
    await live.announce_sale(command.sale_id)
    view = await open_in_ledger(context, command, terms)
    for place in (command.room, SHELF) if command.shelf else (command.room,):
        await context.places.put(
            command.sale_id, place, Place(listing, home=True), closes_at_ms=view.closes_at_ms
        )
    sale = shown(view, terms, command.listing_id, guest=False)
    epoch, offset, duplicate = await live.publish(
        key,
        lambda room: decide_sale(room, command.sale_id, sale.stock, sale),
        command.stream_time_ms,
    )
    context.stock.observe(view)
    return Done(id=command.id, t=context.clock.now_ms(), epoch=epoch, offset=offset, duplicate=duplicate)


def _opens(event: Event, command: OpenSale) -> bool:
    return isinstance(event, SaleOpened) and event.sale.sale_id == command.sale_id


async def _may_take_over(context: Context, session: Session, live: LiveRoom, command: OpenSale) -> bool:
    """A sale that is there is this room's if it is noted to be; not noted anywhere (a crash came before), if
    it was announced to it. Whose token is for some rooms only must not get at the sale of another by opening
    it once more in his own, though he announced it first; nor at one his room is a guest of."""
    known = live.view.sales.get(command.sale_id)
    if known is not None and known.guest:
        return False
    if "*" in session.who.rooms:
        return True
    places = await context.places.of(command.sale_id)
    if places:
        return command.room in places and places[command.room].home
    return known is not None or await live.is_announced(command.sale_id)
