"""One connection of one person, as the handlers see it."""

from __future__ import annotations

from collections.abc import Callable

from liveserver.core.identity import Identity
from liveserver.core.rate import SessionLimits
from protocol.commands import Command
from protocol.replies import Bye, Notice, Reply


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
    )

    def __init__(
        self, session_id: str, limits: SessionLimits, reply: Callable[[Reply | Notice | Bye], None]
    ) -> None:
        self.session_id = session_id
        self.identity: Identity | None = None
        self.limits = limits
        self.reply = reply
        self.rooms: dict[str, object] = {}
        self.entering: dict[str, list[Command]] = {}  # rooms being joined: what was said to them since
        self.in_flight = 0  # commands not yet answered
        self.refused = 0  # in a row: sent too fast, or malformed
        self.closed = False

    @property
    def who(self) -> Identity:
        """Who it is; the dispatcher lets nobody through who hasn't said so."""
        assert self.identity is not None
        return self.identity
