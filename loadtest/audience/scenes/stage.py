"""Where a scene is played: its sale, its people, and what they can do."""

from __future__ import annotations

import asyncio

from loadtest.audience.buyers import NOT_DONE, Buyers
from loadtest.audience.member import Member, code_of
from loadtest.audience.plan import Scene
from loadtest.audience.shop import Shop
from loadtest.audience.streamer import Streamer
from loadtest.audience.world import World
from protocol.replies import PurchaseOutcome
from protocol.types import HeldReservation


class Stage:
    def __init__(
        self,
        world: World,
        scene: Scene,
        viewers: list[Member],
        *,
        streamer: Streamer,
        buyers: Buyers,
        shop: Shop,
        closes_at_s: float,
    ) -> None:
        self.world = world
        self.sale = scene.sale
        self.cast = [viewers[place] for place in scene.cast]
        self.streamer = streamer
        self.buyers = buyers
        self.shop = shop
        self._closes_at_s = closes_at_s

    async def open(self) -> None:
        """Once it is in the cart."""
        await self.streamer.ready.wait()
        await self.streamer.open(self.sale)

    async def close(self) -> None:
        """When its time has come, or at once where the scene took longer."""
        await asyncio.sleep(max(0.0, self._closes_at_s - asyncio.get_running_loop().time()))
        await self.streamer.close(self.sale)

    async def buy(self, buyer: Member, item: int = 0, quantity: int = 1) -> HeldReservation | None:
        """The reservation, held or waiting; None where it was refused, or its answer never came."""
        command = await self.buyers.ready(buyer, self.sale, self.sale.items[item], quantity)
        reply = await self.buyers.ask(buyer, command)
        code = code_of(reply)
        self.world.figures.scenes[code] += 1
        if code in NOT_DONE:
            await self.shop.look_up(buyer.user, self.sale.sale_id, command.id)
        return reply.reservation if isinstance(reply, PurchaseOutcome) else None

    async def pay(self, reservation: HeldReservation | None) -> None:
        if reservation is not None:
            self.world.figures.scenes[await self.shop.paid(reservation)] += 1

    async def pay_late(self, reservation: HeldReservation | None) -> None:
        if reservation is not None:
            await self.shop.pays_late(reservation)

    async def release(self, buyer: Member, reservation: HeldReservation | None) -> None:
        if reservation is not None:
            self.world.figures.scenes["released"] += await self.shop.released(buyer, reservation)

    async def give_back(self, reservation: HeldReservation | None, *, limit_back: bool) -> None:
        if reservation is not None:
            await self.shop.given_back(reservation, limit_back=limit_back)
