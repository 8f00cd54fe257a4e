"""Where sockets become sessions: bytes in, commands dispatched, replies out.

The hub's side of ``edge.owner.SocketOwner``. Everything a peer gets wrong becomes a reply or a close of
that one connection. What a handler raises beyond ``CommandError`` is our mistake: logged, that session
ends, the server goes on.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import secrets
from collections.abc import Awaitable
from functools import partial
from random import Random
from types import MethodType
from typing import Any

import structlog

from liveserver.commands import authenticate
from liveserver.commands.dispatch import dispatch
from liveserver.commands.ports import Context, Later, Said
from liveserver.commands.session import NOTHING, Session
from liveserver.core.clock import Clock
from liveserver.core.identity import Identity
from liveserver.core.limits import SessionRates
from liveserver.core.rate import SessionLimits
from liveserver.edge.keepalive import Wheel
from liveserver.edge.socket import Socket
from protocol.close import Close
from protocol.commands import Authenticate, Command, Join, Leave, Ping, room_of
from protocol.errors import CommandError
from protocol.limits import AUTHENTICATE_MS_MAX, COMMANDS_IN_FLIGHT_MAX
from protocol.replies import Bye, ErrorReply, Notice, Receipt, Reply, ReplyBase

from .broadcaster import Broadcaster
from .drain import RETRY_MS as RESTART_RETRY_MS
from .drain import WITHIN_MS, Drained, drain
from .encoded import Variant
from .people import People
from .rooms import Rooms
from .seats import Seat, SeatState
from .tasks import Tasks
from .unhurried import Unhurried

logger = structlog.get_logger(__name__)

OWED_REPLIES_MAX = 16  # written to one who doesn't read; then we stop reading his commands
REFUSED_IN_A_ROW_MAX = 200  # then the connection closes with ``flood``
DEADLINES_MS = 250  # how often due deadlines are looked at
DEADLINE_LOOK_MS = 60_000  # a later one is looked at this often: tokens' ends are many, and far away
CREDENTIAL_CODES = ("bad_token", "token_expired")  # what ends a session that says who it is
FULL_RETRY_MS = (2_000, 10_000)  # drawn from, for who finds no room here


class Gate:
    def __init__(
        self,
        *,
        clock: Clock,
        people: People,
        tasks: Tasks,
        broadcaster: Broadcaster,
        rates: SessionRates,
        sessions_max: int,
        seed: int,
    ) -> None:
        self._clock = clock
        self._people = people
        self._tasks = tasks
        self._rates = rates
        self._sessions_max = sessions_max
        self._random = Random(seed)
        self._sockets: dict[Session, Socket] = {}
        self._owed: dict[Session, int] = {}  # replies written since it stopped reading
        self._deadlines: Wheel[Session] = Wheel(clock.now_ms())  # of sessions that are there
        self._boot = secrets.token_urlsafe(6)
        self._opened = itertools.count(1)
        self._unhurried = Unhurried(self._later, broadcaster.submit_tick)
        self.draining = False
        self.admitting = True  # False while everything here is late: see ``core.ladder``
        self._elsewhere = False  # while draining: is somebody else there for who comes?
        self.context: Context  # set by ``use``: the handlers' world needs us, and we need it
        self.rooms: Rooms

    def use(self, context: Context, rooms: Rooms) -> None:
        self.context = context
        self.rooms = rooms

    @property
    def session_count(self) -> int:
        return len(self._sockets)

    @property
    def waiting(self) -> int:
        """Commands put aside for more urgent ones."""
        return len(self._unhurried)

    # -- SocketOwner -----------------------------------------------------------------------------------

    def admits(self) -> int:
        if self.draining and not self._elsewhere:
            return RESTART_RETRY_MS
        if self.admitting and len(self._sockets) < self._sessions_max:
            return 0
        return self._random.randint(*FULL_RETRY_MS)

    def opened(self, socket: Socket) -> None:
        # A bound method, not a closure: a fifth of its memory, and every viewer has one.
        reply = MethodType(self._reply, socket)
        session = Session(f"{self._boot}{next(self._opened):x}", SessionLimits(self._rates), reply)
        socket.session = session
        self._sockets[session] = socket
        if socket.bearer is None:
            self._deadlines.put(session, self._clock.now_ms() + AUTHENTICATE_MS_MAX)
            return
        token, socket.bearer = socket.bearer, None
        try:
            identity = self.context.verify(token)
        except CommandError as error:
            session.reply(_error(error, "", self._clock.now_ms()))
            socket.close(_close_of(error), error.code)
            return
        self.context.admit(session, identity)
        session.reply(authenticate.welcome(self.context, session, identity, ""))

    def received(self, socket: Socket, payload: bytes) -> None:
        session = socket.session
        assert isinstance(session, Session)
        try:
            command = socket.codec.decode_command(payload)
        except CommandError as error:
            self._refuse(session, socket, error, error.command_id)
            return
        try:
            if self._unhurried.takes(session, socket, command):
                return
        except CommandError as error:
            self._refuse(session, socket, error, command.id)
            return
        self._in_order(session, socket, command)

    def _later(self, session: Session, socket: Socket, command: Command) -> None:
        """One that was put aside. Nobody hears it if this fails, so it is said here."""
        try:
            self._in_order(session, socket, command)
        except Exception:
            logger.exception("handler_failed", command=type(command).__name__)
            socket.close(Close.INTERNAL, "internal")

    def _in_order(self, session: Session, socket: Socket, command: Command) -> None:
        """Now, but behind a join of its room that is under way: said in one breath, done in that order."""
        behind = session.entering.get(room_of(command) or "") if session.entering else None
        if behind is None:
            self._carry_out(session, socket, command)
        elif sum(map(len, session.entering.values())) < COMMANDS_IN_FLIGHT_MAX:
            behind.append(command)
        else:
            waiting = CommandError("rate_limited", "the room is still being joined", retry_ms=100)
            self._refuse(session, socket, waiting, command.id)

    def _carry_out(self, session: Session, socket: Socket, command: Command) -> None:
        session.in_flight += 1
        try:
            if self.draining and not isinstance(command, Ping | Leave):
                raise CommandError("retry", retry_ms=RESTART_RETRY_MS)
            answer = dispatch(self.context, session, command)
        except CommandError as error:
            session.in_flight -= 1
            self._refuse(session, socket, error, command.id)
            if isinstance(command, Authenticate) and error.code in CREDENTIAL_CODES:
                socket.close(_close_of(error), error.code)
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

    def paused(self, socket: Socket) -> None:
        session = socket.session
        assert isinstance(session, Session)
        for seat in session.rooms.values():
            assert isinstance(seat, Seat)
            seat.state = SeatState.PAUSED

    def drained(self, socket: Socket) -> None:
        session = socket.session
        assert isinstance(session, Session)
        self.rooms.drained(session)
        if self._owed.pop(session, 0) >= OWED_REPLIES_MAX:
            socket.resume_reading()

    def closed(self, socket: Socket, code: int) -> None:
        session = socket.session
        assert isinstance(session, Session)
        session.closed = True
        session.reply = _unheard
        self.rooms.leave_all(session)
        self._people.remove(session)
        self._deadlines.discard(session)
        self._owed.pop(session, None)
        self._sockets.pop(session, None)

    # -- answering -------------------------------------------------------------------------------------

    def _start(self, session: Session, command: Command, answer: Awaitable[Reply | None]) -> None:
        if isinstance(command, Join):
            session.entering = {**session.entering, command.room: []}
        task = self._tasks.start(self._answer(session, command, answer), name=f"command {command.id}")
        if task is None:
            if inspect.iscoroutine(answer):
                answer.close()
            session.in_flight -= 1
            busy = CommandError("unavailable", "this process has too much to do", retry_ms=500)
            session.reply(_error(busy, command.id, self._clock.now_ms()))
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
            session.reply(_error(error, command.id, self._clock.now_ms()))
        elif isinstance(error, asyncio.CancelledError):
            unknown = CommandError("pending", retry_ms=RESTART_RETRY_MS)
            session.reply(_error(unknown, command.id, self._clock.now_ms()))
        else:
            logger.error("handler_failed", command=type(command).__name__, exc_info=error)
            if (socket := self._sockets.get(session)) is not None:
                socket.close(Close.INTERNAL, "internal")

    def _entered(self, session: Session, command: Command) -> None:
        """A join has ended, this way or that: now what was said behind it (another join among it holds up
        the rest again)."""
        if not isinstance(command, Join):
            return
        behind = session.entering.get(command.room, [])
        session.entering = {
            room: said for room, said in session.entering.items() if room != command.room
        } or NOTHING
        socket = self._sockets.get(session)
        if socket is None:
            return
        try:
            for one in behind:
                self._in_order(session, socket, one)
        except Exception:
            logger.exception("handler_failed", command="behind a join")
            socket.close(Close.INTERNAL, "internal")

    def _refuse(self, session: Session, socket: Socket, error: CommandError, command_id: str) -> None:
        session.reply(_error(error, command_id, self._clock.now_ms()))
        self._refused(session, socket)

    def _refused(self, session: Session, socket: Socket) -> None:
        session.refused += 1
        if session.refused > REFUSED_IN_A_ROW_MAX:
            socket.close(Close.FLOOD, "flood")

    def _reply(self, socket: Socket, message: Reply | Notice | Bye) -> None:
        if socket.paused:
            session = socket.session
            assert isinstance(session, Session)
            owed = self._owed[session] = self._owed.get(session, 0) + 1
            if owed == OWED_REPLIES_MAX:
                socket.pause_reading()
        socket.send(socket.codec.encode(message))

    # -- who, and until when ---------------------------------------------------------------------------

    def admit(self, session: Session, identity: Identity) -> None:
        session.identity = identity
        self._people.add(session)
        self._watch(session, identity.expires_at_ms)

    def _watch(self, session: Session, due_ms: int) -> None:
        self._deadlines.put(session, min(due_ms, self._clock.now_ms() + DEADLINE_LOOK_MS))

    def seat(self, session: Session, cursor: int) -> Seat:
        socket = self._sockets[session]
        socket.show_fd()
        seat = Seat(session, socket, Variant(socket.codec, socket.deflate), cursor)
        if socket.paused:
            seat.state = SeatState.PAUSED
        return seat

    async def watch_deadlines(self) -> None:
        """Close who didn't say in time who he is, and whose token has expired."""
        while True:
            await self._clock.sleep_ms(DEADLINES_MS)
            now_ms = self._clock.now_ms()
            for session in self._deadlines.due(now_ms):
                socket = self._sockets[session]
                if session.identity is None:
                    socket.close(Close.AUTHENTICATION_TIMEOUT, "authentication_timeout")
                elif session.identity.expires_at_ms > now_ms:
                    self._watch(session, session.identity.expires_at_ms)
                else:
                    socket.close(Close.TOKEN_EXPIRED, "token_expired")

    # -- leaving ---------------------------------------------------------------------------------------

    async def drain(
        self, clock: Clock | None = None, *, within_ms: int = WITHIN_MS, elsewhere: bool = False
    ) -> Drained:
        """New commands are answered ``retry`` from now on; then as ``drain`` says. ``elsewhere``: others
        listen at this address, and nobody new is let in here. Who had come a moment before is let in, and
        goes with the others; else who comes is told to try later."""
        self.draining = True
        self._elsewhere = elsewhere
        return await drain(
            self._sockets, clock or self._clock, within_ms=within_ms, waiting=lambda: self.waiting
        )


def _unheard(_message: Reply | Notice | Bye) -> None:
    """What ``reply`` is once the connection is gone."""


def _error(error: CommandError, command_id: str, now_ms: int) -> ErrorReply:
    return ErrorReply(
        id=command_id,
        t=now_ms,
        code=error.code,
        field=error.field,
        detail=error.detail,
        retry_ms=error.retry_ms,
    )


def _close_of(error: CommandError) -> Close:
    return Close.TOKEN_EXPIRED if error.code == "token_expired" else Close.BAD_TOKEN
