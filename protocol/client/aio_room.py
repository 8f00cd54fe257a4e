"""A room of an asyncio session: what happens in it, and what can be said in it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from .. import commands
from ..replies import Done, PurchaseOutcome, Receipt
from ..types import ItemDraft, ListingDraft, OrderLine
from .errors import LiveError
from .happenings import RoomHappening
from .inbox import Inbox
from .mirror import Mirror
from .room import RoomLink

if TYPE_CHECKING:
    from .aio import Live


class Room:
    """``mirror`` is the room as known now; iterating gives what happens, once each (one reader at a time).
    The iteration ends when the room is left or the session closed by us, and raises what ended it else.

    Every method that speaks returns the server's reply and raises as ``Live.ask`` does. ``stream_time_ms``
    is the video's own time, so that players can show the event in step.
    """

    def __init__(self, live: Live, link: RoomLink) -> None:
        self.room_id = link.room
        self._live = live
        self._link = link
        self._inbox = Inbox(link.mirror)
        self._news = asyncio.Event()
        self._over = False
        self._why: LiveError | None = None

    @property
    def mirror(self) -> Mirror:
        return self._link.mirror

    @property
    def missed_frames(self) -> int:
        """Frames of state and danmaku this viewer was not sent, in all."""
        return self._link.missed_frames

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RoomHappening:
        """Cancelled: nothing is lost."""
        while True:
            happening = self._inbox.take()
            if happening is not None:
                return happening
            if self._why is not None:
                raise self._why
            if self._over:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()

    # -- the audience ----------------------------------------------------------------------------------

    async def danmaku(self, text: str) -> Receipt:
        """At most once: never sent again by itself."""
        return await self._live.ask(
            commands.SendDanmaku(id=self._live.new_id(), room=self.room_id, text=text), Receipt
        )

    async def like(self, count: int = 1) -> Done:
        """Taps since the last one, summed. At most once."""
        return await self._live.ask(
            commands.Like(id=self._live.new_id(), room=self.room_id, count=count), Done
        )

    async def gift(self, user_id: str, gift: str, *, name: str = "", count: int = 1) -> Done:
        """A gift that was paid (role ``service``)."""
        command = commands.SendGift(
            id=self._live.new_id(), room=self.room_id, user_id=user_id, name=name, gift=gift, count=count
        )
        return await self._live.ask(command, Done)

    async def purchase(
        self, sale_id: str, lines: Sequence[OrderLine], *, command_id: str = ""
    ) -> PurchaseOutcome:
        """Ask for units, all lines or none. ``command_id`` is the idempotency key: the same one never buys
        twice. A refusal of the sale (``sold_out``, …) is an outcome, not an error."""
        command = commands.Purchase(
            id=command_id or self._live.new_id(), room=self.room_id, sale_id=sale_id, lines=list(lines)
        )
        return await self._live.ask(command, PurchaseOutcome)

    # -- the streamer ----------------------------------------------------------------------------------

    async def publish_listing(self, listing: ListingDraft, *, stream_time_ms: int | None = None) -> Done:
        command = commands.PublishListing(
            id=self._live.new_id(), room=self.room_id, listing=listing, stream_time_ms=stream_time_ms
        )
        return await self._live.ask(command, Done)

    async def update_listing(
        self,
        listing_id: str,
        *,
        title: str | None = None,
        line: str | None = None,
        photo: str | None = None,
        items: list[ItemDraft] | None = None,
        stream_time_ms: int | None = None,
    ) -> Done:
        """Change what is given, keep the rest."""
        command = commands.UpdateListing(
            id=self._live.new_id(),
            room=self.room_id,
            listing_id=listing_id,
            title=title,
            line=line,
            photo=photo,
            items=items,
            stream_time_ms=stream_time_ms,
        )
        return await self._live.ask(command, Done)

    async def withdraw_listing(self, listing_id: str, *, stream_time_ms: int | None = None) -> Done:
        command = commands.WithdrawListing(
            id=self._live.new_id(), room=self.room_id, listing_id=listing_id, stream_time_ms=stream_time_ms
        )
        return await self._live.ask(command, Done)

    async def order_cart(self, listing_ids: Sequence[str]) -> Done:
        """Every listing of the cart exactly once."""
        command = commands.OrderCart(id=self._live.new_id(), room=self.room_id, listing_ids=list(listing_ids))
        return await self._live.ask(command, Done)

    async def start_explaining(self, listing_id: str, *, stream_time_ms: int | None = None) -> Done:
        command = commands.StartExplaining(
            id=self._live.new_id(), room=self.room_id, listing_id=listing_id, stream_time_ms=stream_time_ms
        )
        return await self._live.ask(command, Done)

    async def stop_explaining(self, *, stream_time_ms: int | None = None) -> Done:
        command = commands.StopExplaining(
            id=self._live.new_id(), room=self.room_id, stream_time_ms=stream_time_ms
        )
        return await self._live.ask(command, Done)

    async def open_sale(
        self,
        sale_id: str,
        listing_id: str,
        *,
        limit_per_user: int = 0,
        opens_in_ms: int = 0,
        duration_ms: int = 3_600_000,
        hold_ms: int = 900_000,
        waitlist: int = 0,
        stream_time_ms: int | None = None,
    ) -> Done:
        """Open a sale of a listing with the stock of its items. ``limit_per_user`` 0: no limit."""
        command = commands.OpenSale(
            id=self._live.new_id(),
            room=self.room_id,
            sale_id=sale_id,
            listing_id=listing_id,
            limit_per_user=limit_per_user,
            opens_in_ms=opens_in_ms,
            duration_ms=duration_ms,
            hold_ms=hold_ms,
            waitlist=waitlist,
            stream_time_ms=stream_time_ms,
        )
        return await self._live.ask(command, Done)

    async def adjust_stock(self, sale_id: str, item_id: str, delta: int, *, reason: str = "") -> Done:
        """Restock, or take unsold units away."""
        command = commands.AdjustStock(
            id=self._live.new_id(),
            room=self.room_id,
            sale_id=sale_id,
            item_id=item_id,
            delta=delta,
            reason=reason,
        )
        return await self._live.ask(command, Done)

    async def pause_sale(self, sale_id: str) -> Done:
        """Nothing is sold until ``resume_sale``; what is held may be paid."""
        return await self._live.ask(
            commands.PauseSale(id=self._live.new_id(), room=self.room_id, sale_id=sale_id), Done
        )

    async def resume_sale(self, sale_id: str) -> Done:
        return await self._live.ask(
            commands.ResumeSale(id=self._live.new_id(), room=self.room_id, sale_id=sale_id), Done
        )

    async def freeze_sale(self, sale_id: str) -> Done:
        """Nothing is sold or confirmed from here on. No command undoes it."""
        return await self._live.ask(
            commands.FreezeSale(id=self._live.new_id(), room=self.room_id, sale_id=sale_id), Done
        )

    async def close_sale(self, sale_id: str) -> Done:
        return await self._live.ask(
            commands.CloseSale(id=self._live.new_id(), room=self.room_id, sale_id=sale_id), Done
        )

    # -- order in the room -----------------------------------------------------------------------------

    async def mute(self, user_id: str, seconds: int = 600) -> Done:
        """0 seconds lifts a mute."""
        return await self._live.ask(
            commands.Mute(id=self._live.new_id(), room=self.room_id, user_id=user_id, seconds=seconds), Done
        )

    async def delete_danmaku(self, danmaku_id: str) -> Done:
        return await self._live.ask(
            commands.DeleteDanmaku(id=self._live.new_id(), room=self.room_id, danmaku_id=danmaku_id), Done
        )

    async def start(self) -> Done:
        return await self._live.ask(commands.StartRoom(id=self._live.new_id(), room=self.room_id), Done)

    async def pause(self) -> Done:
        return await self._live.ask(commands.PauseRoom(id=self._live.new_id(), room=self.room_id), Done)

    async def end(self) -> Done:
        return await self._live.ask(commands.EndRoom(id=self._live.new_id(), room=self.room_id), Done)

    # -- for the session -------------------------------------------------------------------------------

    def _tell(self, happening: RoomHappening) -> None:
        self._inbox.put(happening)
        self._news.set()

    def _finish(self, why: LiveError | None) -> None:
        self._over = True
        self._why = why
        self._news.set()
