"""The beat of the rooms held here: once a second each, not all in the same moment.

A room's beat tells the store our figures and brings home everybody's, the head of its log and its sales. The
rooms take turns through the second; one whose beat is still on its way is passed over, so a store that
doesn't answer is asked by each room once, not once a second more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from liveserver.core.clock import Clock
from liveserver.core.turns import Turns
from liveserver.store.port import RoomStore
from protocol.errors import CommandError

from .live_room import LiveRoom
from .store_errors import store_errors

logger = structlog.get_logger(__name__)

BEAT_MS = 1_000
STEPS = 20  # of a second: 50 ms each, so that of 2,000 rooms 100 beat together
BEATS_AT_ONCE = 16  # most of the store's connections stay free for what rooms append


class Beats:
    """``on_sale(room, sale_id)`` is told, each beat, which sales concern a room; ``beaten(live)`` that one
    beat is over, answered or not."""

    def __init__(
        self,
        store: RoomStore,
        clock: Clock,
        *,
        on_sale: Callable[[str, str], None],
        beaten: Callable[[LiveRoom], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_sale = on_sale
        self._beaten = beaten
        self._rooms: dict[str, LiveRoom] = {}
        self._turns = Turns(STEPS)
        self._under_way: set[str] = set()
        self._at_once = asyncio.Semaphore(BEATS_AT_ONCE)
        self._unanswered = 0  # beats in a row

    @property
    def store_answers(self) -> bool:
        """One room's failure is not the store's, if there are others."""
        return self._unanswered < max(1, min(BEATS_AT_ONCE, len(self._rooms)))

    def add(self, live: LiveRoom) -> None:
        """From now on it beats; first in nearly a second, where the second's steps are equally full."""
        self._rooms[live.room_id] = live
        self._turns.add(live.room_id)

    def remove(self, live: LiveRoom) -> None:
        self._rooms.pop(live.room_id, None)
        self._turns.remove(live.room_id)

    async def forever(self) -> None:
        """Until cancelled, and the beats under way with it: what they had to say the next ones say."""
        due_ms: float = self._clock.now_ms()
        async with asyncio.TaskGroup() as group:
            for step in range(1 << 62):
                now_ms = self._clock.now_ms()
                due_ms = max(due_ms + BEAT_MS / STEPS, now_ms)  # what is late isn't made up for in a burst
                await self._clock.sleep_ms(due_ms - now_ms)
                for room in self._turns.step():
                    if room not in self._under_way:
                        group.create_task(self._turn(self._rooms[room]), name=f"beat {room}")
                if not self._rooms and step % STEPS == STEPS - 1:
                    await self._ask_store()

    async def _turn(self, live: LiveRoom) -> None:
        self._under_way.add(live.room_id)
        try:
            await self.beat(live)
        finally:
            self._under_way.discard(live.room_id)
        self._beaten(live)

    async def beat(self, live: LiveRoom) -> None:
        """Our figures out, everybody's in, lost events and sales noticed. Never raises but when cancelled."""
        demand = live.sharing.demand(self._clock.now_ms())
        try:
            async with self._at_once:
                with store_errors():
                    beat = await self._store.beat(
                        live.room_id,
                        process=live.holding,
                        viewers=len(live.seats),
                        likes=live.likes,
                        demand=demand,
                    )
        except CommandError:
            self._unanswered += 1  # the store is away: danmaku goes on here, and the next beat heals
            return
        except Exception:
            logger.exception("beat_failed", room=live.room_id)
            return
        self._unanswered = 0
        live.heal(beat.epoch, beat.head)
        live.set_counts(beat.viewers, beat.likes)
        live.sharing.beat(demand, beat)
        live.others.beat(beat.processes)
        for sale_id in beat.sales:
            self._on_sale(live.room_id, sale_id)

    async def _ask_store(self) -> None:
        """Nobody else would notice that it is away, or back, while no room is held."""
        try:
            with store_errors(reading=True):
                await self._store.ping()
        except CommandError:
            self._unanswered += 1
        else:
            self._unanswered = 0
