"""The one door to the handlers: who, where, how fast. Every role × every command."""

from __future__ import annotations

from typing import Any, cast

import pytest

from liveserver.commands import dispatch as d
from liveserver.commands.ports import Context
from liveserver.commands.session import Session
from liveserver.core.identity import Identity
from liveserver.core.limits import Rate, SessionRates
from liveserver.core.rate import SessionLimits
from liveserver.core.roles import TABLE
from protocol import commands as c
from protocol.commands import Command, RoomCommand
from protocol.errors import CommandError
from protocol.examples import COMMANDS
from protocol.limits import COMMANDS_IN_FLIGHT_MAX
from protocol.replies import Receipt
from protocol.types import Fate, Role
from tests.clock import ManualClock

NOW = 1_767_000_000_000
EVERY_COMMAND: list[type] = list(Command.__args__)


class World:
    """Only time: what is refused never comes further than that."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)


class Reached(Exception):
    pass


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of handlers, each saying only that it was reached."""

    def reached(context: Context, session: Session, command: Any) -> None:
        raise Reached

    monkeypatch.setattr(d, "HANDLERS", dict.fromkeys(d.HANDLERS, reached))


def session_of(role: Role, rooms: tuple[str, ...] = ("*",), rates: SessionRates | None = None) -> Session:
    session = Session("s", SessionLimits(rates or SessionRates()), lambda _: None)
    session.identity = Identity("ann", "Ann", role, rooms, NOW + 60_000)
    return session


def say(session: Session, command: Command) -> object:
    return d.dispatch(cast(Context, World()), session, command)


def example(kind: type) -> Command:
    return next(one for one in COMMANDS.values() if type(one) is kind)


def test_every_command_has_a_handler() -> None:
    assert set(d.HANDLERS) == set(EVERY_COMMAND) == set(TABLE)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("kind", EVERY_COMMAND, ids=lambda kind: kind.__name__)
def test_role_and_command(role: Role, kind: type) -> None:
    allowed = TABLE[kind][list(Role).index(role)]
    if allowed:
        with pytest.raises(Reached):
            say(session_of(role), example(kind))
    else:
        with pytest.raises(CommandError) as refusal:
            say(session_of(role), example(kind))
        assert refusal.value.code == "forbidden"


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("kind", EVERY_COMMAND, ids=lambda kind: kind.__name__)
def test_nobody_is_nobody(kind: type) -> None:
    stranger = Session("s", SessionLimits(SessionRates()), lambda _: None)
    with pytest.raises((CommandError, Reached)) as refusal:
        say(stranger, example(kind))
    if kind is c.Authenticate:
        assert refusal.type is Reached
    else:
        assert getattr(refusal.value, "code", "") == "not_authenticated"


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    "kind", [k for k in EVERY_COMMAND if issubclass(k, RoomCommand)], ids=lambda k: k.__name__
)
def test_a_token_is_for_its_rooms(kind: type) -> None:
    role = next(role for role, may in zip(Role, TABLE[kind], strict=True) if may)
    with pytest.raises(CommandError) as refusal:
        say(session_of(role, rooms=("another",)), example(kind))
    assert (refusal.value.code, refusal.value.field) == ("forbidden", "room")


@pytest.mark.usefixtures("handlers")
def test_a_token_that_has_run_out_is_said_at_the_next_command() -> None:
    session = session_of(Role.VIEWER)
    session.identity = Identity("ann", "Ann", Role.VIEWER, ("*",), NOW)
    with pytest.raises(CommandError) as refusal:
        say(session, c.Ping(id="p"))
    assert refusal.value.code == "token_expired"


@pytest.mark.usefixtures("handlers")
def test_too_fast() -> None:
    rates = SessionRates(commands=Rate(10, 2), danmaku=Rate(1, 1))
    session = session_of(Role.VIEWER, rates=rates)
    for _ in range(2):
        with pytest.raises(Reached):
            say(session, c.Ping(id="p"))
    with pytest.raises(CommandError) as refusal:
        say(session, c.Ping(id="p"))
    assert refusal.value.code == "rate_limited"
    assert refusal.value.retry_ms == 100
    receipt = say(session, c.SendDanmaku(id="d", room="r1", text="x"))
    assert isinstance(receipt, Receipt), "a danmaku is never an error: its receipt says so"
    assert (receipt.fate, receipt.reason, receipt.retry_ms) == (Fate.LIMITED, "rate", 100)


@pytest.mark.usefixtures("handlers")
def test_too_many_unanswered() -> None:
    session = session_of(Role.VIEWER)
    session.in_flight = COMMANDS_IN_FLIGHT_MAX
    with pytest.raises(CommandError) as refusal:
        say(session, c.Ping(id="p"))
    assert refusal.value.code == "rate_limited"
