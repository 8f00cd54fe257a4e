"""Whose sessions are whose: of one connection, of several, and of none any more."""

from __future__ import annotations

from liveserver.commands.session import Session
from liveserver.core.identity import Identity
from liveserver.core.limits import SessionRates
from liveserver.core.rate import SessionLimits
from liveserver.hub.people import People
from protocol.types import Role


def session_of(user_id: str) -> Session:
    session = Session("s", SessionLimits(SessionRates()), lambda _: None)
    session.identity = Identity(user_id, user_id, Role.VIEWER, ("*",), 1 << 50)
    return session


def test_each_has_his_own_and_all_of_them() -> None:
    people = People()
    first, second, third, bob = *(session_of("ann") for _ in range(3)), session_of("bob")
    for session in (first, bob, second, third):
        people.add(session)
    assert set(people.sessions_of("ann")) == {first, second, third}
    assert people.sessions_of("bob") == [bob]
    people.remove(second)
    assert set(people.sessions_of("ann")) == {first, third}
    people.remove(first)
    assert people.sessions_of("ann") == [third]
    people.add(first)
    assert set(people.sessions_of("ann")) == {first, third}
    for session in (first, third, bob):
        people.remove(session)
        people.remove(session)  # saying it twice harms nobody
    assert people._of == {}


def test_a_stranger_s_leaving_takes_nobody_along() -> None:
    people = People()
    ann = session_of("ann")
    people.add(ann)
    people.remove(session_of("ann"))  # never added
    people.remove(Session("s", SessionLimits(SessionRates()), lambda _: None))
    assert people.sessions_of("ann") == [ann]
