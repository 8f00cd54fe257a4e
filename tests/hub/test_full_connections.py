"""A connection may fill up at any write of ours, also in the middle of bringing its session up to date: from
there on its seats are passed over, so nothing piles up for it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from liveserver.commands.ports import SAID
from liveserver.commands.session import Session
from liveserver.core.conservation import Conservation
from liveserver.core.identity import Identity
from liveserver.core.limits import SessionRates
from liveserver.core.rate import SessionLimits
from liveserver.edge.descriptors import NO_SLOT
from liveserver.hub.broadcaster import Broadcaster
from liveserver.hub.encoded import Variant
from liveserver.hub.live_room import LiveRoom
from liveserver.hub.people import People
from liveserver.hub.rooms import Rooms
from liveserver.hub.seats import Seat, SeatState
from liveserver.hub.tasks import Tasks
from protocol.codec import JSON
from protocol.commands import Join
from protocol.types import Danmaku, Role
from tests.clock import ManualClock

pytestmark = pytest.mark.usefixtures("either_sender")
NOWHERE = cast(Any, None)  # ports nothing here gets to


class Full:
    """A connection that is full after ``room_for`` frames, and tells its seats, as the gate does."""

    slot = NO_SLOT

    def __init__(self, room_for: int) -> None:
        self.room_for = room_for
        self.written = 0
        self.paused = False
        self.session = Session("s", SessionLimits(SessionRates()), self.write)
        self.session.identity = Identity("ann", "Ann", Role.VIEWER, ("*",), 1 << 50)

    def write(self, frame: object) -> None:
        self.written += 1
        if self.written >= self.room_for and not self.paused:
            self.paused = True
            for seat in self.session.rooms.values():
                assert isinstance(seat, Seat)
                seat.state = SeatState.PAUSED

    say = write

    def seat(self, session: Session, cursor: int) -> Seat:
        seat = Seat(session, self, Variant(JSON, False), cursor)
        if self.paused:
            seat.state = SeatState.PAUSED
        return seat


class World:
    """Rooms that are held already, and no store."""

    def __init__(self, connection: Full, *names: str) -> None:
        self.clock = ManualClock()
        self.rooms = Rooms(
            store=NOWHERE,
            relay=NOWHERE,
            ledger=NOWHERE,
            clock=self.clock,
            process="p",
            people=People(),
            tasks=Tasks(),
            new_room=NOWHERE,
            make_seat=connection.seat,
            on_sale=lambda room, sale_id: None,
        )
        self.rooms._rooms = {name: self.room(name) for name in names}

    def join(self, session: Session, command: Join) -> None:
        assert self.rooms.join(session, command) is SAID, "nothing is to be looked up"

    def room(self, name: str) -> LiveRoom:
        return LiveRoom(
            name,
            "p",
            store=NOWHERE,
            relay=cast(Any, SimpleNamespace(publish=published)),
            clock=self.clock,
            broadcaster=Broadcaster(asyncio.get_running_loop()),
            law=Conservation(),
            tasks=Tasks(),
            on_sale=lambda room, sale_id: None,
            budget_per_s=30,
            seed=1,
        )


async def published(room: str, chunk: bytes) -> bool:
    return True


async def test_a_connection_that_fills_up_again_leaves_its_other_rooms_for_later() -> None:
    connection = Full(room_for=1_000)
    world = World(connection, "r1", "r2")
    for name in ("r1", "r2"):
        world.join(connection.session, Join(id=name, room=name))
    seats = [cast(Seat, seat) for seat in connection.session.rooms.values()]
    for seat in seats:
        seat.state, seat.missed = SeatState.PAUSED, True
    connection.written, connection.room_for = 0, 1

    world.rooms.drained(connection.session)
    assert connection.written == 1, "full at once"
    assert [seat.state for seat in seats] == [SeatState.PAUSED] * 2
    assert [seat.missed for seat in seats] == [False, True], "the second is owed its state still"

    seats[0].missed = True
    connection.paused, connection.written = False, 0
    world.rooms.drained(connection.session)
    assert [seat.missed for seat in seats] == [True, False], "now it was the second's turn"

    connection.paused, connection.room_for = False, 1_000
    world.rooms.drained(connection.session)
    assert [seat.state for seat in seats] == [SeatState.READS] * 2
    assert not any(seat.missed for seat in seats)


async def test_a_connection_that_its_join_has_filled_is_passed_over() -> None:
    connection = Full(room_for=1)
    world = World(connection, "r1")
    world.join(connection.session, Join(id="j", room="r1"))
    (seat,) = (cast(Seat, seat) for seat in connection.session.rooms.values())
    assert (seat.state, seat.missed) == (SeatState.PAUSED, True)
    assert connection.written == 1, "the reply, and nothing behind it"


async def test_a_room_that_cannot_be_written_to_shows_less() -> None:
    connection = Full(room_for=1_000)
    world = World(connection, "r1")
    world.join(connection.session, Join(id="j", room="r1"))
    live = world.rooms.held("r1")
    assert live is not None
    for paused, percent in ((False, 100), (True, 50)):
        for seat in live.seats:
            seat.state = SeatState.PAUSED if paused else SeatState.READS
        danmaku = Danmaku(f"d{percent}", "ann", "Ann", f"来了 {percent} 个")
        live.offer_danmaku(danmaku, 0, (connection.session, "c1"))
        await ticked(live, world.clock)
        live.sharing.look(100)
        assert live.sharing.percent == percent


@pytest.mark.parametrize("bad", ["name", "text"])
async def test_a_tick_that_fails_is_not_the_last(bad: str) -> None:
    """What no encoder takes should never come this far; if it does, the room goes on."""
    connection = Full(room_for=1_000)
    world = World(connection, "r1")
    world.join(connection.session, Join(id="j", room="r1"))
    live = world.rooms.held("r1")
    assert live is not None
    words = {"name": "Ann", "text": "来了"} | {bad: "\ud83d"}
    live.offer_danmaku(Danmaku("d1", "ann", words["name"], words["text"]), 0, (connection.session, "c1"))
    await ticked(live, world.clock)
    before = connection.written
    live.offer_danmaku(Danmaku("d2", "ann", "Ann", "你好"), 0, (connection.session, "c2"))
    await ticked(live, world.clock)
    assert connection.written == before + 2, "the receipt and the frame"


async def ticked(live: LiveRoom, clock: ManualClock) -> None:
    await asyncio.sleep(0.15)
    await clock.advance(200)
