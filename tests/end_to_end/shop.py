"""A streamer's first minutes, for tests that need a room with something in it."""

from __future__ import annotations

from protocol.commands import OpenSale, PublishListing
from protocol.replies import Done
from protocol.types import ItemDraft, ListingDraft

from .raw import Raw


def draft(listing_id: str = "oil", stock: int = 3, title: str = "辣椒油") -> ListingDraft:
    return ListingDraft(
        listing_id=listing_id,
        title=title,
        items=[ItemDraft(item_id="jar", variant="一罐", price_fen=990, stock=stock)],
    )


async def list_oil(streamer: Raw, room: str = "r1", stock: int = 3, listing_id: str = "oil") -> Done:
    return await streamer.ask(
        PublishListing(id=streamer.new_id(), room=room, listing=draft(listing_id, stock)), Done
    )


async def open_oil_sale(
    streamer: Raw, room: str = "r1", sale_id: str = "s1", limit: int = 0, hold_ms: int = 60_000
) -> Done:
    return await streamer.ask(
        OpenSale(
            id=streamer.new_id(),
            room=room,
            sale_id=sale_id,
            listing_id="oil",
            limit_per_user=limit,
            hold_ms=hold_ms,
        ),
        Done,
    )
