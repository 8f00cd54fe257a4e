"""Comments and likes wait while there are many of them; purchases, pings and the rest don't wait for them.

A thousand sockets may be ready at once, and the loop hears them all before it does anything else. The first
``AT_ONCE`` comments of a turn of the loop are carried out as they come; those behind them, and all that come
while some wait, are put aside, decoded, and worked off as a job among the broadcasts: so all that is in no
hurry has one slice together, and the turns without one between two slices are everybody else's. All stay in
the order they came in, one session's also with its joins and leaves. Beyond ``WAITING_MAX``, or what one
session may have unanswered, they are refused, which costs next to nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Final

from liveserver.commands.session import Session
from liveserver.edge.socket import Socket
from protocol.commands import Command, Join, Leave, Like, SendDanmaku
from protocol.errors import CommandError
from protocol.limits import COMMANDS_IN_FLIGHT_MAX

from .broadcaster import Job

AT_ONCE: Final = 8  # in one turn of the loop: about an eighth of a millisecond
COMMANDS_PER_LOOK: Final = 8  # between two looks at the clock
PART: Final = 16  # so much of what waits is done in a slice at least: else a greater flood is never done
WAITING_MAX: Final = 10_000
WAITING_RETRY_MS: Final = 1_000

CarryOut = Callable[[Session, Socket, Command], None]


class Unhurried:
    """A ``broadcaster.Job`` whenever commands wait: ``submit`` gets it. ``carry_out`` must not raise."""

    def __init__(self, carry_out: CarryOut, submit: Callable[[Job], None]) -> None:
        self._carry_out = carry_out
        self._submit = submit
        self._waiting: deque[tuple[Session, Socket, Command]] = deque()
        self._of: dict[Session, int] = {}  # how many of each wait
        self._this_turn = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def takes(self, session: Session, socket: Socket, command: Command) -> bool:
        """True: it is carried out later. ``CommandError`` rate_limited: there is no more room for it."""
        kind = type(command)
        if kind is SendDanmaku or kind is Like:
            if not self._this_turn:
                asyncio.get_running_loop().call_soon(self._turn_over)
            self._this_turn += 1
            if self._this_turn <= AT_ONCE and not self._waiting:
                return False
        elif not (self._of and session in self._of and (kind is Join or kind is Leave)):
            return False
        his = self._of.get(session, 0)
        # A few who shout would take all the room there is from everybody; who comes and goes has some left.
        if his >= COMMANDS_IN_FLIGHT_MAX * (2 if kind is Join or kind is Leave else 1):
            raise CommandError("rate_limited", "too many commands wait", retry_ms=WAITING_RETRY_MS)
        if len(self._waiting) >= WAITING_MAX:
            raise CommandError("rate_limited", "too many are talking", retry_ms=WAITING_RETRY_MS)
        if not self._waiting:
            self._submit(self)
        self._waiting.append((session, socket, command))
        self._of[session] = his + 1
        return True

    def _turn_over(self) -> None:
        self._this_turn = 0

    def write(self, until_s: float) -> bool:
        """Carry out what waits, until ``perf_counter`` says ``until_s`` and a ``PART`` of it is done; True
        when nothing waits any more."""
        left_max = len(self._waiting) - len(self._waiting) // PART
        while self._waiting:
            for _ in range(min(COMMANDS_PER_LOOK, len(self._waiting))):
                self._next()
            if len(self._waiting) <= left_max and perf_counter() >= until_s:
                break
        return not self._waiting

    def _next(self) -> None:
        session, socket, command = self._waiting.popleft()
        left = self._of[session] - 1
        if left:
            self._of[session] = left
        else:
            del self._of[session]
        if not session.closed:
            self._carry_out(session, socket, command)
