"""``openShelfSale``: a sale in no room. Its card is what pages show; rooms may attach it later.

Order of steps: whose sale it is, if it is there; open it in the ledger; put its card on the shelf. A crash
between them is healed by the same command sent again: it finds the sale and keeps its times.
"""

from __future__ import annotations

from liveserver.stock.port import SaleStatus
from liveserver.store.port import SHELF, Place
from protocol.commands import OpenShelfSale
from protocol.errors import CommandError
from protocol.replies import Done
from protocol.types import Item, Listing, ListingDraft

from .opening import open_in_ledger, terms_of, there
from .ports import Context
from .reservations import ledger_errors
from .session import Session


async def handle(context: Context, session: Session, command: OpenShelfSale) -> Done:
    items = command.listing.items
    if not any(item.stock for item in items):
        raise CommandError("invalid_field", "its items have no stock", field="listing.items")
    if len({item.item_id for item in items}) != len(items):
        raise CommandError("invalid_field", "an item is named twice", field="listing.items")
    with ledger_errors():
        found = await there(context, command.sale_id)
    places = await context.places.of(command.sale_id)
    card = _card(command.listing)
    if found is not None and SHELF not in places and places:
        raise CommandError("sale_conflict", "a room's sale has this id", field="saleId")
    if SHELF in places and places[SHELF].listing != card:
        raise CommandError("sale_conflict", "it is on the shelf with another card", field="listing")
    terms = terms_of(context, command, items, found)
    await context.kill_switch.check()
    view = await open_in_ledger(context, command, terms)
    if view.status is not SaleStatus.CLOSED:
        await context.places.put(
            command.sale_id, SHELF, Place(card, home=True), closes_at_ms=view.closes_at_ms
        )
    context.stock.observe(view)
    return Done(id=command.id, t=context.clock.now_ms(), duplicate=found is not None)


def _card(draft: ListingDraft) -> Listing:
    return Listing(
        listing_id=draft.listing_id,
        number=0,
        title=draft.title,
        line=draft.line,
        photo=draft.photo,
        items=[
            Item(item_id=item.item_id, variant=item.variant, price_fen=item.price_fen, stock=item.stock)
            for item in draft.items
        ],
    )
