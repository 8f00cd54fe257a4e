"""Comments wait for purchases and never the other way round; and they wait in order, and not without end."""

from __future__ import annotations

import asyncio
import itertools
from types import SimpleNamespace
from typing import Any, cast

import pytest

from liveserver.commands import dispatch
from liveserver.commands.ports import Context
from liveserver.commands.session import Session
from liveserver.core.identity import Identity
from liveserver.core.limits import SessionRates
from liveserver.edge.socket import Socket
from liveserver.hub import broadcaster as b
from liveserver.hub import unhurried as u
from liveserver.hub.gate import Gate
from liveserver.hub.people import People
from liveserver.hub.rooms import Rooms
from liveserver.hub.tasks import Tasks
from protocol import commands as c
from protocol.close import Close
from protocol.codec import JSON
from protocol.limits import COMMANDS_IN_FLIGHT_MAX
from protocol.replies import Done, ErrorReply, Pong, Reply
from protocol.types import Role
from tests.clock import ManualClock

MANY = u.AT_ONCE + 5 * u.COMMANDS_PER_LOOK
ROUND = b.RESTS + 1  # turns of the loop from one slice to the next


class EndlessTime:
    """Every look at the clock says that the slice is over."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


class Wire:
    def __init__(self) -> None:
        self.codec = JSON
        self.bearer: str | None = None
        self.session: Session | None = None
        self.paused = False
        self.said: list[Any] = []
        self.ended: list[Close] = []

    def send(self, payload: bytes) -> None:
        self.said.append(JSON.decode_downward(payload))

    def close(self, code: Close, reason: str = "") -> None:
        self.ended.append(code)


class Hub:
    """A gate whose handlers only note what they were given, and answer."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.broadcaster = b.Broadcaster(asyncio.get_running_loop())
        self.gate = Gate(
            clock=self.clock,
            people=People(),
            tasks=Tasks(),
            broadcaster=self.broadcaster,
            rates=SessionRates(),
            sessions_max=1_000,
            seed=1,
        )
        rooms = SimpleNamespace(leave_all=lambda session: None)
        self.gate.use(cast(Context, SimpleNamespace(clock=self.clock)), cast(Rooms, rooms))
        self.done: list[str] = []

    def handle(self, context: Context, session: Session, command: Any) -> Reply:
        self.done.append(command.id)
        if command.id == "broken":
            raise ZeroDivisionError
        return Done(id=command.id, t=1)

    def comes(self, name: str) -> Wire:
        wire = Wire()
        self.gate.opened(cast(Socket, wire))
        assert wire.session is not None
        self.gate.admit(wire.session, Identity(name, name, Role.VIEWER, ("*",), 2**50))
        return wire

    def says(self, wire: Wire, *commands: c.Command) -> None:
        for command in commands:
            self.gate.received(cast(Socket, wire), JSON.encode(command))


@pytest.fixture
async def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub()
    for kind in (c.SendDanmaku, c.Like, c.Leave):
        monkeypatch.setitem(dispatch.HANDLERS, kind, made.handle)
    time = EndlessTime()
    monkeypatch.setattr(u, "perf_counter", time)
    monkeypatch.setattr(b, "perf_counter", time)
    return made


def comment(command_id: str) -> c.SendDanmaku:
    return c.SendDanmaku(id=command_id, room="r1", text="hello")


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def slices(count: int) -> None:
    await turns(count * ROUND)


class Broadcast:
    """A job of as many slices, which notes them."""

    def __init__(self, count: int, log: list[str]) -> None:
        self.left = count
        self.log = log

    def write(self, until_s: float) -> bool:
        self.left -= 1
        self.log.append("broadcast")
        return not self.left


async def test_a_few_are_carried_out_as_they_come(hub: Hub) -> None:
    for turn in range(5):
        for number in range(u.AT_ONCE):
            hub.says(hub.comes(f"{turn}.{number}"), comment(f"{turn}.{number}"))
        assert len(hub.done) == (turn + 1) * u.AT_ONCE
        await turns(2)


async def test_of_a_flood_a_slice_at_a_time_and_who_pings_waits_for_none_of_it(hub: Hub) -> None:
    for number in range(MANY):
        hub.says(hub.comes(f"u{number}"), comment(f"d{number}"))
    ann = hub.comes("ann")
    hub.says(ann, c.Ping(id="p"))
    assert len(hub.done) == u.AT_ONCE
    assert isinstance(ann.said[-1], Pong)
    for _ in range(5 * ROUND):
        before = len(hub.done)
        await turns(1)
        assert len(hub.done) - before <= u.COMMANDS_PER_LOOK
        hub.says(ann, c.Ping(id=f"p{before}"))
        assert ann.said[-1] == Pong(id=f"p{before}", t=hub.clock.now_ms())
    assert hub.done == [f"d{number}" for number in range(MANY)], "first come, first served"
    assert len(hub.gate._unhurried) == 0


async def test_between_two_slices_the_loop_goes_round(hub: Hub) -> None:
    for number in range(MANY):
        hub.says(hub.comes(f"u{number}"), comment(f"d{number}"))
    busy = []
    for turn in range(4 * ROUND):
        before = len(hub.done)
        await turns(1)
        if len(hub.done) > before:
            busy.append(turn)
    assert len(busy) == 4
    assert {later - earlier for earlier, later in itertools.pairwise(busy)} == {ROUND}


async def test_what_is_in_no_hurry_has_one_slice_together(hub: Hub) -> None:
    """A broadcast and the comments that wait take turns: never both between two rests."""
    hub.broadcaster.submit_tick(Broadcast(3, hub.done))
    for number in range(u.AT_ONCE + 3 * u.COMMANDS_PER_LOOK):
        hub.says(hub.comes(f"u{number}"), comment(f"d{number}"))
    seen = []
    for _ in range(7 * ROUND):
        before = len(hub.done)
        await turns(1)
        if said := hub.done[before:]:
            seen.append("broadcast" if "broadcast" in said else "comments")
            assert "broadcast" not in said or said == ["broadcast"]
    assert seen == ["broadcast", "comments"] * 3


async def test_the_more_wait_the_more_a_slice_does(hub: Hub) -> None:
    """Else a flood that fills the turns between two slices would be refused though there is time for it."""
    waiting = 4 * u.PART * u.COMMANDS_PER_LOOK
    for number in range(u.AT_ONCE + waiting):
        hub.says(hub.comes(f"u{number}"), comment(f"d{number}"))
    await slices(1)
    assert len(hub.done) == u.AT_ONCE + waiting // u.PART


async def test_nobody_overtakes_what_waits(hub: Hub) -> None:
    for number in range(MANY):
        hub.says(hub.comes(f"u{number}"), comment(f"d{number}"))
    await slices(1)
    assert len(hub.done) < MANY
    hub.says(hub.comes("late"), comment("late"))
    assert "late" not in hub.done
    await slices(MANY)
    assert hub.done == [*(f"d{number}" for number in range(MANY)), "late"]


async def test_what_comes_after_all_is_worked_off_is_carried_out_as_it_comes(hub: Hub) -> None:
    for flood in ("a", "b"):
        for number in range(u.AT_ONCE + 1):
            hub.says(hub.comes(f"{flood}{number}"), comment(f"{flood}{number}"))
        assert hub.done[-1] == f"{flood}{u.AT_ONCE - 1}"
        await slices(2)
        assert hub.done[-1] == f"{flood}{u.AT_ONCE}"


async def test_what_one_says_stays_in_order_also_with_his_leaving(hub: Hub) -> None:
    for number in range(u.AT_ONCE):
        hub.says(hub.comes(f"u{number}"), comment(f"d{number}"))
    ann, bob = hub.comes("ann"), hub.comes("bob")
    leave = c.Leave(id="leave", room="r1")
    hub.says(ann, comment("one"), c.Like(id="two", room="r1", count=1), leave)
    hub.says(bob, c.Leave(id="bob-leaves", room="r1"))
    assert hub.done[u.AT_ONCE :] == ["bob-leaves"], "he had said nothing that waits"
    await slices(3)
    hub.says(ann, comment("three"))
    await slices(3)
    assert hub.done[u.AT_ONCE + 1 :] == ["one", "two", "leave", "three"]
    assert [one.id for one in ann.said] == ["one", "two", "leave", "three"]


async def test_who_has_something_waiting_does_not_overtake_himself_in_a_later_turn(hub: Hub) -> None:
    ann = hub.comes("ann")
    for number in range(MANY):
        hub.says(hub.comes(f"u{number}"), comment(f"d{number}"))
    hub.says(ann, comment("one"))
    await turns(2)
    hub.says(ann, comment("two"))
    assert "two" not in hub.done
    await slices(MANY)
    assert [one.id for one in ann.said] == ["one", "two"]


async def test_beyond_the_limit_they_are_refused_and_what_waits_is_kept(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(u, "WAITING_MAX", 5)
    wires = [hub.comes(f"u{number}") for number in range(u.AT_ONCE + 7)]
    for number, wire in enumerate(wires):
        hub.says(wire, comment(f"d{number}"))
    for wire in wires[-2:]:
        [refusal] = wire.said
        assert isinstance(refusal, ErrorReply)
        assert (refusal.code, refusal.retry_ms) == ("rate_limited", u.WAITING_RETRY_MS)
    await slices(10)
    assert hub.done == [f"d{number}" for number in range(u.AT_ONCE + 5)]


async def test_who_has_gone_meanwhile_says_nothing(hub: Hub) -> None:
    for number in range(u.AT_ONCE):
        hub.says(hub.comes(f"u{number}"), comment(f"d{number}"))
    ann = hub.comes("ann")
    hub.says(ann, comment("one"))
    hub.gate.closed(cast(Socket, ann), 1006)
    await slices(5)
    assert len(hub.done) == u.AT_ONCE
    assert len(hub.gate._unhurried) == 0


async def test_a_mistake_of_ours_ends_one_session_and_the_others_go_on(hub: Hub) -> None:
    for number in range(u.AT_ONCE):
        hub.says(hub.comes(f"u{number}"), comment(f"d{number}"))
    ann, bob = hub.comes("ann"), hub.comes("bob")
    hub.says(ann, comment("broken"))
    hub.says(bob, comment("fine"))
    await slices(5)
    assert ann.ended == [Close.INTERNAL]
    assert isinstance(bob.said[-1], Done)


async def test_one_who_shouts_does_not_take_all_the_room_there_is(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(u, "WAITING_MAX", COMMANDS_IN_FLIGHT_MAX + 1)
    loud, ann = hub.comes("loud"), hub.comes("ann")
    hub.says(loud, *(comment(f"d{number}") for number in range(u.AT_ONCE + COMMANDS_IN_FLIGHT_MAX + 2)))
    refused = [one for one in loud.said if isinstance(one, ErrorReply)]
    assert [one.code for one in refused] == ["rate_limited"] * 2
    hub.says(ann, comment("ann"))
    assert ann.said == []
    await slices(20)
    assert hub.done[-1] == "ann"
