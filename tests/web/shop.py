"""A small shop for the page's tests: a listing, and ids that say what they are."""

from __future__ import annotations

from protocol.types import ItemDraft, ListingDraft

SWEATER = ListingDraft(
    listing_id="sweater",
    title="羊绒圆领毛衣",
    line="主播身上同款",
    items=[
        ItemDraft(item_id="red-m", variant="红色 M", price_fen=9_900, stock=3),
        ItemDraft(item_id="blue-m", variant="藏青 M", price_fen=10_950, stock=0),
    ],
)
SAUCE = ListingDraft(
    listing_id="sauce",
    title="手工香辣酱",
    items=[ItemDraft(item_id="sauce-1", price_fen=990, stock=2)],
)
