"""What the handlers of sales share: who may steer one, and how it is shown in a room."""

from __future__ import annotations

from liveserver.core.identity import Identity
from liveserver.core.room import Room
from liveserver.stock.port import SaleSpec, StockView
from liveserver.store.port import SHELF, Place
from protocol.commands import SaleCommand
from protocol.errors import CommandError
from protocol.types import Role, Sale

from .head import at_the_head
from .ports import Context
from .reservations import stock


async def may_steer(context: Context, who: Identity, command: SaleCommand) -> None:
    """A streamer's token is for rooms: he steers a sale only through a room it was opened in. Whether there
    is such a sale at all, the ledger knows."""
    if command.room is None:
        if not may_place(who, await _places(context, who, command.sale_id)):
            raise CommandError("unknown_sale", field="saleId")
        return
    live = await context.rooms.open(command.room)
    sale = await at_the_head(live, lambda room: _sale(room, command.sale_id))
    if sale.guest and who.role is not Role.SERVICE:
        raise CommandError("forbidden", "this room sells it; where it was opened it is steered", field="room")


def _sale(room: Room, sale_id: str) -> Sale:
    sale = room.sales.get(sale_id)
    if sale is None:
        raise CommandError("unknown_sale", field="saleId")
    return sale


def may_place(who: Identity, places: dict[str, Place]) -> bool:
    """Is it his sale: to steer without naming a room, to bring into another one?"""
    if is_for_all(who):
        return True
    return any(shown.home and room != SHELF and who.may_enter(room) for room, shown in places.items())


def is_for_all(who: Identity) -> bool:
    return who.role is Role.SERVICE or "*" in who.rooms


async def _places(context: Context, who: Identity, sale_id: str) -> dict[str, Place]:
    return {} if is_for_all(who) else await context.places.of(sale_id)


def shown(view: StockView, terms: SaleSpec, listing_id: str, *, guest: bool) -> Sale:
    """The sale as a room has it."""
    return Sale(
        sale_id=view.sale_id,
        listing_id=listing_id,
        limit_per_user=terms.limit_per_user,
        opens_at_ms=terms.opens_at_ms,
        closes_at_ms=terms.closes_at_ms,
        hold_ms=terms.hold_ms,
        spread_ms=terms.spread_ms,
        ships_at_ms=terms.ships_at_ms,
        waitlist=terms.waitlist,
        guest=guest,
        stock=stock(view),
    )
