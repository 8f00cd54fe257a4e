"""The rush: one order, from the tap to its one outcome.

An answer that is lost or ``pending`` is asked for again with the same command id, ``attempt`` raised; what
stays unknown is looked up by the order service. A double tap sends the same command twice at once.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from loadtest.audience.member import Member, code_of
from loadtest.audience.plan import LEAVES_EVERY, Order, Sale
from loadtest.audience.shop import Shop
from loadtest.audience.world import World
from protocol.commands import Purchase
from protocol.replies import PurchaseOutcome, Reply
from protocol.types import HeldReservation, OrderLine

ATTEMPTS_MAX: Final = 16
AGAIN_AFTER_S: Final = 0.3
AGAIN_AFTER_S_MAX: Final = 1.5
SEES_IT_TRIES: Final = 40
SEES_IT_S: Final = 0.05
NOT_DONE: Final = frozenset({"unknown", "pending", "unavailable", "rate_limited", "retry", "not_joined"})


class Buyers:
    def __init__(self, world: World, shop: Shop) -> None:
        self.world = world
        self.shop = shop
        self._waited = 0
        self.began_s = asyncio.get_running_loop().time()

    async def buy(self, buyer: Member, sale: Sale, order: Order) -> None:
        """Ends with an outcome, or with a lookup that says what it was."""
        command = await self.ready(buyer, sale, sale.items[order.item], order.quantity)
        counts = self.world.figures.counts
        counts["purchases"] += 1
        counts["units_asked"] += order.quantity
        asking = asyncio.ensure_future(self.ask(buyer, command))
        if order.repeat == "twice":
            counts["purchase_repeats"] += 1
            await asyncio.sleep(0)
            buyer.say_raw(_raised(command))
        reply = await asking
        code = code_of(reply)
        if code in NOT_DONE:
            found = await self.shop.look_up(buyer.user, sale.sale_id, command.id)
            code = {"reserved": "reserved", "none": code}.get(found, "unknown")
        self.world.figures.outcomes[code] += 1
        self.world.figures.purchase_s[int(asyncio.get_running_loop().time() - self.began_s)] += 1
        if order.repeat == "later":
            counts["purchase_repeats"] += 1
            await asyncio.sleep(self.world.rng.uniform(0.2, 0.9))
            again = await self.ask(buyer, _raised(command))
            reply = again if code_of(again) == "reserved" else reply
        if isinstance(reply, PurchaseOutcome) and reply.reservation is not None:
            held: HeldReservation | None = reply.reservation
            if held is not None and held.state == "waiting":
                held = await self._in_line(buyer, sale, held)
            if held is not None:
                await self.shop.granted(buyer, held, sale.hold_ms)

    async def _in_line(self, buyer: Member, sale: Sale, waits: HeldReservation) -> HeldReservation | None:
        """What he is served, if he stays and his turn comes before the sale closes."""
        self._waited += 1
        scenes = self.world.figures.scenes
        scenes["waiting"] += 1
        if self._waited % LEAVES_EVERY == 0:
            await asyncio.sleep(self.world.rng.uniform(0.1, 0.5) * sale.hold_ms / 1000)
            scenes["left"] += await self.shop.released(buyer, waits)
            return None
        left_s = self.began_s + sale.closes_s - asyncio.get_running_loop().time()
        served = await buyer.told("reservationServed", waits.reservation_id, max(0.0, left_s))
        scenes["served"] += served is not None
        return served

    async def ready(self, buyer: Member, sale: Sale, item: str, quantity: int) -> Purchase:
        """The order, once the buyer sees the sale: nobody buys what is not on his screen yet."""
        for _ in range(SEES_IT_TRIES):
            if buyer.sees(sale.sale_id):
                break
            await asyncio.sleep(SEES_IT_S)
        return Purchase(
            id=buyer.new_id(),
            room=self.world.room,
            sale_id=sale.sale_id,
            lines=[OrderLine(item_id=item, quantity=quantity)],
        )

    async def ask(self, buyer: Member, command: Purchase) -> Reply | None:
        """Asked again, with the same id, until it is known what became of it."""
        reply: Reply | None = None
        for attempt in range(ATTEMPTS_MAX):
            reply = await buyer.ask(command)
            if code_of(reply) not in NOT_DONE:
                return reply
            self.world.figures.counts["purchase_retries"] += 1
            patience_s = min(AGAIN_AFTER_S * 1.5**attempt, AGAIN_AFTER_S_MAX)
            await asyncio.sleep(patience_s * self.world.rng.uniform(0.7, 1.3))
            command = _raised(command)
        return reply


def _raised(command: Purchase) -> Purchase:
    return msgspec.structs.replace(command, attempt=command.attempt + 1)
