"""Numbers ride along: a count or an entry has no frame of its own while comments have theirs."""

from __future__ import annotations

import asyncio
from typing import cast

import msgspec

from liveserver.core.limits import RIDE_MS
from liveserver.hub.live_room import LiveRoom
from liveserver.hub.seats import Seat
from protocol.commands import Join
from protocol.frames import Frame
from protocol.types import Danmaku
from tests.hub.test_full_connections import Full, World

PATIENCE_S = 10.0


class Ear(Full):
    """Reads all, and keeps what it was told of the room."""

    def __init__(self) -> None:
        super().__init__(room_for=1 << 30)
        self.frames: list[Frame] = []
        self.heard = asyncio.Event()

    def write(self, frame: object) -> None:
        super().write(frame)
        if isinstance(frame, bytes):
            self.frames.append(msgspec.json.decode(frame[frame.index(b"{") :], type=Frame))
            self.heard.set()

    say = write


async def sat_down() -> tuple[Ear, World, LiveRoom]:
    ear = Ear()
    world = World(ear, "r1")
    live = world.rooms.held("r1")
    assert live is not None
    world.join(ear.session, Join(id="j", room="r1", epoch=live.view.epoch, offset=live.view.offset))
    assert cast(Seat, ear.session.rooms["r1"]).cursor == live.view.offset
    ear.frames.clear()
    ear.heard.clear()
    return ear, world, live


async def test_a_count_and_an_entry_leave_with_the_next_comment() -> None:
    ear, _, live = await sat_down()
    live.set_counts(7, 3)
    live.entered()
    live.offer_danmaku(Danmaku("d1", "ann", "Ann", "来了"), 0, (ear.session, "c1"))
    async with asyncio.timeout(PATIENCE_S):
        await ear.heard.wait()
    (frame,) = ear.frames
    assert frame.state is not None and (frame.state.viewers, frame.state.likes) == (7, 3)
    assert frame.danmaku is not None and frame.danmaku.entered == 1
    assert [line.text for line in frame.danmaku.danmaku] == ["来了"]


async def test_with_nothing_to_ride_along_with_they_go_alone() -> None:
    ear, _, live = await sat_down()
    live.set_counts(7, 3)
    due = live._timer
    assert due is not None
    wait_s = due.when() - asyncio.get_running_loop().time()
    assert 0 < wait_s < RIDE_MS / 1000 + 0.01
    async with asyncio.timeout(PATIENCE_S):
        await ear.heard.wait()
    (frame,) = ear.frames
    assert frame.state is not None and frame.state.viewers == 7
