"""The streamer's evening: lists, explains, opens flash sales, restocks one, closes them, says goodbye. And
what a streamer does to a sale, for the scenes."""

from __future__ import annotations

import asyncio
from typing import Final

from loadtest.audience.member import Member, code_of
from loadtest.audience.plan import Plan, Sale
from loadtest.audience.world import World
from protocol.commands import (
    AdjustStock,
    CloseSale,
    Command,
    FreezeSale,
    OpenSale,
    OrderCart,
    PauseSale,
    PublishListing,
    ResumeSale,
    SendDanmaku,
    StartExplaining,
    StopExplaining,
    UpdateListing,
)
from protocol.types import ItemDraft, ListingDraft

TRIES_MAX: Final = 16
AGAIN_AFTER_S_MAX: Final = 1.5
PRICE_FEN: Final = 3_990


class Streamer:
    def __init__(self, world: World, member: Member, plan: Plan) -> None:
        self.world = world
        self.member = member
        self.plan = plan
        self.ready = asyncio.Event()  # what the scenes sell is in the cart

    async def evening(self, began_s: float) -> None:
        """Returns when both rushes are closed."""
        first, second = self.plan.sales
        scenes = [scene.sale for scene in self.plan.scenes]
        await self._say("欢迎来到直播间，今天两场秒杀")
        for sale in (first, *scenes):
            await self._list(sale)
        self.ready.set()
        await self._explain(first)
        await self._until(began_s + first.opens_s)
        self.world.phase = "first sale"
        await self._open_rush(first)
        await self._list(second)
        await self._until(began_s + (first.restock_s or first.opens_s))
        self.world.phase = "restocked"
        if first.restock:
            self.world.figures.counts["units_offered"] += first.restock
            await self.adjust(first, first.items[0], first.restock, "补货")
        await self._do(
            UpdateListing(
                id=self._id(), room=self._room, listing_id=first.listing_id, line="补货了，最后一波"
            )
        )
        await self._until(began_s + first.closes_s)
        await self.close(first)
        self.world.phase = "between the sales"
        listing_ids = [sale.listing_id for sale in (second, first, *scenes)]
        await self._do(OrderCart(id=self._id(), room=self._room, listing_ids=listing_ids))
        await self._explain(second)
        await self._until(began_s + second.opens_s)
        self.world.phase = "second sale"
        await self._open_rush(second)
        await self._until(began_s + second.closes_s)
        await self.close(second)
        self.world.phase = "settling"
        await self._do(StopExplaining(id=self._id(), room=self._room))
        await self._say("谢谢老铁们，下次见")

    # -- a sale ----------------------------------------------------------------------------------------

    async def open(self, sale: Sale) -> None:
        await self._do(
            OpenSale(
                id=self._id(),
                room=self._room,
                sale_id=sale.sale_id,
                listing_id=sale.listing_id,
                limit_per_user=sale.limit,
                hold_ms=sale.hold_ms,
                waitlist=sale.waitlist,
            )
        )

    async def adjust(self, sale: Sale, item: str, delta: int, reason: str) -> None:
        await self._do(
            AdjustStock(
                id=self._id(),
                room=self._room,
                sale_id=sale.sale_id,
                item_id=item,
                delta=delta,
                reason=reason,
            )
        )

    async def pause(self, sale: Sale) -> None:
        await self._do(PauseSale(id=self._id(), room=self._room, sale_id=sale.sale_id))

    async def resume(self, sale: Sale) -> None:
        await self._do(ResumeSale(id=self._id(), room=self._room, sale_id=sale.sale_id))

    async def freeze(self, sale: Sale) -> None:
        await self._do(FreezeSale(id=self._id(), room=self._room, sale_id=sale.sale_id))

    async def close(self, sale: Sale) -> None:
        await self._do(CloseSale(id=self._id(), room=self._room, sale_id=sale.sale_id))

    # -- inside ----------------------------------------------------------------------------------------

    async def _open_rush(self, sale: Sale) -> None:
        self.world.figures.counts["units_offered"] += sum(sale.stock)
        await self.open(sale)

    async def _list(self, sale: Sale) -> None:
        items = [
            ItemDraft(item_id=item, variant=item, price_fen=PRICE_FEN, stock=stock)
            for item, stock in zip(sale.items, sale.stock, strict=True)
        ]
        listing = ListingDraft(
            listing_id=sale.listing_id, title=sale.title, line="闪电购，限量", photo="", items=items
        )
        self.world.listed_ms[sale.listing_id] = self.world.watch.now_ms()
        await self._do(PublishListing(id=self._id(), room=self._room, listing=listing))

    async def _explain(self, sale: Sale) -> None:
        await self._do(StartExplaining(id=self._id(), room=self._room, listing_id=sale.listing_id))

    async def _say(self, text: str) -> None:
        self.world.figures.counts["danmaku_sent"] += 1
        self.world.sent(self.member.user, text)
        reply = await self.member.ask(SendDanmaku(id=self._id(), room=self._room, text=text))
        self.world.figures.fates[str(getattr(reply, "fate", "unknown"))] += 1

    async def _do(self, command: Command) -> None:
        """Until it is done: the same id again is the same command."""
        code = ""
        for attempt in range(TRIES_MAX):
            code = code_of(await self.member.ask(command))
            if code == "done":
                return
            await asyncio.sleep(min(0.2 * 2**attempt, AGAIN_AFTER_S_MAX))
        self.world.fault("streamer", f"{type(command).__name__} was answered {code}")

    async def _until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - asyncio.get_running_loop().time()))

    @property
    def _room(self) -> str:
        return self.world.room

    def _id(self) -> str:
        return self.member.new_id()
