"""From what was typed to the command it means: one function per verb of ``liveserver streamer``. Pure.

Each takes the room as it is (a mirror), its id and the command id, and returns the command with the sentence
that says it was done. Ids nobody chose are made from the command id, so the same command sent again is the
same to the last byte, and is done once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from liveserver.cli import naming, parsing
from liveserver.cli.speaking import Act
from protocol import commands
from protocol.client.mirror import Mirror
from protocol.types import ItemDraft, Listing, ListingDraft

DRAFT_ID_CHARS = 10


def publish(
    mirror: Mirror,
    command_id: str,
    *,
    room: str,
    title: str,
    items: Sequence[parsing.ItemText],
    line: str,
    photo: str,
    listing_id: str,
) -> Act:
    listing_id = listing_id or f"l{_digest(command_id)}"
    draft = ListingDraft(
        listing_id=listing_id, title=title, line=line, photo=photo, items=_drafts(listing_id, items)
    )

    def said(after: Mirror) -> str:
        listed = after.listing(listing_id)
        return "listed" if listed is None else f"listed as number {listed.number}: {_line(listed)}"

    return Act(commands.PublishListing(id=command_id, room=room, listing=draft), said)


def update(
    mirror: Mirror,
    command_id: str,
    *,
    room: str,
    name: str,
    title: str | None,
    items: Sequence[parsing.ItemText],
    line: str | None,
    photo: str | None,
) -> Act:
    listing = naming.listing(mirror, name)
    command = commands.UpdateListing(
        id=command_id,
        room=room,
        listing_id=listing.listing_id,
        title=title,
        line=line,
        photo=photo,
        items=_drafts(listing.listing_id, items, listing) if items else None,
    )

    def said(after: Mirror) -> str:
        updated = after.listing(listing.listing_id)
        return "updated" if updated is None else f"updated number {updated.number}: {_line(updated)}"

    return Act(command, said)


def withdraw(mirror: Mirror, command_id: str, *, room: str, name: str) -> Act:
    listing = naming.listing(mirror, name)
    command = commands.WithdrawListing(id=command_id, room=room, listing_id=listing.listing_id)
    return Act(command, lambda _: f"withdrawn: number {listing.number}, {listing.title}")


def order(mirror: Mirror, command_id: str, *, room: str, names: Sequence[str]) -> Act:
    """Those named first, in this order; the rest keep theirs behind them."""
    first = [naming.listing(mirror, name).listing_id for name in names]
    if len(set(first)) != len(first):
        raise ValueError("a listing is named twice: name each once")
    rest = [each.listing_id for each in mirror.listings if each.listing_id not in first]
    command = commands.OrderCart(id=command_id, room=room, listing_ids=first + rest)

    def said(after: Mirror) -> str:
        return "the cart now reads " + " ".join(str(each.number) for each in after.listings)

    return Act(command, said)


def explain(mirror: Mirror, command_id: str, *, room: str, name: str) -> Act:
    listing = naming.listing(mirror, name)
    command = commands.StartExplaining(id=command_id, room=room, listing_id=listing.listing_id)
    return Act(command, lambda _: f"explaining number {listing.number}: {listing.title}")


def stop(mirror: Mirror, command_id: str, *, room: str) -> Act:
    return Act(commands.StopExplaining(id=command_id, room=room), lambda _: "nothing is explained now")


def open_sale(
    mirror: Mirror,
    command_id: str,
    *,
    room: str,
    name: str,
    limit: int,
    opens_in_ms: int,
    duration_ms: int,
    hold_ms: int,
    sale_id: str,
    spread_ms: int = 1_000,
    waitlist: int = 0,
    ships_at_ms: int = 0,
    shelf: bool = False,
) -> Act:
    listing = naming.listing(mirror, name)
    sale_id = sale_id or f"s{_digest(command_id)}"
    command = commands.OpenSale(
        id=command_id,
        room=room,
        sale_id=sale_id,
        listing_id=listing.listing_id,
        limit_per_user=limit,
        opens_in_ms=opens_in_ms,
        duration_ms=duration_ms,
        hold_ms=hold_ms,
        spread_ms=spread_ms,
        waitlist=waitlist,
        ships_at_ms=ships_at_ms,
        shelf=shelf,
    )
    starts = "open" if opens_in_ms == 0 else f"opens in {opens_in_ms / 1000:g} s"
    return Act(command, lambda _: f"sale {sale_id} of number {listing.number} {starts}: {listing.title}")


def adjust(
    mirror: Mirror, command_id: str, *, room: str, name: str, variant: str, delta: int, reason: str
) -> Act:
    sale = naming.sale(mirror, name)
    listing = mirror.listing(sale.listing_id)
    if listing is None:
        raise naming.Unnamed(f"the listing of sale {sale.sale_id} is not in the cart any more")
    item = naming.item(listing, variant)
    command = commands.AdjustStock(
        id=command_id, room=room, sale_id=sale.sale_id, item_id=item.item_id, delta=delta, reason=reason
    )
    what = f"{listing.number} {item.variant}".strip()
    return Act(command, lambda _: f"stock of {what} changed by {delta:+d} in sale {sale.sale_id}")


def close(mirror: Mirror, command_id: str, *, room: str, name: str) -> Act:
    sale = naming.sale(mirror, name)
    command = commands.CloseSale(id=command_id, room=room, sale_id=sale.sale_id)
    return Act(command, lambda _: f"sale {sale.sale_id} is closed; what is held may still be paid")


def mute(mirror: Mirror, command_id: str, *, room: str, user_id: str, seconds: int) -> Act:
    said = f"{user_id} may speak again" if seconds == 0 else f"{user_id} is muted for {seconds // 60} min"
    return Act(commands.Mute(id=command_id, room=room, user_id=user_id, seconds=seconds), lambda _: said)


def delete(mirror: Mirror, command_id: str, *, room: str, danmaku_id: str) -> Act:
    command = commands.DeleteDanmaku(id=command_id, room=room, danmaku_id=danmaku_id)
    return Act(command, lambda _: f"danmaku {danmaku_id} is gone")


def start(mirror: Mirror, command_id: str, *, room: str) -> Act:
    return Act(commands.StartRoom(id=command_id, room=room), lambda _: f"room {room} is live")


def pause(mirror: Mirror, command_id: str, *, room: str) -> Act:
    return Act(commands.PauseRoom(id=command_id, room=room), lambda _: f"room {room} is paused")


def end(mirror: Mirror, command_id: str, *, room: str) -> Act:
    return Act(commands.EndRoom(id=command_id, room=room), lambda _: f"room {room} has ended")


def _drafts(
    listing_id: str, items: Sequence[parsing.ItemText], known: Listing | None = None
) -> list[ItemDraft]:
    """Item ids: the known one of a variant of the same text, else the listing's id and a number."""
    ids = {each.variant: each.item_id for each in known.items} if known is not None else {}
    taken = set(ids.values())
    drafts = []
    for place, each in enumerate(items, start=1):
        item_id = ids.get(each.variant) or _free(listing_id, place, taken)
        taken.add(item_id)
        drafts.append(
            ItemDraft(item_id=item_id, variant=each.variant, price_fen=each.price_fen, stock=each.stock)
        )
    return drafts


def _free(listing_id: str, place: int, taken: set[str]) -> str:
    while f"{listing_id}.{place}" in taken:
        place += 1
    return f"{listing_id}.{place}"


def _digest(command_id: str) -> str:
    return hashlib.sha256(command_id.encode()).hexdigest()[:DRAFT_ID_CHARS]


def _line(listing: Listing) -> str:
    items = ", ".join(
        f"{each.variant} ¥{parsing.yuan(each.price_fen)} × {each.stock}".strip() for each in listing.items
    )
    return f"{listing.title} ({items})"
