"""A room's critical events as this process follows them: append, receive, heal a gap.

Invariant: ``view`` is the projection of a gapless prefix of the room's log. The next offset is applied,
a lower one is old, a higher one means that something was lost and is read from the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import structlog

from liveserver.commands.ports import Decide
from liveserver.core.clock import Clock
from liveserver.core.history import CriticalHistory
from liveserver.core.room import Room
from liveserver.store.port import Appended, RoomStore, StoredEvent
from protocol.errors import CommandError
from protocol.events import Envelope, Event

from .store_errors import store_errors

logger = structlog.get_logger(__name__)

TRIES_MAX = 16  # other processes may be faster this often before we say so
READ_MAX = 500  # events read in one go
HISTORY_SIZE = 512

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Envelope)


class RoomLog:
    """``on_events`` is told of each run of events that became known, after they were applied; ``on_reset``
    that the room was loaded anew (a new epoch, or further behind than the log reaches)."""

    def __init__(
        self,
        room_id: str,
        store: RoomStore,
        clock: Clock,
        on_events: Callable[[list[Envelope]], None],
        on_reset: Callable[[], None],
    ) -> None:
        self.room_id = room_id
        self.view = Room.load({}, 0, 0)
        self.history = CriticalHistory(HISTORY_SIZE)
        self._store = store
        self._clock = clock
        self._on_events = on_events
        self._on_reset = on_reset
        self._appending = asyncio.Lock()  # first come, first served: a sender's commands keep their order
        self._healing = asyncio.Lock()

    async def load(self) -> None:
        """What the store holds now. Safe to call again; never goes back within an epoch."""
        loaded = await self._store.load(self.room_id, history=HISTORY_SIZE)
        if loaded.epoch == self.view.epoch and loaded.head <= self.view.offset:
            return
        self.view = Room.load(loaded.state, loaded.epoch, loaded.head)
        oldest = loaded.history[0].offset - 1 if loaded.history else loaded.head
        self.history.reset(loaded.epoch, oldest)
        for stored in loaded.history:
            self.history.add(_decoder.decode(stored.payload))
        self._on_reset()

    async def publish(
        self,
        command_id: str,
        decide: Decide,
        stream_time_ms: int | None,
        *,
        makes: Callable[[Event], bool] | None = None,
    ) -> tuple[int, int, bool]:
        """See ``commands.ports.LiveRoom.publish``. ``CommandError`` unavailable or pending if the store does
        not answer."""
        with store_errors():
            epoch, offset, duplicate = await self._publish(command_id, decide, stream_time_ms)
            if duplicate and makes is not None:
                await self._check_made(epoch, offset, makes)
            return epoch, offset, duplicate

    async def check_id(self, command_id: str, makes: Callable[[Event], bool]) -> None:
        """See ``commands.ports.LiveRoom.check_id``."""
        with store_errors(reading=True):
            found = await self._store.find(self.room_id, command_id)
            if found is not None:
                await self._check_made(found.epoch, found.offset, makes)

    async def _check_made(self, epoch: int, offset: int, makes: Callable[[Event], bool]) -> None:
        """Nothing is known where the log does not reach back to it any more."""
        stored = await self._store.read_after(self.room_id, epoch=epoch, offset=offset - 1, limit=1)
        if stored and not makes(_decoder.decode(stored[0].payload).event):
            raise CommandError("conflict", field="id")

    async def _publish(
        self, command_id: str, decide: Decide, stream_time_ms: int | None
    ) -> tuple[int, int, bool]:
        async with self._appending:
            for _ in range(TRIES_MAX):
                try:
                    event = decide(self.view)
                    refused = None
                except CommandError as error:
                    event, refused = None, error
                if event is None:
                    if done := await self._done_before(command_id):
                        return done
                    if await self._caught_up():
                        continue  # refused, or so already: by the room as it is, not as we have heard of it
                    if refused is not None:
                        raise refused
                    return self.view.epoch, self.view.offset, False
                envelope = Envelope(
                    offset=self.view.offset + 1,
                    at_ms=self._clock.now_ms(),
                    stream_time_ms=stream_time_ms,
                    event=event,
                )
                epoch = self.view.epoch
                result = await self._store.append(
                    self.room_id,
                    epoch=epoch,
                    expected_head=self.view.offset,
                    command_id=command_id,
                    payload=_encoder.encode(envelope),
                    changes=self.view.changes(event),
                )
                if isinstance(result, Appended):
                    if not result.duplicate:
                        self.receive(epoch, envelope)
                    await self.reach(result.epoch, result.offset)
                    return result.epoch, result.offset, result.duplicate
                await self.reach(result.epoch, result.head)
        raise CommandError("unavailable", "the room is changed by many at once", retry_ms=200)

    async def _done_before(self, command_id: str) -> tuple[int, int, bool] | None:
        """What was decided now may look different because this very command was carried out before."""
        found = await self._store.find(self.room_id, command_id)
        if found is None:
            return None
        await self.reach(found.epoch, found.offset)
        return found.epoch, found.offset, True

    def receive_packed(self, epoch: int, offset: int, payload: bytes) -> bool:
        """An event from the relay. False: there is a gap before it, to be healed by ``reach``."""
        if epoch != self.view.epoch or offset > self.view.offset + 1:
            return False
        if offset == self.view.offset + 1:
            self.receive(epoch, _decoder.decode(payload))
        return True

    def receive(self, epoch: int, envelope: Envelope) -> None:
        """The next event, or one that is known already."""
        if epoch != self.view.epoch or envelope.offset != self.view.offset + 1:
            return
        self._apply([envelope])

    def _apply(self, envelopes: list[Envelope]) -> None:
        for envelope in envelopes:
            self.view.apply(envelope)
            self.history.add(envelope)
        self._on_events(envelopes)

    async def reach(self, epoch: int, head: int) -> None:
        """Know everything up to ``head``: from the room's stream if it reaches back, else loaded anew."""
        if epoch < self.view.epoch or (epoch == self.view.epoch and head <= self.view.offset):
            return
        async with self._healing:
            await self._read_on(epoch, head)
            if epoch > self.view.epoch or (epoch == self.view.epoch and head > self.view.offset):
                logger.info("room_loaded_anew", room=self.room_id, epoch=epoch, head=head)
                await self.load()

    async def catch_up(self) -> bool:
        """Know what the store knows by now, so that nobody is refused for what another process has been told
        already. True: there was something new. ``CommandError`` unavailable if the store does not answer."""
        with store_errors(reading=True):
            return await self._caught_up()

    async def _caught_up(self) -> bool:
        async with self._healing:
            epoch, offset = self.view.epoch, self.view.offset
            stored = await self._store.read_after(self.room_id, epoch=epoch, offset=offset, limit=READ_MAX)
            if stored is None:
                await self.load()
            else:
                self._take_up(stored)
            return (self.view.epoch, self.view.offset) != (epoch, offset)

    async def hear_of(self, epoch: int, head: int) -> None:
        """Somebody has seen this head, at a process that was told sooner. Where it isn't so, nothing happens;
        anybody may say it, so nothing is loaded for it."""
        if epoch == self.view.epoch and head > self.view.offset:
            async with self._healing:
                await self._read_on(epoch, head)

    async def _read_on(self, epoch: int, head: int) -> None:
        """What the room's stream has after ours, up to ``head`` at least if it has that much."""
        while epoch == self.view.epoch and head > self.view.offset:
            after = self.view.offset
            stored = await self._store.read_after(self.room_id, epoch=epoch, offset=after, limit=READ_MAX)
            if not stored:
                return
            self._take_up(stored)

    def _take_up(self, stored: list[StoredEvent]) -> None:
        envelopes = [_decoder.decode(event.payload) for event in stored]
        self._apply([e for e in envelopes if e.offset > self.view.offset])
