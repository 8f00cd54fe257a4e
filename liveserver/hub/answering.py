"""A command on its way to its reply: in order behind a join, dispatched, answered when there is an answer.

Each gets one reply while its connection lives; who is refused too often in a row is shut out. What a handler
raises beyond ``CommandError`` is our mistake: logged, that session ends, the server goes on.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog

from liveserver.commands.dispatch import dispatch
from liveserver.commands.ports import Context, Later, Said
from liveserver.commands.session import NOTHING, Session
from liveserver.core.clock import Clock
from liveserver.edge.socket import Socket
from protocol.close import Close
from protocol.commands import Authenticate, Command, Join, Leave, Ping, room_of
from protocol.errors import CommandError
from protocol.limits import COMMANDS_IN_FLIGHT_MAX
from protocol.replies import ErrorReply, Receipt, Reply, ReplyBase

from .drain import RETRY_MS as RESTART_RETRY_MS
from .tasks import Tasks

logger = structlog.get_logger(__name__)

REFUSED_IN_A_ROW_MAX = 200  # then the connection closes with ``flood``
CREDENTIAL_CODES = ("bad_token", "token_expired")  # what ends a session that says who it is


class Answering:
    """``close`` ends a connection. ``leaving_ms`` is set when the process ends: from then on new commands are
    answered ``retry``, so long after."""

    def __init__(
        self,
        clock: Clock,
        tasks: Tasks,
        *,
        socket_of: Callable[[Session], Socket | None],
        close: Callable[[Socket, Close, str], None],
    ) -> None:
        self._clock = clock
        self._tasks = tasks
        self._socket_of = socket_of
        self._close = close
        self.leaving_ms = 0
        self.context: Context  # set by the gate's ``use``

    def later(self, session: Session, socket: Socket, command: Command) -> None:
        """One that was put aside. Nobody hears it if this fails, so it is said here."""
        try:
            self.in_order(session, socket, command)
        except Exception:
            logger.exception("handler_failed", command=type(command).__name__)
            self._close(socket, Close.INTERNAL, "internal")

    def in_order(self, session: Session, socket: Socket, command: Command) -> None:
        """Now, but behind a join of its room that is under way: said in one breath, done in that order."""
        behind = session.entering.get(room_of(command) or "") if session.entering else None
        if behind is None:
            self._carry_out(session, socket, command)
        elif sum(map(len, session.entering.values())) < COMMANDS_IN_FLIGHT_MAX:
            behind.append(command)
        else:
            waiting = CommandError("rate_limited", "the room is still being joined", retry_ms=100)
            self.refuse(session, socket, waiting, command.id)

    def _carry_out(self, session: Session, socket: Socket, command: Command) -> None:
        session.in_flight += 1
        try:
            if self.leaving_ms and not isinstance(command, Ping | Leave):
                raise CommandError("retry", retry_ms=self.leaving_ms)
            answer = dispatch(self.context, session, command)
        except CommandError as error:
            session.in_flight -= 1
            self.refuse(session, socket, error, command.id)
            if isinstance(command, Authenticate) and error.code in CREDENTIAL_CODES:
                self._close(socket, close_of(error), error.code)
            return
        if isinstance(answer, Later):
            answer.asked.add_done_callback(partial(self._asked, session, command, answer))
            return
        if isinstance(answer, Said):
            session.in_flight -= 1
        elif isinstance(answer, ReplyBase):
            session.in_flight -= 1
            session.reply(answer)
        elif answer is not None:  # None: said later, by the room's tick
            self._start(session, command, answer)
            return
        if isinstance(answer, Receipt) and answer.reason == "rate":
            self._refused(session, socket)
        else:
            session.refused = 0

    def _start(self, session: Session, command: Command, answer: Awaitable[Reply | None]) -> None:
        if isinstance(command, Join):
            session.entering = {**session.entering, command.room: []}
        task = self._tasks.start(self._answer(session, command, answer), name=f"command {command.id}")
        if task is None:
            if inspect.iscoroutine(answer):
                answer.close()
            session.in_flight -= 1
            busy = CommandError("unavailable", "this process has too much to do", retry_ms=500)
            session.reply(error_reply(busy, command.id, self._clock.now_ms()))
            self._entered(session, command)

    async def _answer(self, session: Session, command: Command, answer: Awaitable[Reply | None]) -> None:
        try:
            reply = await answer
            if reply is not None:
                session.reply(reply)
            session.refused = 0
        except asyncio.CancelledError as error:
            self._failed(session, command, error)
            raise
        except Exception as error:
            self._failed(session, command, error)
        finally:
            session.in_flight -= 1
            self._entered(session, command)

    def _asked(self, session: Session, command: Command, later: Later, asked: asyncio.Future[Any]) -> None:
        try:
            session.reply(later.reply(asked))
            session.refused = 0
        except (Exception, asyncio.CancelledError) as error:
            self._failed(session, command, error)
        finally:
            session.in_flight -= 1

    def _failed(self, session: Session, command: Command, error: BaseException) -> None:
        """No reply came of a command: what its sender is told."""
        if isinstance(error, CommandError):
            session.reply(error_reply(error, command.id, self._clock.now_ms()))
        elif isinstance(error, asyncio.CancelledError):
            unknown = CommandError("pending", retry_ms=RESTART_RETRY_MS)
            session.reply(error_reply(unknown, command.id, self._clock.now_ms()))
        else:
            logger.error("handler_failed", command=type(command).__name__, exc_info=error)
            if (socket := self._socket_of(session)) is not None:
                self._close(socket, Close.INTERNAL, "internal")

    def _entered(self, session: Session, command: Command) -> None:
        """A join has ended, this way or that: now what was said behind it (another join among it holds up
        the rest again)."""
        if not isinstance(command, Join):
            return
        behind = session.entering.get(command.room, [])
        session.entering = {
            room: said for room, said in session.entering.items() if room != command.room
        } or NOTHING
        socket = self._socket_of(session)
        if socket is None:
            return
        try:
            for one in behind:
                self.in_order(session, socket, one)
        except Exception:
            logger.exception("handler_failed", command="behind a join")
            self._close(socket, Close.INTERNAL, "internal")

    def refuse(self, session: Session, socket: Socket, error: CommandError, command_id: str) -> None:
        session.reply(error_reply(error, command_id, self._clock.now_ms()))
        self._refused(session, socket)

    def _refused(self, session: Session, socket: Socket) -> None:
        session.refused += 1
        if session.refused > REFUSED_IN_A_ROW_MAX:
            self._close(socket, Close.FLOOD, "flood")


def error_reply(error: CommandError, command_id: str, now_ms: int) -> ErrorReply:
    return ErrorReply(
        id=command_id,
        t=now_ms,
        code=error.code,
        field=error.field,
        detail=error.detail,
        retry_ms=error.retry_ms,
    )


def close_of(error: CommandError) -> Close:
    return Close.TOKEN_EXPIRED if error.code == "token_expired" else Close.BAD_TOKEN
