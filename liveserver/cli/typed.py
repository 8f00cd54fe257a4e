"""Which option or argument a field of the wire came from: so that a refusal names what was typed."""

from __future__ import annotations

from collections.abc import Mapping

OF_UPDATE = {
    "title": "--title",
    "line": "--line",
    "photo": "--photo",
    "items": "--item",
    "listingId": "LISTING",
}
OF_LISTING = {
    "listing.title": "--title",
    "listing.line": "--line",
    "listing.photo": "--photo",
    "listing.items": "--item",
    "listing.listingId": "--id",
}
OF_SALE = {"saleId": "--id", "listingId": "LISTING", "shipsAtMs": "--ships", "opensInMs": "--in"}


def as_typed(field: str, typed: Mapping[str, str]) -> str:
    """``listing.items[0].stock`` is a part of ``listing.items``. A field that wasn't typed stays as it is."""
    for name, word in typed.items():
        if field == name or field.startswith((f"{name}.", f"{name}[")):
            return word
    return field
