"""A room for the pure tests: built from frames, as every client builds it."""

from __future__ import annotations

from protocol.client.mirror import Mirror
from protocol.frames import Frame, Snapshot
from protocol.types import Item, Listing, Sale, Stock

T = 1_700_000_000_000

SWEATER = Listing(
    listing_id="sweater",
    number=3,
    title="羊绒毛衣",
    items=[
        Item(item_id="sweater.1", variant="red,M", price_fen=9_900, stock=60),
        Item(item_id="sweater.2", variant="藏青 M", price_fen=10_950, stock=30),
    ],
)
SAUCE = Listing(
    listing_id="sauce", number=1, title="香辣酱", items=[Item(item_id="sauce.1", price_fen=990, stock=8)]
)


def sale(
    sale_id: str, listing: Listing, *, status: str = "open", left: int = 5, opens_at_ms: int = T
) -> Sale:
    available = {each.item_id: left for each in listing.items}
    return Sale(
        sale_id=sale_id,
        listing_id=listing.listing_id,
        opens_at_ms=opens_at_ms,
        closes_at_ms=T + 600_000,
        hold_ms=900_000,
        stock=Stock(sale_id=sale_id, epoch=1, seq=1, status=status, available=available),
    )


def room(*sales: Sale, explaining: str = "") -> Mirror:
    mirror = Mirror("r1")
    snapshot = Snapshot(offset=7, listings=[SWEATER, SAUCE], sales=list(sales), explaining=explaining)
    mirror.apply(Frame(room="r1", t=T, epoch=1, head=7, snapshot=snapshot), 0.0)
    return mirror
