"""One connection of one person, as the handlers see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from liveserver.core.identity import Identity
from liveserver.core.rate import SessionLimits
from protocol.commands import Command
from protocol.replies import Bye, Notice, Reply

TOLD_MAX = 64
NOTHING: Mapping[str, list[Command]] = MappingProxyType({})  # one for all: nearly nobody is joining just now


class Session:
    """``reply`` writes to the connection if it still lives, and is a no-op after. ``rooms`` names what the
    session has joined; the seats themselves are the hub's."""

    __slots__ = (
        "closed",
        "entering",
        "identity",
        "in_flight",
        "limits",
        "refused",
        "reply",
        "rooms",
        "session_id",
        "told",
    )

    def __init__(
        self, session_id: str, limits: SessionLimits, reply: Callable[[Reply | Notice | Bye], None]
    ) -> None:
        self.session_id = session_id
        self.identity: Identity | None = None
        self.limits = limits
        self.reply = reply
        self.rooms: dict[str, object] = {}
        self.entering = NOTHING  # rooms being joined: what was said to them since
        self.in_flight = 0  # commands not yet answered
        self.refused = 0  # in a row: sent too fast, or malformed
        self.closed = False
        self.told: dict[tuple[int, str, str], None] | None = None  # the last notices, so each is said once

    def hears(self, notice: Notice) -> bool:
        """Is it new? A sale in several rooms sends its notices through each of them."""
        if notice.reservation is None:
            return True
        told = self.told = {} if self.told is None else self.told
        key = notice.t, notice.kind, notice.reservation.reservation_id
        if key in told:
            return False
        told[key] = None
        if len(told) > TOLD_MAX:
            del told[next(iter(told))]
        return True

    @property
    def who(self) -> Identity:
        """Who it is; the dispatcher lets nobody through who hasn't said so."""
        assert self.identity is not None
        return self.identity
