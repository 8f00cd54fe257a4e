"""A reply that is made when a future is done: what its sender is told, and that nothing is left behind."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from liveserver.commands import dispatch
from liveserver.commands.ports import Context, Later
from liveserver.commands.session import Session
from liveserver.core.identity import Identity
from liveserver.core.limits import SessionRates
from liveserver.edge.socket import Socket
from liveserver.hub.broadcaster import Broadcaster
from liveserver.hub.drain import LOOK_MS, WAVE_MS
from liveserver.hub.gate import REFUSED_IN_A_ROW_MAX, Gate
from liveserver.hub.people import People
from liveserver.hub.rooms import Rooms
from liveserver.hub.tasks import Tasks
from protocol import commands as c
from protocol.close import Close
from protocol.codec import JSON, Downward
from protocol.errors import CommandError
from protocol.limits import COMMANDS_IN_FLIGHT_MAX
from protocol.replies import Bye, ErrorReply, Pong, PurchaseOutcome
from protocol.types import OrderLine, Role
from tests.clock import ManualClock


class Wire:
    """What the gate needs of a socket, and a note of what it said."""

    def __init__(self) -> None:
        self.codec = JSON
        self.bearer: str | None = None
        self.session: Session | None = None
        self.paused = self.closed = False
        self.said: list[Downward] = []
        self.ended: list[Close] = []

    def send(self, payload: bytes) -> None:
        self.said.append(JSON.decode_downward(payload))

    def close(self, code: Close, reason: str = "") -> None:
        self.ended.append(code)
        self.closed = True


class Counter:
    """A gate whose purchases wait for the test's word."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tasks = Tasks()
        self.gate = Gate(
            clock=self.clock,
            people=People(),
            tasks=self.tasks,
            broadcaster=Broadcaster(asyncio.get_running_loop()),
            rates=SessionRates(),
            sessions_max=10,
            seed=1,
        )
        rooms = SimpleNamespace(leave_all=lambda session: None)
        self.gate.use(cast(Context, SimpleNamespace(clock=self.clock)), cast(Rooms, rooms))
        self.asked: dict[str, asyncio.Future[str]] = {}

    def handle(self, context: Context, session: Session, command: c.Purchase) -> Later:
        self.asked[command.id] = asyncio.get_running_loop().create_future()

        def reply(asked: asyncio.Future[str]) -> PurchaseOutcome:
            return PurchaseOutcome(id=command.id, t=1, sale_id="s1", outcome=asked.result())

        return Later(self.asked[command.id], reply)

    def comes(self, user_id: str) -> Wire:
        wire = Wire()
        self.gate.opened(cast(Socket, wire))
        assert wire.session is not None
        self.gate.admit(wire.session, Identity(user_id, user_id, Role.VIEWER, ("*",), 2**50))
        return wire

    def says(self, wire: Wire, command: c.Command) -> None:
        self.gate.received(cast(Socket, wire), JSON.encode(command))


@pytest.fixture
async def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    made = Counter()
    monkeypatch.setitem(dispatch.HANDLERS, c.Purchase, made.handle)
    return made


def buy(command_id: str) -> c.Purchase:
    return c.Purchase(id=command_id, room="r1", sale_id="s1", lines=[OrderLine(item_id="jar")])


def said(wire: Wire) -> list[tuple[str, str]]:
    """Which command, and how it was answered."""
    return [
        (one.id, one.code if isinstance(one, ErrorReply) else getattr(one, "outcome", ""))
        for one in wire.said
        if not isinstance(one, Bye) and hasattr(one, "id")
    ]


async def turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_each_reply_goes_to_who_asked_whenever_it_comes(counter: Counter) -> None:
    ann, bob = counter.comes("ann"), counter.comes("bob")
    counter.says(ann, buy("a1"))
    counter.says(ann, buy("a2"))
    counter.says(bob, buy("b1"))
    assert len(asyncio.all_tasks()) == 1, "nobody but this test"
    counter.asked["b1"].set_result("reserved")
    counter.asked["a2"].set_result("sold_out")
    await turns()
    assert (said(ann), said(bob)) == ([("a2", "sold_out")], [("b1", "reserved")])
    counter.asked["a1"].set_result("reserved")
    await turns()
    assert said(ann) == [("a2", "sold_out"), ("a1", "reserved")]
    assert ann.session is not None and ann.session.in_flight == 0


async def test_what_the_sender_got_wrong_is_an_error_reply(counter: Counter) -> None:
    ann = counter.comes("ann")
    counter.says(ann, buy("a1"))
    counter.asked["a1"].set_exception(CommandError("unknown_item", field="lines"))
    await turns()
    (told,) = ann.said
    assert isinstance(told, ErrorReply) and (told.id, told.code, told.field) == (
        "a1",
        "unknown_item",
        "lines",
    )
    assert ann.session is not None and ann.session.in_flight == 0
    assert ann.ended == []


async def test_cancelled_it_may_have_happened(counter: Counter) -> None:
    ann = counter.comes("ann")
    counter.says(ann, buy("a1"))
    counter.asked["a1"].cancel()
    await turns()
    assert said(ann) == [("a1", "pending")]
    assert ann.session is not None and ann.session.in_flight == 0


async def test_our_mistake_ends_that_session_only(counter: Counter) -> None:
    ann, bob = counter.comes("ann"), counter.comes("bob")
    counter.says(ann, buy("a1"))
    counter.says(bob, buy("b1"))
    counter.asked["a1"].set_exception(RuntimeError("planted"))
    counter.asked["b1"].set_result("reserved")
    await turns()
    assert (ann.said, ann.ended) == ([], [Close.INTERNAL])
    assert (said(bob), bob.ended) == ([("b1", "reserved")], [])


async def test_who_has_gone_is_told_nothing(counter: Counter) -> None:
    ann = counter.comes("ann")
    counter.says(ann, buy("a1"))
    counter.gate.closed(cast(Socket, ann), 1006)
    counter.asked["a1"].set_result("reserved")
    await turns()
    assert ann.said == [] and ann.session is not None and ann.session.in_flight == 0


async def test_unanswered_ones_count(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liveserver.core.rate.Bucket.take", lambda *_: 0)
    ann = counter.comes("ann")
    asked_for = [f"a{number}" for number in range(COMMANDS_IN_FLIGHT_MAX + 2)]
    for command_id in asked_for:
        counter.says(ann, buy(command_id))
    refused = [command_id for command_id, code in said(ann) if code == "rate_limited"]
    assert [*counter.asked, *refused] == asked_for
    assert 1 < len(counter.asked) <= COMMANDS_IN_FLIGHT_MAX
    for asked in counter.asked.values():
        asked.set_result("reserved")
    await turns()
    counter.says(ann, buy("again"))
    assert "again" in counter.asked


async def test_draining_waits_for_what_is_owed(counter: Counter) -> None:
    ann = counter.comes("ann")
    counter.says(ann, buy("a1"))
    drained = asyncio.create_task(counter.gate.drain())
    await turns()
    counter.says(ann, buy("a2"))
    assert said(ann) == [("a2", "retry")]
    counter.asked["a1"].set_result("reserved")
    await counter.clock.advance(LOOK_MS)
    counter.gate.closed(cast(Socket, ann), 1001)
    await counter.clock.advance(WAVE_MS)
    assert await drained == (1, 0, 0)
    assert said(ann) == [("a2", "retry"), ("a1", "reserved")]
    assert isinstance(ann.said[-1], Bye) and ann.ended == [Close.GOING_AWAY]


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_who_comes_while_it_drains_is_let_in_only_where_nobody_else_would_be_asked(
    counter: Counter, elsewhere: bool
) -> None:
    """Behind a shared address nobody is refused: who had come a moment before is let in, and told to go."""
    ann = counter.comes("ann")
    drained = asyncio.create_task(counter.gate.drain(elsewhere=elsewhere))
    await counter.clock.advance(WAVE_MS)
    assert ann.ended == [Close.GOING_AWAY]
    assert (counter.gate.admits() == 0) is elsewhere
    late = counter.comes("late")
    await counter.clock.advance(2 * WAVE_MS)
    assert isinstance(late.said[-1], Bye) and late.ended == [Close.GOING_AWAY]
    for wire in (ann, late):
        counter.gate.closed(cast(Socket, wire), 1001)
    await counter.clock.advance(WAVE_MS)
    assert (await drained).told == 2


async def test_an_answer_of_this_kind_ends_a_row_of_refusals(counter: Counter) -> None:
    ann = counter.comes("ann")
    assert ann.session is not None
    ann.session.refused = REFUSED_IN_A_ROW_MAX
    counter.says(ann, buy("a1"))
    counter.asked["a1"].set_result("reserved")
    await turns()
    assert ann.session.refused == 0
    counter.says(ann, c.Ping(id="p"))
    assert isinstance(ann.said[-1], Pong)
