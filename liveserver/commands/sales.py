"""What the handlers of sales share."""

from __future__ import annotations

from protocol.errors import CommandError

from .ports import Context, LiveRoom


async def sale_of_room(context: Context, room: str, sale_id: str) -> LiveRoom:
    """A streamer's token is for rooms: a sale is touched only through a room it belongs to."""
    live = await context.rooms.open(room)
    if sale_id not in live.view.sales:
        raise CommandError("unknown_sale", field="saleId")
    return live
