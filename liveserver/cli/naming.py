"""How people name things of a room: a listing by its number ("link 3"), a variant by its text, a sale by its
listing. Pure: reads a mirror.

Every function raises ``Unnamed`` with what there is instead.
"""

from __future__ import annotations

from collections.abc import Iterable

from liveserver.cli.parsing import same_variant
from protocol.client.mirror import Mirror
from protocol.types import Item, Listing, Sale


class Unnamed(Exception):
    """Nothing (or more than one thing) goes by this name."""


def listing(mirror: Mirror, name: str) -> Listing:
    """By number, else by id."""
    by_number = [each for each in mirror.listings if name.isascii() and name == str(each.number)]
    found = by_number or [each for each in mirror.listings if each.listing_id == name]
    if not found:
        there = _choice(f"{each.number} ({each.title})" for each in mirror.listings)
        raise Unnamed(f"no listing {name!r} in the cart; there is {there}")
    return found[0]


def item(listing: Listing, name: str) -> Item:
    """By the variant's text, else by item id; an empty name where the listing has just one."""
    if not name:
        if len(listing.items) == 1:
            return listing.items[0]
        raise Unnamed(f"say which variant of listing {listing.number}: {_variants(listing)}")
    found = [each for each in listing.items if same_variant(each.variant, name)]
    found = found or [each for each in listing.items if each.item_id == name]
    if len(found) != 1:
        raise Unnamed(f"no one variant {name!r} in listing {listing.number}; there is {_variants(listing)}")
    return found[0]


def sale(mirror: Mirror, name: str) -> Sale:
    """By its own id, else the last sale of the listing so named: an open one before closed ones."""
    exact = mirror.sale(name)
    if exact is not None:
        return exact
    named = listing(mirror, name)
    found = sale_of(mirror, named.listing_id)
    if found is None:
        raise Unnamed(f"listing {named.number} ({named.title}) has no sale: open one with `sale open {name}`")
    return found


def sale_of(mirror: Mirror, listing_id: str) -> Sale | None:
    """The last sale of a listing, one not closed before closed ones; ``None``: it never had any."""
    sales = [each for each in mirror.sales if each.listing_id == listing_id]
    running = [each for each in sales if each.stock.status != "closed"]
    return next(reversed(running or sales), None)


def variant_of(mirror: Mirror, item_id: str) -> str:
    """An item as people say it: ``3 red,M``; its id if the cart has it no more."""
    for each in mirror.listings:
        for one in each.items:
            if one.item_id == item_id:
                return f"{each.number} {one.variant}".strip()
    return item_id


def _variants(listing: Listing) -> str:
    return _choice(each.variant or each.item_id for each in listing.items)


def _choice(names: Iterable[str]) -> str:
    shown = list(names)
    more = f" and {len(shown) - 20} more" if len(shown) > 20 else ""
    return (", ".join(shown[:20]) + more) if shown else "nothing"
