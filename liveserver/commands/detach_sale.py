"""``detachSale``: this room doesn't sell it any more. The sale goes on, and the room still tells those who
hold units of it what becomes of them; where it was opened it can still be steered."""

from __future__ import annotations

from liveserver.core.decide import decide_detach
from liveserver.store.port import Place
from protocol.commands import DetachSale
from protocol.replies import Done

from .critical import idempotency_key
from .ports import Context
from .session import Session


async def handle(context: Context, session: Session, command: DetachSale) -> Done:
    live = await context.rooms.open(command.room)
    epoch, offset, duplicate = await live.publish(
        idempotency_key(session, command),
        lambda room: decide_detach(room, command.sale_id),
        command.stream_time_ms,
    )
    sale = live.view.sales.get(command.sale_id)  # said again, the room may have forgotten it, or sell it anew
    listing = None if sale is None or not sale.detached else live.view.listings.get(sale.listing_id)
    if sale is not None and listing is not None:
        detached = Place(listing, home=not sale.guest, selling=False)
        await context.places.put(command.sale_id, command.room, detached, closes_at_ms=sale.closes_at_ms)
    return Done(id=command.id, t=context.clock.now_ms(), epoch=epoch, offset=offset, duplicate=duplicate)
