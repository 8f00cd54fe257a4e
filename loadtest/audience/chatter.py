"""Plays a recording: its comments, likes, gifts and entries, in its own time, spread over who is there.

A session may say one comment a second; whoever spoke last waits longest. What nobody is free to say is
left out and counted (``danmaku_unsaid``).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from loadtest.audience.member import Member
from loadtest.audience.shop import Shop
from loadtest.audience.world import World
from loadtest.replay import Happening
from protocol.commands import Like, SendDanmaku
from protocol.replies import Receipt

BETWEEN_S: Final = 1.3  # two comments of one viewer: the server allows one a second
ENTRIES_PER_S_MAX: Final = 8
LOOK_MAX: Final = 64  # how many viewers are asked whether they are free
TAPS_MAX: Final = 100


class Chatter:
    def __init__(self, world: World, viewers: list[Member], shop: Shop) -> None:
        self.world = world
        self.shop = shop
        self._turns = deque(viewers)
        self._entries = 0
        self._entries_second = -1
        self._tasks: set[asyncio.Task[None]] = set()

    async def play(self, happenings: list[Happening], began_s: float) -> None:
        """Returns when all has been said. Cancelled: what waits for its answer is given up."""
        loop = asyncio.get_running_loop()
        try:
            for happening in happenings:
                delay_s = began_s + happening.at_s - loop.time()
                if delay_s > 0:
                    await asyncio.sleep(delay_s)
                self._one(happening, loop.time())
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=5)
        finally:
            for task in self._tasks:
                task.cancel()

    def _one(self, happening: Happening, now_s: float) -> None:
        match happening.kind:
            case "danmaku":
                viewer = self._free(now_s)
                if viewer is None:
                    self.world.figures.counts["danmaku_unsaid"] += 1
                else:
                    viewer.danmaku_from_s = now_s + BETWEEN_S
                    self._start(self._comment(viewer, happening.text))
            case "like":
                viewer = self._free(0.0)
                if viewer is not None:
                    self._start(self._like(viewer, min(happening.times, TAPS_MAX)))
            case "gift":
                viewer = self._free(0.0)
                if viewer is not None and self.shop.service.present:
                    self._start(self.shop.gift(viewer.user, viewer.name, happening.text, happening.times))
            case "enter":
                self._enter(now_s)
            case _:
                pass

    def _free(self, now_s: float) -> Member | None:
        """Somebody who reads and (``now_s`` > 0) may comment now."""
        for _ in range(min(LOOK_MAX, len(self._turns))):
            viewer = self._turns[0]
            self._turns.rotate(-1)
            if viewer.reading and (not now_s or viewer.danmaku_from_s <= now_s):
                return viewer
        return None

    def _enter(self, now_s: float) -> None:
        if int(now_s) != self._entries_second:
            self._entries_second, self._entries = int(now_s), 0
        viewer = self._free(0.0)
        if viewer is None or viewer.stays or viewer.slow:
            return
        if viewer.idle and self._entries < ENTRIES_PER_S_MAX:
            self._entries += 1
            self.world.figures.counts["entries"] += 1
            viewer.reenter()

    async def _comment(self, viewer: Member, text: str) -> None:
        world = self.world
        world.figures.counts["danmaku_sent"] += 1
        world.sent(viewer.user, text)
        reply = await viewer.ask(SendDanmaku(id=viewer.new_id(), room=world.room, text=text))
        world.figures.fates[str(reply.fate) if isinstance(reply, Receipt) else "unknown"] += 1

    async def _like(self, viewer: Member, taps: int) -> None:
        self.world.figures.counts["likes"] += taps
        await viewer.ask(Like(id=viewer.new_id(), room=self.world.room, count=taps))

    def _start(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
