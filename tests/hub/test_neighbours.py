"""A room that no other process holds is not told to the relay; as soon as one does, it is."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from liveserver.hub.chunks import Chunk, pack, unpack
from liveserver.hub.live_room import LiveRoom
from liveserver.hub.neighbours import HEARD_MS, KEPT_MS, Neighbours
from liveserver.store.port import RelayChunk
from protocol.commands import Join
from protocol.types import Danmaku
from tests.hub.test_full_connections import Full, World

NOW_MS = 1_000_000


def test_in_doubt_there_are_others() -> None:
    neighbours: Neighbours[str] = Neighbours()
    assert neighbours.there(NOW_MS), "before the first beat"


def test_the_beat_counts_them_and_who_is_heard_is_believed_for_a_while() -> None:
    neighbours: Neighbours[str] = Neighbours()
    neighbours.beat(1)
    assert not neighbours.there(NOW_MS)
    neighbours.heard(NOW_MS)
    neighbours.beat(1)  # too early to count him
    assert neighbours.there(NOW_MS + HEARD_MS - 1)
    assert not neighbours.there(NOW_MS + HEARD_MS)
    neighbours.beat(2)
    assert neighbours.there(NOW_MS + HEARD_MS)


def test_what_was_said_to_nobody_is_kept_for_a_moment_in_its_order_and_given_once() -> None:
    neighbours: Neighbours[str] = Neighbours()
    for age_ms, said in ((KEPT_MS + 1, "long ago"), (KEPT_MS, "just now"), (0, "now")):
        neighbours.keep(said, NOW_MS - age_ms)
    assert neighbours.kept(NOW_MS) == ["just now", "now"]
    assert neighbours.kept(NOW_MS) == []


async def test_a_room_speaks_to_the_relay_when_somebody_has_greeted_it() -> None:
    """And says then what it said while the greeting was on its way."""
    told: list[Chunk] = []

    async def published(_room: str, chunk: bytes) -> bool:
        heard = unpack(chunk)
        assert heard is not None
        told.append(heard)
        return True

    connection = Full(room_for=1 << 30)
    world = World(connection, "r1")
    live = world.rooms.held("r1")
    assert live is not None
    live.others._relay = cast(Any, SimpleNamespace(publish=published))
    world.join(connection.session, Join(id="j", room="r1", epoch=live.view.epoch, offset=live.view.offset))

    live.others.beat(1)
    await _said(live, connection, "alone")
    await world.clock.advance(KEPT_MS + 1)
    await _said(live, connection, "before")
    assert told == []

    greeting = RelayChunk("r1", pack(Chunk(process="q", n=1, epoch=0, head=0)))
    assert live.receive(greeting) == []
    await _said(live, connection, "heard")
    assert live.receive(greeting) == []
    await asyncio.sleep(0)
    assert [line.text for chunk in told if chunk.block for line in chunk.block.danmaku] == ["before", "heard"]
    assert [chunk.n for chunk in told] == [1, 2]


async def _said(live: LiveRoom, connection: Full, text: str) -> None:
    """Through a tick, and what it started."""
    before = live.n
    live.offer_danmaku(Danmaku(text, "ann", "Ann", text), 0, (connection.session, text))
    async with asyncio.timeout(10):
        while live.n == before:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
