"""A small audience that lives through restarts: viewers who follow, buyers who buy, a streamer who goes on,
and one who knocks at the door all the time. They are sessions of the client library, which come back by
themselves.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from redis.asyncio import Redis

from liveserver.stock.export import orders
from protocol import commands as c
from protocol.client.aio import CommandRefused, Live, OutcomeUnknown, connect
from protocol.client.happenings import Happened, Snapshotted
from protocol.replies import Done, PurchaseOutcome, Reply
from protocol.types import OrderLine
from tests.end_to_end.shop import draft

from .served import Served, asked

ROOM, SALE = "r1", "s1"
VIEWERS, BUYERS, STOCK = 12, 4, 10_000
ORDERS_EACH = 50
AGAIN_S = 0.05
TRIES_MAX = 200
PACE_S = 0.02


@dataclass
class Crowd:
    """``told``: (user, command) -> reservation; ``followed``: by viewer, the offsets as they came."""

    served: Served
    told: dict[tuple[str, str], str] = field(default_factory=dict)
    followed: dict[str, list[int]] = field(default_factory=dict)
    snapshots: dict[str, int] = field(default_factory=dict)
    listed: int = 0
    knocked: int = 0
    knocks_broken: int = 0  # taken by a process that was killed before it had answered
    knocks_may_break: bool = False
    head: int = 0
    ended: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def play(self) -> None:
        """Until ``stop``; then until every viewer stands at the streamer's last event."""
        async with connect(self.served.url, self.served.mint("streamer", "eve"), proxy=None) as eve:
            await eve.join(ROOM)
            await self._done(eve, c.PublishListing(id="l", room=ROOM, listing=draft(stock=STOCK)))
            await self._done(eve, c.OpenSale(id="o", room=ROOM, sale_id=SALE, listing_id="oil"))
            async with asyncio.TaskGroup() as tasks:
                for number in range(VIEWERS):
                    tasks.create_task(self._follow(f"v{number}"))
                for number in range(BUYERS):
                    tasks.create_task(self._buy(number))
                tasks.create_task(self._go_on(eve))
                tasks.create_task(self._knock())

    async def _done(self, live: Live, command: c.Command) -> Done:
        reply = await until_known(live, command, Done)
        assert isinstance(reply, Done), reply
        self.head = max(self.head, reply.offset or 0)
        return reply

    async def _go_on(self, eve: Live) -> None:
        """One event after the other."""
        while not self.stop.is_set():
            self.listed += 1
            explaining = c.UpdateListing(
                id=f"u{self.listed}", room=ROOM, listing_id="oil", line=f"第{self.listed}次"
            )
            await self._done(eve, explaining)
            await asyncio.sleep(PACE_S)
        self.ended = True

    async def _follow(self, user: str) -> None:
        offsets = self.followed[user] = []
        self.snapshots[user] = 0
        async with connect(self.served.url, self.served.mint("viewer", user), proxy=None) as live:
            room = await live.join(ROOM)
            async for happening in room:
                if isinstance(happening, Snapshotted):
                    self.snapshots[user] += 1
                    offsets.append(happening.snapshot.offset)
                elif isinstance(happening, Happened):
                    offsets.append(happening.envelope.offset)
                if self.ended and offsets and offsets[-1] >= self.head:
                    return

    async def _buy(self, number: int) -> None:
        """One buyer after the other: each has a bounded number of reservations."""
        life = 0
        while not self.stop.is_set():
            life += 1
            user = f"b{number}-{life}"
            async with connect(self.served.url, self.served.mint("viewer", user), proxy=None) as live:
                await live.join(ROOM)
                for order in range(ORDERS_EACH):
                    if not self.stop.is_set():
                        await self._order(live, user, f"{user}-{order}")

    async def _order(self, live: Live, user: str, command_id: str) -> None:
        order = c.Purchase(id=command_id, room=ROOM, sale_id=SALE, lines=[OrderLine(item_id="jar")])
        reply = await until_known(live, order, PurchaseOutcome)
        assert isinstance(reply, PurchaseOutcome) and reply.reservation is not None, reply
        self.told[user, command_id] = reply.reservation.reservation_id
        await asyncio.sleep(PACE_S)

    async def _knock(self) -> None:
        """A connection after the other; a refused or a reset one raises."""
        while not self.stop.is_set():
            reader, writer = await asyncio.open_connection(*self.served.host_port)
            try:
                status, _ = await asked(reader, writer, "/healthz")
                assert status == 200
                self.knocked += 1
            except ConnectionResetError:
                self.knocks_broken += 1
                assert self.knocks_may_break
            await asyncio.sleep(PACE_S)

    async def judge(self, store: Redis) -> None:
        """Every order told stands in the ledger, and no other; nobody missed or doubled an event."""
        held = {(one.user_id, one.command_id): one.reservation_id async for one in orders(store, SALE)}
        assert held == self.told
        assert len(set(held.values())) == len(held) > 0
        for user, offsets in self.followed.items():
            assert offsets == list(range(offsets[0], self.head + 1)), (user, offsets)
            assert self.snapshots[user] <= 1, f"{user} resumed by snapshot"


async def until_known(live: Live, command: c.Command, expected: type[Reply]) -> Reply:
    """Asked again, by the same id, until there is an answer for good."""
    for _ in range(TRIES_MAX):
        try:
            reply = await live.ask(command, expected)
            if not (isinstance(reply, PurchaseOutcome) and reply.outcome == "pending"):
                return reply
        except OutcomeUnknown:
            pass
        except CommandRefused as error:
            if error.code not in ("retry", "unavailable", "pending", "rate_limited", "not_joined"):
                raise
        await asyncio.sleep(AGAIN_S)
    raise AssertionError(f"{command} never came to an end")
