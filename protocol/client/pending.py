"""Commands that wait for their reply. Pure.

The contract table (``lanes.COMMANDS``) decides what a lost connection means for each: what may be repeated
waits for the next connection and is sent again there, a purchase with ``attempt`` raised; what may count
twice is handed back as unknown.
"""

from __future__ import annotations

import msgspec

from ..commands import Command, Purchase
from ..lanes import COMMANDS, Repeatable
from ..limits import COMMANDS_IN_FLIGHT_MAX
from .errors import TooManyInFlight


class Waiting:
    """One unanswered command."""

    __slots__ = ("command", "deadline_ms", "sent")

    def __init__(self, command: Command, deadline_ms: float | None) -> None:
        self.command = command
        self.deadline_ms = deadline_ms
        self.sent = False


def repeatable(command: Command) -> bool:
    return COMMANDS[type(command)].repeat is not Repeatable.AT_MOST_ONCE


def raised(command: Command) -> Command:
    """The same command as a resend says it."""
    if isinstance(command, Purchase):
        return msgspec.structs.replace(command, attempt=min(command.attempt + 1, 1_000))
    return command


class Pending:
    """By command id, in the order given."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, command_id: str) -> bool:
        return command_id in self._waiting

    def add(self, command: Command, deadline_ms: float | None) -> None:
        if command.id in self._waiting:
            raise ValueError(f"a command with id {command.id!r} waits for its reply already")
        if len(self._waiting) >= COMMANDS_IN_FLIGHT_MAX:
            raise TooManyInFlight(f"{COMMANDS_IN_FLIGHT_MAX} commands wait for their reply")
        self._waiting[command.id] = Waiting(command, deadline_ms)

    def get(self, command_id: str) -> Command | None:
        waiting = self._waiting.get(command_id)
        return None if waiting is None else waiting.command

    def settle(self, command_id: str) -> Command | None:
        """Its reply has come (or nobody waits any more)."""
        waiting = self._waiting.pop(command_id, None)
        return None if waiting is None else waiting.command

    def unsent(self) -> list[Command]:
        """What has to be written now; counts as sent from here on."""
        commands = []
        for waiting in self._waiting.values():
            if not waiting.sent:
                waiting.sent = True
                commands.append(waiting.command)
        return commands

    def cut(self) -> list[Command]:
        """The connection is lost. Returned: what can't be repeated, no longer waiting. The rest will be
        sent again."""
        lost = [waiting.command for waiting in self._waiting.values() if not repeatable(waiting.command)]
        for command in lost:
            del self._waiting[command.id]
        for waiting in self._waiting.values():
            if waiting.sent:
                waiting.sent = False
                waiting.command = raised(waiting.command)
        return lost

    def overdue(self, now_ms: float) -> list[Command]:
        """Commands whose time is over, no longer waiting."""
        late = [
            waiting.command
            for waiting in self._waiting.values()
            if waiting.deadline_ms is not None and waiting.deadline_ms <= now_ms
        ]
        for command in late:
            del self._waiting[command.id]
        return late

    def drain(self) -> list[Command]:
        """The session is over: everything, no longer waiting."""
        commands = [waiting.command for waiting in self._waiting.values()]
        self._waiting.clear()
        return commands

    @property
    def next_deadline_ms(self) -> float | None:
        deadlines = [each.deadline_ms for each in self._waiting.values() if each.deadline_ms is not None]
        return min(deadlines, default=None)
