"""A tick's frame goes straight to the kernel: real sockets, one peer who reads and one who does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from starlette.applications import Starlette

from liveserver.commands.session import Session
from liveserver.core.limits import SessionRates
from liveserver.core.rate import SessionLimits
from liveserver.edge.descriptors import NO_FD
from liveserver.edge.server import Serving, serve
from liveserver.edge.socket import Socket
from liveserver.hub.broadcaster import Broadcaster, TickJob
from liveserver.hub.encoded import Encoded, Variant
from liveserver.hub.seats import Seat, Seats, SeatState
from protocol.close import Close
from protocol.codec import JSON
from protocol.frames import DanmakuBlock, Frame
from protocol.types import Danmaku
from tests.clock import ManualClock
from tests.edge.peers import TEXT, Raw, Recorder, eventually

pytestmark = pytest.mark.usefixtures("either_sender")
PLAIN = Variant(JSON, False)
RECEIVE_BYTES = 4_096
TICKS_MAX = 2_000


class Place(NamedTuple):
    raw: Raw
    socket: Socket
    seat: Seat


class Hall:
    """Seats of real connections, one behind each other, and what the ticks counted."""

    def __init__(self, serving: Serving, owner: Recorder) -> None:
        self.serving = serving
        self.owner = owner
        self.caster = Broadcaster(asyncio.get_running_loop())
        self.places: list[Place] = []
        self.seats = Seats()
        self.sums: dict[str, int] = {"captured": 0, "written": 0, "paused": 0, "closed": 0}
        self.frames: list[bytes] = []

    async def sit(self, receive_bytes: int = 0) -> Place:
        raw = await Raw.connect(self.serving.port, receive_bytes=receive_bytes)
        await raw.upgrade()
        await eventually(lambda: len(self.owner.sockets) > len(self.places))
        socket = self.owner.sockets[-1]
        socket.show_fd()
        session = Session("s", SessionLimits(SessionRates()), lambda _: None)
        place = Place(raw, socket, Seat(session, socket, PLAIN, 0))
        self.places.append(place)
        self.seats.add(place.seat)
        return place

    async def tick(self) -> None:
        comments = [Danmaku(f"d{n}", "ann", "Ann", "x" * 80) for n in range(40)]
        encoded = Encoded(
            Frame(room="r", t=1, n=len(self.frames) + 1, danmaku=DanmakuBlock(danmaku=comments))
        )
        self.frames.append(encoded.bytes_for(PLAIN))
        done = asyncio.Event()

        def told(**sums: int) -> None:
            for name, count in sums.items():
                self.sums[name] += count
            done.set()

        for place in self.places:
            if place.socket.paused and not place.seat.state:
                place.seat.state = SeatState.PAUSED  # as the gate does
        self.caster.submit_tick(TickJob(encoded, self.seats.captured(), told, self.caster.sender))
        await done.wait()


@pytest.fixture
async def hall() -> AsyncIterator[Hall]:
    owner = Recorder()
    serving = await serve(Starlette(), owner, "127.0.0.1", 0, clock=ManualClock())
    hall = Hall(serving, owner)
    yield hall
    for place in hall.places:
        place.raw.leave()
    await serving.stop()


async def frames_of(raw: Raw, count: int) -> list[bytes]:
    got = [await raw.frame() for _ in range(count)]
    assert {frame.opcode for frame in got} == {TEXT}
    return [frame.payload for frame in got]


def payload(frame: bytes) -> bytes:
    return frame[4:]  # of more than 125 bytes and less than 64 KiB


async def test_who_does_not_read_gets_whole_frames_and_nobody_else_waits(hall: Hall) -> None:
    quick = await hall.sit()
    slow = await hall.sit(RECEIVE_BYTES)
    assert slow.socket.fd != NO_FD
    by_transport: list[bytes] = []
    write = slow.socket.write

    def noted(frame: bytes) -> None:
        by_transport.append(frame)
        write(frame)

    slow.socket.write = noted
    heard: list[bytes] = []
    while hall.sums["paused"] < 3:
        await hall.tick()
        heard += await frames_of(quick.raw, 1)
        assert len(hall.frames) < TICKS_MAX, "one who does not read is noticed"
    assert heard == [payload(frame) for frame in hall.frames]
    assert len(by_transport) == 1, "only the frame the kernel was full at"
    assert slow.socket.fd == NO_FD, "while something waits in the transport nobody may overtake it"
    assert slow.seat.missed
    whole = len(hall.frames) - hall.sums["paused"]
    assert await frames_of(slow.raw, whole) == [payload(frame) for frame in hall.frames[:whole]]
    assert hall.sums["captured"] == hall.sums["written"] + hall.sums["paused"] == 2 * len(hall.frames)
    await eventually(lambda: slow.socket.fd != NO_FD, "its way back")


async def test_nothing_follows_a_close_frame(hall: Hall) -> None:
    staying = await hall.sit()
    leaving = await hall.sit()
    await hall.tick()
    leaving.socket.close(Close.GOING_AWAY)
    await hall.tick()
    assert await frames_of(leaving.raw, 1) == [payload(hall.frames[0])]
    assert (await leaving.raw.frame()).code == Close.GOING_AWAY
    assert await frames_of(staying.raw, 2) == [payload(frame) for frame in hall.frames]


async def test_a_connection_that_broke_ends_alone(hall: Hall) -> None:
    broken = await hall.sit()
    staying = await hall.sit()
    broken.socket.abort()
    assert broken.socket.fd == NO_FD, "its number may soon be a stranger's"
    await eventually(lambda: hall.owner.codes == [Close.ABNORMAL])
    stranger = await hall.sit()
    await hall.tick()
    for place in (staying, stranger):
        assert await frames_of(place.raw, 1) == [payload(hall.frames[0])]


async def test_an_idle_connection_has_no_fd_to_show(hall: Hall) -> None:
    raw = await Raw.connect(hall.serving.port)
    await raw.upgrade()
    await eventually(lambda: len(hall.owner.sockets) == 1)
    assert hall.owner.socket.fd == NO_FD
    raw.leave()
