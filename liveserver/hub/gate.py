"""Where sockets become sessions: who is let in and until when; bytes in, replies out.

The hub's side of ``edge.owner.SocketOwner``. Everything a peer gets wrong becomes a reply or a close of
that one connection. What becomes of a command stands in ``answering.py``.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from random import Random
from types import MethodType

from liveserver.commands import authenticate
from liveserver.commands.ports import Context
from liveserver.commands.session import Session
from liveserver.core.clock import Clock
from liveserver.core.identity import Identity
from liveserver.core.limits import SessionRates
from liveserver.core.rate import SessionLimits
from liveserver.edge.keepalive import Wheel
from liveserver.edge.socket import Socket
from protocol.close import Close
from protocol.errors import CommandError
from protocol.limits import AUTHENTICATE_MS_MAX
from protocol.replies import Bye, Notice, Reply

from .answering import Answering, close_of, error_reply
from .broadcaster import Broadcaster
from .drain import RETRY_MS as RESTART_RETRY_MS
from .drain import WITHIN_MS, Drained, drain
from .encoded import Variant
from .people import People
from .rooms import Rooms
from .seats import Seat, SeatState
from .tasks import Tasks
from .unhurried import Unhurried

OWED_REPLIES_MAX = 16  # written to one who doesn't read; then we stop reading his commands
DEADLINES_MS = 250  # how often due deadlines are looked at
DEADLINE_LOOK_MS = 60_000  # a later one is looked at this often: tokens' ends are many, and far away
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
        self._rates = rates
        self._sessions_max = sessions_max
        self._random = Random(seed)
        self._sockets: dict[Session, Socket] = {}
        self._owed: dict[Session, int] = {}  # replies written since it stopped reading
        self._deadlines: Wheel[Session] = Wheel(clock.now_ms())  # of sessions that are there
        self._boot = secrets.token_urlsafe(6)
        self._opened = itertools.count(1)
        self._answering = Answering(clock, tasks, socket_of=self._sockets.get, close=self._close)
        self._unhurried = Unhurried(self._answering.later, broadcaster.submit_tick)
        self.admitting = True  # False while everything here is late: see ``core.ladder``
        self._elsewhere = False  # while draining: is somebody else there for who comes?
        self.context: Context  # set by ``use``: the handlers' world needs us, and we need it
        self.rooms: Rooms

    def use(self, context: Context, rooms: Rooms) -> None:
        self.context = self._answering.context = context
        self.rooms = rooms

    @property
    def session_count(self) -> int:
        return len(self._sockets)

    @property
    def waiting(self) -> int:
        """Commands put aside for more urgent ones."""
        return len(self._unhurried)

    def leaving_ms(self) -> int:
        """While draining: after how long to say again what is not carried out here any more. Else 0."""
        return self._answering.leaving_ms

    # -- SocketOwner -----------------------------------------------------------------------------------

    def admits(self) -> int:
        if not self._elsewhere and (leaving_ms := self.leaving_ms()):
            return leaving_ms
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
            session.reply(error_reply(error, "", self._clock.now_ms()))
            self._close(socket, close_of(error), error.code)
            return
        self.context.admit(session, identity)
        session.reply(authenticate.welcome(self.context, session, identity, ""))

    def received(self, socket: Socket, payload: bytes) -> None:
        session = socket.session
        assert isinstance(session, Session)
        try:
            command = socket.codec.decode_command(payload)
        except CommandError as error:
            self._answering.refuse(session, socket, error, error.command_id)
            return
        try:
            if self._unhurried.takes(session, socket, command):
                return
        except CommandError as error:
            self._answering.refuse(session, socket, error, command.id)
            return
        self._answering.in_order(session, socket, command)

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
        self._leaving(session)
        session.reply = _unheard
        self._people.remove(session)
        self._deadlines.discard(session)
        self._owed.pop(session, None)
        self._sockets.pop(session, None)

    def _close(self, socket: Socket, code: Close, reason: str) -> None:
        session = socket.session
        assert isinstance(session, Session)
        self._leaving(session)
        socket.close(code, reason)

    def _leaving(self, session: Session) -> None:
        """Nothing is written to it from now on, and its connection may end later: it leaves its rooms now, or
        they would count as written what nobody gets."""
        session.closed = True
        self.rooms.leave_all(session)

    # -- replies ---------------------------------------------------------------------------------------

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
                    self._close(socket, Close.AUTHENTICATION_TIMEOUT, "authentication_timeout")
                elif session.identity.expires_at_ms > now_ms:
                    self._watch(session, session.identity.expires_at_ms)
                else:
                    self._close(socket, Close.TOKEN_EXPIRED, "token_expired")

    # -- leaving ---------------------------------------------------------------------------------------

    async def drain(
        self,
        clock: Clock | None = None,
        *,
        within_ms: int = WITHIN_MS,
        elsewhere: bool = False,
        hurry: asyncio.Event | None = None,
    ) -> Drained:
        """New commands are answered ``retry`` from now on; then as ``drain`` says. ``elsewhere``: others
        listen at this address, and nobody new is let in here. Who had come a moment before is let in, and
        goes with the others; else who comes is told to try later."""
        self._answering.leaving_ms = RESTART_RETRY_MS
        self._elsewhere = elsewhere
        return await drain(
            self._sockets,
            clock or self._clock,
            within_ms=within_ms,
            waiting=lambda: self.waiting,
            hurry=hurry,
            leaving=self._leaving,
        )


def _unheard(_message: Reply | Notice | Bye) -> None:
    """What ``reply`` is once the connection is gone."""
