"""What the client raises. Every one is a ``LiveError``."""

from __future__ import annotations

from ..close import why_closed
from ..commands import Command
from ..replies import ErrorReply


class LiveError(Exception):
    pass


class ConnectFailed(LiveError):
    """No session came about: refused for good, or nobody answered in time. ``code``: the server's, where it
    gave one (``bad_token``, ``token_expired``); else empty."""

    def __init__(self, why: str, code: str = "") -> None:
        super().__init__(f"{code}: {why}" if code else why)
        self.code = code


class ConnectionEnded(LiveError):
    """The session is over and does not come back: ``code`` is its close code (``protocol.close``)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the session ended with close code {why_closed(code)}")
        self.code = code


class CommandRefused(LiveError):
    """The server's ``error`` reply: certainly not carried out (but for the code ``pending``)."""

    def __init__(self, reply: ErrorReply) -> None:
        where = f" ({reply.field})" if reply.field else ""
        super().__init__(f"{reply.code}{where}: {reply.detail}")
        self.code = reply.code  # one of ``protocol.errors.CODES``
        self.detail = reply.detail  # for the developer, in English
        self.field = reply.field  # wire name of the field to mend, or empty
        self.retry_ms = reply.retry_ms


class OutcomeUnknown(LiveError):
    """No reply, by a lost connection or in time: ``command`` may or may not have been carried out. If
    ``repeatable``, ``await live.again(error.command)`` tells the truth without doing it twice."""

    def __init__(self, command: Command, why: str, repeatable: bool) -> None:
        super().__init__(f"{type(command).__name__} {command.id}: unknown ({why})")
        self.command = command
        self.why = why  # disconnected, timeout, ended
        self.repeatable = repeatable


class NotEntered(LiveError):
    """A join was not answered in time. The room has been left."""


class NotConnected(LiveError):
    """There is no session to send this on, and it must not wait for one: it may count twice."""


class TooManyInFlight(LiveError):
    """So many commands are unanswered that the server would refuse one more."""
