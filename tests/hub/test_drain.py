"""How sessions leave: heard out, told, in waves, cut. The clock is the test's."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import cast

import pytest

from liveserver.commands.session import Session
from liveserver.core.limits import SessionRates
from liveserver.core.rate import SessionLimits
from liveserver.edge.socket import Socket
from liveserver.hub.drain import (
    LOOK_MS,
    WAVE_MS,
    WAVE_SESSIONS_MIN,
    WAVES_MS_MAX,
    Drained,
    drain,
    spread_ms_of,
)
from protocol.close import Close
from protocol.limits import SPREAD_MS_MAX
from protocol.replies import Bye, Notice, Reply
from tests.clock import ManualClock

WITHIN_MS = 10_000
MANY = 2_000


class Wire:
    """What a drain needs of a socket. ``answers``: the peer closes when it is told to."""

    def __init__(self, hall: Hall, session: Session, *, answers: bool) -> None:
        self.hall = hall
        self.session = session
        self.answers = answers
        self.closed = False
        self.closed_ms = 0
        self.code: Close | None = None

    def close(self, code: Close, _reason: str = "") -> None:
        assert not self.closed
        self.closed, self.code, self.closed_ms = True, code, self.hall.clock.now_ms()
        if self.answers:
            self.hall.leaves(self)

    def abort(self, _reason: str = "") -> None:
        self.closed = True
        self.hall.cut.append(self)
        self.hall.leaves(self)


class Hall:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.sockets: dict[Session, Socket] = {}
        self.wires: list[Wire] = []
        self.cut: list[Wire] = []
        self.said: list[Reply | Notice | Bye] = []

    def comes(self, *, answers: bool = True, in_flight: int = 0) -> Session:
        session = Session(str(len(self.wires)), SessionLimits(SessionRates()), self.said.append)
        wire = Wire(self, session, answers=answers)
        session.in_flight = in_flight
        self.wires.append(wire)
        self.sockets[session] = cast(Socket, wire)
        return session

    def leaves(self, wire: Wire) -> None:
        """As with a real one, never from inside a call of the drain's."""
        asyncio.get_running_loop().call_soon(self._gone, wire)

    def _gone(self, wire: Wire) -> None:
        self.sockets.pop(wire.session, None)

    def drains(self) -> asyncio.Task[Drained]:
        return asyncio.create_task(drain(self.sockets, self.clock, within_ms=WITHIN_MS))


@pytest.fixture
def hall() -> Hall:
    return Hall()


async def test_nobody_there_takes_no_time(hall: Hall) -> None:
    assert await hall.drains() == Drained(0, 0, 0)


async def test_what_is_owed_is_waited_for_and_then_everybody_is_told_the_window(hall: Hall) -> None:
    owed = hall.comes(in_flight=2)
    hall.comes()
    drained = hall.drains()
    await hall.clock.advance(5 * LOOK_MS)
    assert not any(wire.closed for wire in hall.wires)
    owed.in_flight = 0
    await hall.clock.advance(LOOK_MS + WAVE_MS)
    assert await drained == Drained(told=2, unanswered=0, cut=0)
    assert {wire.code for wire in hall.wires} == {Close.GOING_AWAY}
    for bye in hall.said:
        assert isinstance(bye, Bye) and bye.reconnect and bye.retry_ms > 0 and bye.spread_ms > 0


async def test_what_was_put_aside_is_owed_too(hall: Hall) -> None:
    aside = [3]
    hall.comes()
    drained = asyncio.create_task(
        drain(hall.sockets, hall.clock, within_ms=WITHIN_MS, waiting=lambda: aside[0])
    )
    await hall.clock.settle()
    await hall.clock.advance(5 * LOOK_MS)
    assert not any(wire.closed for wire in hall.wires)
    aside[0] = 0
    await hall.clock.advance(LOOK_MS + WAVE_MS)
    assert await drained == Drained(told=1, unanswered=0, cut=0)


async def test_a_reply_that_never_comes_is_not_waited_for_without_end(hall: Hall) -> None:
    hall.comes(in_flight=1)
    drained = hall.drains()
    await hall.clock.advance(WITHIN_MS)
    assert await drained == Drained(told=1, unanswered=1, cut=0)


async def test_many_go_in_waves_and_all_of_them_in_time(hall: Hall) -> None:
    for _ in range(MANY):
        hall.comes()
    began_ms = hall.clock.now_ms()
    drained = hall.drains()
    await hall.clock.advance(WITHIN_MS)
    assert await drained == Drained(told=MANY, unanswered=0, cut=0)
    times = Counter(wire.closed_ms - began_ms for wire in hall.wires)
    assert len(times) > 20, "spread"
    assert max(times.values()) <= MANY // 20
    assert max(times) <= WAVES_MS_MAX


async def test_a_large_crowd_is_told_to_come_back_over_a_longer_time(hall: Hall) -> None:
    for _ in range(MANY * 5):
        hall.comes()
    drained = hall.drains()
    await hall.clock.advance(WITHIN_MS)
    await drained
    assert {bye.spread_ms for bye in hall.said if isinstance(bye, Bye)} == {5_000}


def test_a_window_has_bounds() -> None:
    assert (spread_ms_of(0), spread_ms_of(1_000), spread_ms_of(1_000_000)) == (2_000, 2_000, SPREAD_MS_MAX)


async def test_a_few_go_at_once(hall: Hall) -> None:
    for _ in range(WAVE_SESSIONS_MIN):
        hall.comes()
    drained = hall.drains()
    await hall.clock.advance(WAVE_MS)
    assert (await drained).told == WAVE_SESSIONS_MIN
    assert len({wire.closed_ms for wire in hall.wires}) == 1


async def test_who_does_not_go_is_cut_at_the_end_and_not_before(hall: Hall) -> None:
    hall.comes(answers=False)
    hall.comes()
    drained = hall.drains()
    await hall.clock.advance(WITHIN_MS - 1)
    assert not drained.done() and hall.cut == []
    await hall.clock.advance(WAVE_MS)
    assert await drained == Drained(told=2, unanswered=0, cut=1)
    assert hall.cut == [hall.wires[0]]


async def test_who_comes_meanwhile_is_told_too(hall: Hall) -> None:
    hall.comes(answers=False)
    drained = hall.drains()
    await hall.clock.advance(WITHIN_MS // 2)
    hall.comes()
    await hall.clock.advance(WITHIN_MS)
    assert (await drained).told == 2
    assert hall.wires[1].code is Close.GOING_AWAY
