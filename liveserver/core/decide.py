"""The rules: what a command, or the sale's ledger, makes happen in a room.

Pure: a projection and a wish in, at most one event out. Nothing changes here; the event does, once the store
has given it an offset. Who may say it was asked before (``roles``). ``None`` means: it is so already.

The refusals are ``CommandError`` with a stable code and the wire name of the field to mend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from protocol import commands, events
from protocol.commands import CommandBase, OpenSale
from protocol.errors import CommandError
from protocol.events import Event
from protocol.limits import LISTINGS_PER_CART_MAX
from protocol.types import Item, ItemDraft, Listing, ListingDraft, RoomStatus, Sale, Stock

from .room import Room, is_closed


def decide(room: Room, command: CommandBase, now_ms: int) -> Event | None:
    """The event this command makes, None if it is so already; ``CommandError`` if the rules forbid it. Only
    for the commands in ``CRITICAL_COMMANDS``."""
    return _RULES[type(command)](room, command, now_ms)


# -- the cart ------------------------------------------------------------------------------------------


def _publish_listing(room: Room, command: commands.PublishListing, now_ms: int) -> Event | None:
    _refuse_if_ended(room)
    draft = command.listing
    present = room.listings.get(draft.listing_id)
    listing = _listed(draft, present.number if present else room.next_number)
    if present is not None:
        if present == listing:
            return None
        raise CommandError("listing_exists", field="listing.listingId")
    if len(room.order) >= LISTINGS_PER_CART_MAX:
        raise CommandError("cart_full", field="listing")
    return events.ListingPublished(listing=listing)


def _listed(draft: ListingDraft, number: int) -> Listing:
    return Listing(
        listing_id=draft.listing_id,
        number=number,
        title=draft.title,
        line=draft.line,
        photo=draft.photo,
        items=_items(draft.items, field="listing.items"),
    )


def _update_listing(room: Room, command: commands.UpdateListing, now_ms: int) -> Event | None:
    _refuse_if_ended(room)
    present = _listing(room, command.listing_id)
    given = {
        name: value
        for name, value in (("title", command.title), ("line", command.line), ("photo", command.photo))
        if value is not None
    }
    items = present.items if command.items is None else _items(command.items, field="items")
    if not _keeps(present.items, items) and room.running_sale_of(command.listing_id, now_ms):
        raise CommandError("sale_running", field="items")
    listing = replace(present, items=items, **given)
    return None if listing == present else events.ListingUpdated(listing=listing)


def _withdraw_listing(room: Room, command: commands.WithdrawListing, now_ms: int) -> Event | None:
    _refuse_if_ended(room)
    _listing(room, command.listing_id)
    if room.running_sale_of(command.listing_id, now_ms):
        raise CommandError("sale_running", field="listingId")
    return events.ListingWithdrawn(listing_id=command.listing_id)


def _order_cart(room: Room, command: commands.OrderCart, now_ms: int) -> Event | None:
    _refuse_if_ended(room)
    if sorted(command.listing_ids) != sorted(room.order):
        raise CommandError("cart_mismatch", field="listingIds")
    if command.listing_ids == room.order:
        return None
    return events.CartOrdered(listing_ids=list(command.listing_ids))


def _listing(room: Room, listing_id: str) -> Listing:
    listing = room.listings.get(listing_id)
    if listing is None:
        raise CommandError("unknown_listing", field="listingId")
    return listing


def _items(drafts: Sequence[ItemDraft], *, field: str) -> list[Item]:
    if len({draft.item_id for draft in drafts}) != len(drafts):
        raise CommandError("invalid_field", "an item is named twice", field=field)
    return [
        Item(item_id=draft.item_id, variant=draft.variant, price_fen=draft.price_fen, stock=draft.stock)
        for draft in drafts
    ]


def _keeps(present: Sequence[Item], wanted: Sequence[Item]) -> bool:
    """Every item that is there stays, unchanged; new ones may join."""
    by_id = {item.item_id: item for item in wanted}
    return all(by_id.get(item.item_id) == item for item in present)


# -- explaining ----------------------------------------------------------------------------------------


def _start_explaining(room: Room, command: commands.StartExplaining, now_ms: int) -> Event | None:
    _refuse_if_ended(room)
    _listing(room, command.listing_id)
    if room.explaining == command.listing_id:
        return None
    return events.ExplainingStarted(listing_id=command.listing_id)


def _stop_explaining(room: Room, command: commands.StopExplaining, now_ms: int) -> Event | None:
    _refuse_if_ended(room)
    return events.ExplainingStopped(listing_id=room.explaining) if room.explaining else None


# -- order in the room: also once it has ended, for what was said stays on screens ---------------------


def _mute(room: Room, command: commands.Mute, now_ms: int) -> Event | None:
    until_ms = now_ms + command.seconds * 1_000 if command.seconds else 0
    if room.muted_until_ms(command.user_id, now_ms) == until_ms:
        return None
    return events.UserMuted(user_id=command.user_id, until_ms=until_ms)


def _delete_danmaku(room: Room, command: commands.DeleteDanmaku, now_ms: int) -> Event | None:
    return events.DanmakuDeleted(danmaku_id=command.danmaku_id)


# -- the room: live <-> paused -> ended, and ended is for good -----------------------------------------


def _refuse_if_ended(room: Room) -> None:
    if room.status == RoomStatus.ENDED:
        raise CommandError("room_ended", field="room")


def _become(status: RoomStatus) -> Callable[[Room, Any, int], Event | None]:
    def rule(room: Room, command: CommandBase, now_ms: int) -> Event | None:
        if room.status == status:
            return None
        _refuse_if_ended(room)
        return events.RoomStatusChanged(status=status)

    return rule


_STATUS: dict[type, RoomStatus] = {
    commands.StartRoom: RoomStatus.LIVE,
    commands.PauseRoom: RoomStatus.PAUSED,
    commands.EndRoom: RoomStatus.ENDED,
}

_RULES: dict[type, Callable[[Room, Any, int], Event | None]] = {
    commands.PublishListing: _publish_listing,
    commands.UpdateListing: _update_listing,
    commands.WithdrawListing: _withdraw_listing,
    commands.OrderCart: _order_cart,
    commands.StartExplaining: _start_explaining,
    commands.StopExplaining: _stop_explaining,
    commands.Mute: _mute,
    commands.DeleteDanmaku: _delete_danmaku,
    **{command: _become(status) for command, status in _STATUS.items()},
}
CRITICAL_COMMANDS = frozenset(_RULES)


# -- one id, one command -------------------------------------------------------------------------------


def made(command: CommandBase, event: Event) -> bool:
    """Whether this command makes such an event. If not, and the event was made under its id, then the id was
    another command's."""
    match command, event:
        case commands.PublishListing(listing=draft), events.ListingPublished(listing=listing):
            return listing == _listed(draft, listing.number)
        case commands.UpdateListing(), events.ListingUpdated(listing=listing):
            given = (command.title, command.line, command.photo)
            kept = zip(given, (listing.title, listing.line, listing.photo), strict=True)
            items = listing.items if command.items is None else _items(command.items, field="items")
            return (
                listing.listing_id == command.listing_id
                and listing.items == items
                and all(value is None or value == now for value, now in kept)
            )
        case commands.WithdrawListing(listing_id=wanted), events.ListingWithdrawn(listing_id=listing_id):
            return wanted == listing_id
        case commands.OrderCart(listing_ids=wanted), events.CartOrdered(listing_ids=listing_ids):
            return wanted == listing_ids
        case commands.StartExplaining(listing_id=wanted), events.ExplainingStarted(listing_id=listing_id):
            return wanted == listing_id
        case commands.StopExplaining(), events.ExplainingStopped():
            return True
        case commands.Mute(user_id=wanted, seconds=seconds), events.UserMuted(user_id=user_id):
            return wanted == user_id and (seconds == 0) == (event.until_ms == 0)
        case commands.DeleteDanmaku(danmaku_id=wanted), events.DanmakuDeleted(danmaku_id=danmaku_id):
            return wanted == danmaku_id
        case ((commands.StartRoom() | commands.PauseRoom() | commands.EndRoom()), events.RoomStatusChanged()):
            return event.status == _STATUS[type(command)]
        case _:
            return False


# -- sales: the ledger decides, the room tells ---------------------------------------------------------


def check_open_sale(room: Room, command: OpenSale, now_ms: int) -> Listing:
    """The listing to open a sale of; ``CommandError`` if the room's rules forbid it.

    A running sale of this very id passes: the ledger knows whether the command is a repeat or a conflict.
    Two processes may each pass a different sale of one listing in the same instant; both sales are then real.
    """
    _refuse_if_ended(room)
    listing = _listing(room, command.listing_id)
    known = room.sales.get(command.sale_id)
    if known is not None:
        if known.listing_id != command.listing_id:
            raise CommandError("sale_conflict", field="saleId")
        return listing
    if room.running_sale_of(command.listing_id, now_ms):
        raise CommandError("sale_running", field="listingId")
    if not any(item.stock for item in listing.items):
        raise CommandError("invalid_field", "the listing's items have no stock", field="listingId")
    return listing


def decide_sale(room: Room, sale_id: str, stock: Stock, opened: Sale | None) -> Event | None:
    """The next thing the room must hear of a sale, from a view of it; ask again after each event applied.

    ``opened`` describes the sale if it is new to the room. A view no newer than the room's own says nothing,
    and neither does a closed sale the room never knew, or has forgotten.
    """
    assert stock.sale_id == sale_id, (stock.sale_id, sale_id)
    known = room.sales.get(sale_id)
    if known is None:
        return _opened(stock, opened)
    if is_closed(known.stock) or (stock.epoch, stock.seq) <= (known.stock.epoch, known.stock.seq):
        return None
    if is_closed(stock):
        return events.SaleClosed(stock=stock)
    empty = _is_empty(stock)
    if empty == known.sold_out:
        return None
    return events.SaleSoldOut(stock=stock) if empty else events.SaleRestocked(stock=stock)


def _opened(stock: Stock, opened: Sale | None) -> Event | None:
    if opened is None or is_closed(stock):
        return None
    return events.SaleOpened(sale=replace(opened, stock=stock, sold_out=_is_empty(stock)))


def _is_empty(stock: Stock) -> bool:
    return not any(stock.available.values())
