"""Upwards: what a client may say. Each command carries its sender's ``id`` and gets one reply with it.

A command's ``id`` is also its idempotency key: for stock and critical commands, the same id from the
same user takes effect at most once, so after a timeout the client simply sends the same bytes again.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from . import limits
from .shape import ShapeMeta
from .types import (
    Count,
    Id,
    ItemDraft,
    ListingDraft,
    OneLine,
    OrderLine,
    PhotoRef,
    ReservationId,
    SpreadMs,
    TimeMs,
    Title,
)


class CommandBase(msgspec.Struct, metaclass=ShapeMeta, forbid_unknown_fields=True, tag_field="type"):
    id: Id


class RoomCommand(CommandBase):
    room: Id


class SaleCommand(CommandBase, kw_only=True):
    """Steers a sale: through a ``room`` it was opened in, or without one as a service (or a streamer whose
    token names such a room). In rooms it was attached to, it is sold, not steered."""

    room: Id | None = None
    sale_id: Id


def room_of(command: CommandBase) -> str | None:
    """The room a command is said in; None for those that are of no room."""
    room: str | None = getattr(command, "room", None)
    return room


# -- the session ---------------------------------------------------------------------------------------


class Authenticate(CommandBase, tag="authenticate"):
    """The first command, unless the handshake carried ``Authorization: Bearer``."""

    token: Annotated[str, Meta(min_length=1, max_length=limits.TOKEN_CHARS_MAX)]


class Join(RoomCommand, tag="join"):
    """Enter a room; with the last ``epoch`` and ``offset`` seen, resume it."""

    epoch: Count | None = None
    offset: Count | None = None


class Leave(RoomCommand, tag="leave"):
    pass


class Ping(CommandBase, tag="ping"):
    """Answered ``pong`` with the server's time."""


# -- the audience --------------------------------------------------------------------------------------


class SendDanmaku(RoomCommand, tag="danmaku"):
    text: Annotated[str, Meta(min_length=1, max_length=limits.TEXT_CHARS_MAX)]


class Like(RoomCommand, tag="like"):
    """Taps since the last one, summed by the client."""

    count: Annotated[int, Meta(ge=1, le=limits.LIKE_TAPS_MAX)] = 1


class SendGift(RoomCommand, tag="gift", kw_only=True):
    """A gift that was paid: said by the gift service, not by the viewer."""

    user_id: Id
    name: Annotated[str, Meta(max_length=limits.NAME_CHARS_MAX)] = ""
    gift: Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARS_MAX)]
    count: Annotated[int, Meta(ge=1, le=limits.GIFT_COUNT_MAX)] = 1


class Purchase(CommandBase, tag="purchase", kw_only=True):
    """Ask for units. All lines or none. ``attempt`` is 0 the first time and raised on every resend. ``room``:
    the room one is in; without it the sale must be on a shelf."""

    room: Id | None = None
    sale_id: Id
    lines: Annotated[list[OrderLine], Meta(min_length=1, max_length=limits.LINES_PER_ORDER_MAX)]
    attempt: Annotated[int, Meta(ge=0, le=1_000)] = 0


class Release(CommandBase, tag="release"):
    """Give units back that are held for me. The order service gives back anybody's, a streamer those of a
    sale that was opened in a room his token is for."""

    reservation_id: ReservationId


class Confirm(CommandBase, tag="confirm"):
    """It was paid: said by the order service. Paid too late for what is left, the reservation in the answer
    is not ``confirmed`` but ``refund_due``."""

    reservation_id: ReservationId


class Return(CommandBase, tag="return"):
    """What was confirmed comes back, says the order service: the units are available again. ``limitBack``:
    its buyer may buy as many again."""

    reservation_id: ReservationId
    limit_back: bool = False


# -- the streamer --------------------------------------------------------------------------------------


class PublishListing(RoomCommand, tag="publishListing"):
    """Put a product into the cart; on every screen within five seconds."""

    listing: ListingDraft
    stream_time_ms: TimeMs | None = None  # the video's own time, so players can show it in step


class UpdateListing(RoomCommand, tag="updateListing"):
    """Change what is given, keep the rest."""

    listing_id: Id
    title: Title | None = None
    line: OneLine | None = None
    photo: PhotoRef | None = None
    items: Annotated[list[ItemDraft], Meta(min_length=1, max_length=limits.ITEMS_PER_LISTING_MAX)] | None = (
        None
    )
    stream_time_ms: TimeMs | None = None


class WithdrawListing(RoomCommand, tag="withdrawListing"):
    listing_id: Id
    stream_time_ms: TimeMs | None = None


class OrderCart(RoomCommand, tag="orderCart"):
    """The cart's new order: every listing in it exactly once."""

    listing_ids: Annotated[list[Id], Meta(max_length=limits.LISTINGS_PER_CART_MAX)]


class StartExplaining(RoomCommand, tag="startExplaining"):
    """讲解: make this listing the one talked about. Saying it twice is the same as once."""

    listing_id: Id
    stream_time_ms: TimeMs | None = None


class StopExplaining(RoomCommand, tag="stopExplaining"):
    stream_time_ms: TimeMs | None = None


class OpenSale(RoomCommand, tag="openSale"):
    """Open a sale of a listing with the stock of its items. ``spreadMs``: automatic clients draw their moment
    inside this window after opening. ``shipsAtMs``: a presale (预售), later than its close."""

    sale_id: Id
    listing_id: Id
    limit_per_user: Annotated[int, Meta(ge=0, le=limits.QUANTITY_MAX)] = 0
    opens_in_ms: Annotated[int, Meta(ge=0, le=limits.SALE_DURATION_MS_MAX)] = 0
    duration_ms: Annotated[int, Meta(ge=1_000, le=limits.SALE_DURATION_MS_MAX)] = 3_600_000
    hold_ms: Annotated[int, Meta(ge=1_000, le=limits.HOLD_MS_MAX)] = 900_000
    waitlist: Annotated[int, Meta(ge=0, le=limits.WAITLIST_MAX)] = (
        0  # places in line once it is sold out; 0: none
    )
    stream_time_ms: TimeMs | None = None
    spread_ms: SpreadMs = 1_000
    ships_at_ms: TimeMs = 0
    shelf: bool = False  # also on sale outside any room


class OpenShelfSale(CommandBase, tag="openShelfSale", kw_only=True):
    """Open a sale that is in no room (商品卡): a page shows it, whoever has a token buys it. Rooms may attach
    it later."""

    sale_id: Id
    listing: ListingDraft
    limit_per_user: Annotated[int, Meta(ge=0, le=limits.QUANTITY_MAX)] = 0
    opens_in_ms: Annotated[int, Meta(ge=0, le=limits.SALE_DURATION_MS_MAX)] = 0
    duration_ms: Annotated[int, Meta(ge=1_000, le=limits.SALE_DURATION_MS_MAX)] = 3_600_000
    hold_ms: Annotated[int, Meta(ge=1_000, le=limits.HOLD_MS_MAX)] = 900_000
    waitlist: Annotated[int, Meta(ge=0, le=limits.WAITLIST_MAX)] = 0
    spread_ms: SpreadMs = 1_000
    ships_at_ms: TimeMs = 0


class AttachSale(RoomCommand, tag="attachSale"):
    """Sell a sale that was opened elsewhere in this room too, from the same stock, under a listing of this
    room that has all of its items."""

    sale_id: Id
    listing_id: Id
    stream_time_ms: TimeMs | None = None


class DetachSale(RoomCommand, tag="detachSale"):
    """This room doesn't sell it any more. The sale goes on, what is held stays held."""

    sale_id: Id
    stream_time_ms: TimeMs | None = None


class AdjustStock(SaleCommand, tag="adjustStock", kw_only=True):
    """Restock, or take unsold units away; never below what is held or sold."""

    item_id: Id
    delta: Annotated[int, Meta(ge=-limits.AMOUNT_MAX, le=limits.AMOUNT_MAX)]
    reason: Annotated[str, Meta(max_length=limits.REASON_CHARS_MAX)] = ""


class PauseSale(SaleCommand, tag="pauseSale", kw_only=True):
    """Nothing is sold until ``resumeSale``; what is held may be paid, and its time runs on."""


class ResumeSale(SaleCommand, tag="resumeSale", kw_only=True):
    pass


class FreezeSale(SaleCommand, tag="freezeSale", kw_only=True):
    """Buyer protection: nothing is sold or confirmed from here on, not even what is held. Each holder is
    told. There is no command that undoes it."""


class CloseSale(SaleCommand, tag="closeSale", kw_only=True):
    pass


# -- order in the room ---------------------------------------------------------------------------------


class Mute(RoomCommand, tag="mute"):
    """0 seconds lifts a mute."""

    user_id: Id
    seconds: Annotated[int, Meta(ge=0, le=limits.MUTE_SECONDS_MAX)] = 600


class DeleteDanmaku(RoomCommand, tag="deleteDanmaku"):
    danmaku_id: Id


class StartRoom(RoomCommand, tag="startRoom"):
    pass


class PauseRoom(RoomCommand, tag="pauseRoom"):
    pass


class EndRoom(RoomCommand, tag="endRoom"):
    pass


Command = (
    Authenticate
    | Join
    | Leave
    | Ping
    | SendDanmaku
    | Like
    | SendGift
    | Purchase
    | Release
    | Confirm
    | Return
    | PublishListing
    | UpdateListing
    | WithdrawListing
    | OrderCart
    | StartExplaining
    | StopExplaining
    | OpenSale
    | OpenShelfSale
    | AttachSale
    | DetachSale
    | AdjustStock
    | PauseSale
    | ResumeSale
    | FreezeSale
    | CloseSale
    | Mute
    | DeleteDanmaku
    | StartRoom
    | PauseRoom
    | EndRoom
)
