"""A room's critical events to its seats, whatever happens meanwhile: joins, pauses, gaps, purges.

The room is the real one, the log behind it a list, and each viewer a mirror of the client's, so *he has seen
it all, once and in order* is what he says himself. No slice holds more than a few seats.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from liveserver.commands.session import Session
from liveserver.core.conservation import Conservation
from liveserver.core.limits import SessionRates
from liveserver.core.rate import SessionLimits
from liveserver.edge.descriptors import NO_SLOT
from liveserver.hub import broadcaster as b
from liveserver.hub import chunks
from liveserver.hub.delivery import NOWHERE
from liveserver.hub.encoded import Variant
from liveserver.hub.live_room import LiveRoom
from liveserver.hub.room_log import HISTORY_SIZE
from liveserver.hub.seats import Seat, SeatState
from liveserver.hub.tasks import Tasks
from liveserver.store.port import RelayChunk, RelayCritical
from protocol.client.happenings import GapFound
from protocol.client.mirror import Mirror
from protocol.codec import JSON
from protocol.events import DanmakuDeleted, Envelope, Event, UserMuted
from protocol.frames import DanmakuBlock, Frame
from protocol.types import Danmaku, Stock
from tests.clock import ManualClock
from tests.edge.peers import eventually
from tests.hub.test_broadcaster import EndlessTime

pytestmark = pytest.mark.usefixtures("either_sender")
EPOCH = 7
ROOM = "r"


class Log:
    """Of the store, as much as a room that only follows asks for."""

    def __init__(self) -> None:
        self.rows: list[Envelope] = []
        self.reads = 0
        self.epoch = EPOCH

    def append(self, event: Event) -> Envelope:
        envelope = Envelope(offset=len(self.rows) + 1, at_ms=1, event=event)
        self.rows.append(envelope)
        return envelope

    async def load(self, room: str, *, history: int) -> Any:
        return SimpleNamespace(epoch=self.epoch, head=len(self.rows), state={}, history=[])

    async def read_after(self, room: str, *, epoch: int, offset: int, limit: int) -> list[Any]:
        assert epoch == EPOCH
        self.reads += 1
        return [SimpleNamespace(offset=one.offset, payload=pack(one)) for one in self.rows[offset:]][:limit]


class Viewer:
    """A seat and the mirror behind it."""

    slot = NO_SLOT

    def __init__(self) -> None:
        self.mirror = Mirror(ROOM)
        self.offsets: list[int] = []  # of the critical events, as they came
        self.frames: list[Frame] = []
        self.shown: list[str] = []
        session = Session("s", SessionLimits(SessionRates()), lambda _: None)
        self.seat = Seat(session, self, Variant(JSON, False), NOWHERE)

    def say(self, frame: bytes) -> None:
        self.write(frame)

    def write(self, frame: bytes) -> None:
        head = {126: 4, 127: 10}.get(frame[1], 2)
        heard = JSON.decode_downward(frame[head:])
        assert isinstance(heard, Frame)
        self.frames.append(heard)
        self.offsets += [envelope.offset for envelope in heard.critical]
        self.shown += [line.danmaku_id for line in heard.danmaku.danmaku] if heard.danmaku else []
        assert not any(isinstance(one, GapFound) for one in self.mirror.apply(heard, 1.0))


class World:
    """A room that follows the log, and viewers in it."""

    def __init__(self) -> None:
        self.log = Log()
        self.law = Conservation()
        self.tasks = Tasks()
        self.clock = ManualClock()
        self.room = LiveRoom(
            ROOM,
            "p",
            store=cast(Any, self.log),
            relay=cast(Any, SimpleNamespace(publish=published)),
            clock=self.clock,
            broadcaster=b.Broadcaster(asyncio.get_running_loop()),
            law=self.law,
            tasks=self.tasks,
            on_sale=lambda room, sale_id: None,
            budget_per_s=30,
            seed=1,
        )

    def sit(self) -> Viewer:
        viewer = Viewer()
        self.room.seats.add(viewer.seat)
        self.room.delivery.enter(viewer.seat)
        return viewer

    def happens(self, event: Event | None = None) -> Envelope:
        """By the relay, as from another process."""
        envelope = self.log.append(event or muted(len(self.log.rows)))
        self.room.receive(RelayCritical(ROOM, EPOCH, envelope.offset, pack(envelope)))
        return envelope

    def everybody_has_all(self, *viewers: Viewer) -> bool:
        return all(viewer.mirror.follows(EPOCH, len(self.log.rows)) for viewer in viewers)

    def law_holds(self) -> bool:
        return self.law.holds(self.room.delivery.advance_of_open_seats())


async def published(room: str, chunk: bytes) -> bool:
    return True


def pack(envelope: Envelope) -> bytes:
    return msgspec.msgpack.encode(envelope)


def muted(number: int) -> UserMuted:
    return UserMuted(user_id=f"u{number}", until_ms=1 << 50)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(b, "perf_counter", EndlessTime())
    monkeypatch.setattr(b, "WRITES_PER_LOOK", 4)
    world = World()
    await world.room.log.load()
    return world


async def under_way(world: World, viewers: list[Viewer]) -> None:
    """Until the broadcast has reached some and not all."""
    for _ in range(1_000):
        have = sum(viewer.mirror.follows(EPOCH, len(world.log.rows)) for viewer in viewers)
        if 0 < have < len(viewers):
            return
        await asyncio.sleep(0)
    raise AssertionError("it was never half done")


async def test_who_joins_during_a_broadcast_has_it_once(world: World) -> None:
    viewers = [world.sit() for _ in range(20)]
    world.happens()
    await under_way(world, viewers)
    newcomer = world.sit()
    assert newcomer.frames[0].snapshot is not None and newcomer.mirror.follows(EPOCH, 1)
    world.happens()
    await eventually(lambda: world.everybody_has_all(*viewers, newcomer))
    assert newcomer.offsets == [2], "what the snapshot had is not said again"
    assert all(viewer.offsets == [1, 2] for viewer in viewers)
    assert world.law_holds()


async def test_events_during_a_broadcast_go_together_behind_it(world: World) -> None:
    viewers = [world.sit() for _ in range(20)]
    world.happens()
    await under_way(world, viewers)
    for _ in range(5):
        world.happens()
    await eventually(lambda: world.everybody_has_all(*viewers))
    assert all(viewer.offsets == [1, 2, 3, 4, 5, 6] for viewer in viewers)
    with_events = [sum(bool(frame.critical) for frame in viewer.frames) for viewer in viewers]
    assert max(with_events) == 2, "the first, and the five that waited for its end"
    assert min(with_events) == 1, "whom it hadn't reached yet has them all in one"
    assert world.law_holds()


async def test_a_lost_last_event_is_found_by_the_head(world: World) -> None:
    viewer = world.sit()
    world.happens()
    world.log.append(muted(99))  # the relay loses it
    world.room.heal(EPOCH, 2)
    await eventually(lambda: world.everybody_has_all(viewer))
    assert viewer.offsets == [1, 2]
    reads = world.log.reads
    world.room.heal(EPOCH, 2)
    await world.clock.settle()
    assert world.log.reads == reads, "nothing is missing"


async def test_a_chunk_tells_of_a_lost_event_too(world: World) -> None:
    viewer = world.sit()
    world.log.append(muted(0))
    chunk = chunks.pack(chunks.Chunk(process="q", n=1, epoch=EPOCH, head=1))
    world.room.receive(RelayChunk(ROOM, chunk))
    await eventually(lambda: world.everybody_has_all(viewer))
    assert viewer.offsets == [1]


async def test_a_gap_in_the_relay_is_filled_before_what_follows(world: World) -> None:
    viewer = world.sit()
    world.happens()
    world.log.append(muted(98))
    world.log.append(muted(99))
    world.happens()  # the fourth; two and three never came
    await eventually(lambda: world.everybody_has_all(viewer))
    assert viewer.offsets == [1, 2, 3, 4]


async def test_what_comes_twice_or_late_is_said_once(world: World) -> None:
    viewer = world.sit()
    first = world.happens()
    world.happens()
    for envelope in (first, world.log.rows[1]):
        world.room.receive(RelayCritical(ROOM, EPOCH, envelope.offset, pack(envelope)))
    await eventually(lambda: world.everybody_has_all(viewer))
    await world.clock.settle()
    assert viewer.offsets == [1, 2]


@pytest.mark.parametrize("missed", [3, HISTORY_SIZE + 40])
async def test_who_comes_back_ends_where_the_others_are(world: World, missed: int) -> None:
    """By replay, and where the history doesn't reach back any more by a snapshot."""
    fast, slow = world.sit(), world.sit()
    world.happens()
    await eventually(lambda: world.everybody_has_all(fast, slow))
    slow.seat.state = SeatState.PAUSED
    frames = len(slow.frames)
    for seq in range(1, 4):
        stock = Stock(sale_id="sale", epoch=1, seq=seq, status="open", available={"jar": 10 - seq})
        told = chunks.Chunk("q", seq, EPOCH, 0, stock=[stock])
        world.room.receive(RelayChunk(ROOM, chunks.pack(told)))
    for _ in range(missed):
        world.happens()
    world.room.set_counts(12, 34)
    await eventually(lambda: world.everybody_has_all(fast) and slow.seat.missed)
    assert len(slow.frames) == frames, "nothing is written to one who does not read"
    world.room.delivery.drained(slow.seat)
    assert slow.mirror.snapshot() == fast.mirror.snapshot()
    assert slow.mirror.stock("sale") == fast.mirror.stock("sale") is not None
    assert (slow.mirror.viewers, slow.mirror.likes) == (fast.mirror.viewers, fast.mirror.likes) == (12, 34)
    assert (slow.frames[-2].snapshot is None) == (missed < HISTORY_SIZE)
    assert len(slow.frames) == frames + 2, "one frame of events, one of state, however much it was"
    assert world.law_holds()


async def test_a_new_epoch_is_a_snapshot_for_everybody(world: World) -> None:
    viewers = [world.sit() for _ in range(9)]
    world.happens()
    await eventually(lambda: world.everybody_has_all(*viewers))
    world.log.epoch += 1  # offsets go on under it: the place is the same number, and means another log
    world.room.heal(EPOCH + 1, 1)
    await eventually(lambda: all(viewer.mirror.follows(EPOCH + 1, 1) for viewer in viewers))
    assert all(viewer.frames[-2].snapshot is not None for viewer in viewers)
    assert all(not viewer.mirror.muted for viewer in viewers)
    assert world.law_holds()


async def test_what_was_deleted_does_not_come_back_in_a_late_chunk(world: World) -> None:
    viewer = world.sit()
    world.happens(DanmakuDeleted(danmaku_id="q1"))
    world.happens(UserMuted(user_id="bob", until_ms=1 << 50))
    lines = [
        Danmaku("q1", "ann", "Ann", "deleted"),
        Danmaku("q2", "bob", "Bob", "muted"),
        Danmaku("q3", "ann", "Ann", "stays"),
    ]
    late = chunks.Chunk("q", 1, EPOCH, 2, DanmakuBlock(offered=3, danmaku=lines))
    world.room.receive(RelayChunk(ROOM, chunks.pack(late)))
    await eventually(lambda: bool(viewer.shown))
    assert viewer.shown == ["q3"]
    (block,) = (frame.danmaku for frame in viewer.frames if frame.danmaku is not None)
    assert (block.offered, block.shed) == (3, 2), "and they are counted"
    assert world.law_holds()


async def test_the_server_s_count_is_what_the_viewers_got(world: World) -> None:
    """The conservation law from both sides: pauses, one who leaves, one who comes."""
    viewers = [world.sit() for _ in range(9)]
    viewers[0].seat.state = SeatState.PAUSED
    offered = 0
    for number in range(6):
        chunk = chunks.Chunk("q", number + 1, EPOCH, 0, block_of(number))
        world.room.receive(RelayChunk(ROOM, chunks.pack(chunk)))
        captured = len(world.room.seats)
        offered += captured
        before = world.law.danmaku_offered
        await eventually(lambda before=before: world.law.danmaku_offered > before)  # type: ignore[misc]
        if number == 1:
            world.room.leave(viewers[8].seat)
        if number == 3:
            viewers.append(world.sit())
        if number == 4:
            world.room.delivery.drained(viewers[0].seat)
        await world.clock.advance(200)
    got = sum(len(viewer.shown) for viewer in viewers)
    assert world.law.danmaku_offered == offered
    assert world.law.danmaku_written == got
    assert world.law.danmaku_paused == 5, "the first viewer's, until he read again"
    assert world.law_holds()


def block_of(number: int) -> DanmakuBlock:
    line = Danmaku(f"q{number}", "ann", "Ann", f"number {number} is a word")
    return DanmakuBlock(offered=1, danmaku=[line])
