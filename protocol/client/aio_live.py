"""A session of the asyncio client: commands with their answers, rooms, and what concerns the session."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Self, TypeVar

from ..close import Close, why_closed
from ..codec import JSON
from ..commands import Command, Confirm, Ping, Release, Return
from ..lanes import COMMANDS
from ..replies import ErrorReply, Pong, Reply, ReservationChanged, Welcome
from .aio_driver import Driver, Token
from .aio_room import Room
from .errors import CommandRefused, ConnectFailed, ConnectionEnded, LiveError, NotEntered, OutcomeUnknown
from .happenings import (
    Answered,
    ByeSaid,
    Disconnected,
    Entered,
    GaveUp,
    Happening,
    Noticed,
    NotWelcome,
    RoomHappening,
    RoomRefused,
    Unknown,
    Welcomed,
)
from .limits import UNREAD_NOTICES_MAX
from .pending import raised
from .session import Session
from .websocket import Address

R = TypeVar("R")
SessionHappening = Welcomed | NotWelcome | Noticed | ByeSaid | Disconnected


class _Asked(NamedTuple):
    command: Command
    answer: asyncio.Future[Reply]


class Live:
    """A session. Iterate it for what concerns the session itself (``Noticed``, ``Disconnected``, …; the
    oldest of 256 unread are forgotten); iterate a room for the room."""

    def __init__(
        self,
        address: Address,
        token: Token,
        *,
        in_header: bool,
        command_timeout_ms: float,
        open_timeout_ms: float,
        random: Callable[[], float],
    ) -> None:
        self._command_timeout_ms = command_timeout_ms
        self._open_timeout_ms = open_timeout_ms
        self._session = Session(JSON, random=random)
        self._token_stays = isinstance(token, str)
        self._not_welcome: ErrorReply | None = None
        self._driver = Driver(
            self._session,
            address,
            token,
            in_header=in_header,
            open_timeout_ms=open_timeout_ms,
            tell=self._tell,
            failed=self._fail,
        )
        self._rooms: dict[str, Room] = {}
        self._asked: dict[str, _Asked] = {}
        self._entering: dict[str, asyncio.Future[None]] = {}
        self._unread: deque[SessionHappening] = deque(maxlen=UNREAD_NOTICES_MAX)
        self._news = asyncio.Event()
        self._end: LiveError | None = None  # why it is over, if not by us
        self._over = False
        self._first_welcome: asyncio.Future[None]

    async def open(self) -> None:
        """Until the first welcome. Raises ``ConnectFailed``; then, as when cancelled, nothing stays open."""
        self._first_welcome = asyncio.get_running_loop().create_future()
        self._driver.start()
        try:
            async with asyncio.timeout(self._open_timeout_ms / 1_000):
                await self._first_welcome
        except TimeoutError:
            await self.close()
            raise self._not_connected("no welcome in time") from None
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Say goodbye and end. Waits at most five seconds for the server's goodbye. Cancelled: the socket
        is cut."""
        self._tell(self._session.end())
        self._finish(None)
        await self._driver.stop()

    # -- for the application ---------------------------------------------------------------------------

    @property
    def welcome(self) -> Welcome | None:
        """Who we are to the server; ``None`` while disconnected."""
        return self._session.welcome

    @property
    def rooms(self) -> dict[str, Room]:
        return dict(self._rooms)

    def server_ms(self) -> float:
        """The server's time now, in milliseconds since the Unix epoch: for countdowns."""
        now_ms = self._session.clock.server_ms(self._driver.now_ms())
        assert now_ms is not None  # a welcome has come
        return now_ms

    async def join(self, room_id: str) -> Room:
        """The room, its mirror filled. Raises ``CommandRefused``; ``NotEntered`` when nothing came in time.
        Cancelled: the room is left."""
        self._check_alive()
        if room_id in self._rooms:
            if room_id in self._entering:
                await asyncio.shield(self._entering[room_id])
            return self._rooms[room_id]
        entered = asyncio.get_running_loop().create_future()
        self._session.join(room_id, self._driver.now_ms())
        room = Room(self, self._session.rooms[room_id])
        self._rooms[room_id] = room
        self._entering[room_id] = entered
        self._driver.touch()
        try:
            async with asyncio.timeout(self._command_timeout_ms / 1_000):
                await entered
        except BaseException as error:
            self.leave(room_id)
            if isinstance(error, TimeoutError):
                raise NotEntered(f"room {room_id}: no answer in time") from None
            raise
        finally:
            self._entering.pop(room_id, None)
        return room

    def leave(self, room_id: str) -> None:
        """Its iteration ends after what is unread."""
        room = self._rooms.pop(room_id, None)
        self._session.leave(room_id)
        self._driver.touch()
        if room is not None:
            room._finish(None)

    async def release(self, reservation_id: str) -> ReservationChanged:
        """Give units back that are held for me."""
        return await self.ask(Release(id=self.new_id(), reservation_id=reservation_id), ReservationChanged)

    async def confirm(self, reservation_id: str) -> ReservationChanged:
        """It was paid (role ``service``). Look at the reservation's state: paid too late, it may be
        ``refund_due``."""
        return await self.ask(Confirm(id=self.new_id(), reservation_id=reservation_id), ReservationChanged)

    async def return_order(self, reservation_id: str, *, limit_back: bool = False) -> ReservationChanged:
        """What was confirmed comes back (role ``service``)."""
        command = Return(id=self.new_id(), reservation_id=reservation_id, limit_back=limit_back)
        return await self.ask(command, ReservationChanged)

    async def ping(self) -> Pong:
        return await self.ask(Ping(id=self.new_id()), Pong)

    async def again(self, command: Command) -> Reply:
        """The same command once more, after ``OutcomeUnknown`` or the outcome ``pending``: idempotent by
        its id; a purchase's ``attempt`` is raised."""
        return await self.ask(raised(command), COMMANDS[type(command)].reply)

    async def ask(self, command: Command, expected: type[R]) -> R:
        """Any command, and its reply. Raises ``CommandRefused``, ``OutcomeUnknown`` (lost connection of an
        at-most-once command, or no reply in time), ``NotConnected``, ``TooManyInFlight``.

        Cancelled: the command may still be carried out; its reply is dropped."""
        self._check_alive()
        if command.id in self._asked:
            raise ValueError(f"a command with id {command.id!r} waits for its reply already")
        self._session.send(command, self._driver.now_ms(), timeout_ms=self._command_timeout_ms)
        asked = self._asked[command.id] = _Asked(command, asyncio.get_running_loop().create_future())
        self._driver.touch()
        try:
            reply = await asked.answer
        finally:
            del self._asked[command.id]
            self._session.forget(command.id)
        if isinstance(reply, ErrorReply):
            raise CommandRefused(reply)
        if not isinstance(reply, expected):
            raise LiveError(f"{type(command).__name__} answered by {type(reply).__name__}")
        return reply

    def new_id(self) -> str:
        """A fresh command id, which is also the idempotency key."""
        return secrets.token_urlsafe(12)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionHappening:
        while not self._unread:
            if self._over:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._unread.popleft()

    # -- what happened ---------------------------------------------------------------------------------

    def _tell(self, happenings: list[Happening]) -> None:
        for happening in happenings:
            match happening:
                case Answered():
                    asked = self._asked.get(happening.command_id)
                    if asked is not None and not asked.answer.done():
                        asked.answer.set_result(happening.reply)
                case Unknown():
                    self._tell_unknown(happening)
                case GaveUp():
                    pass  # the driver's
                case Welcomed():
                    if not self._first_welcome.done():
                        self._first_welcome.set_result(None)
                    self._tell_session(happening)
                case Disconnected():
                    self._tell_session(happening)
                    if happening.retry_in_ms is None:
                        self._finish(self._why_ended(happening.code))
                    elif happening.code == Close.TOKEN_EXPIRED and self._token_stays:
                        self._give_up(self._why_ended(happening.code))  # the same one would be refused again
                case NotWelcome():
                    self._not_welcome = happening.reply
                    self._tell_session(happening)
                case Noticed() | ByeSaid():
                    self._tell_session(happening)
                case _:
                    self._tell_room(happening)

    def _tell_room(self, happening: RoomHappening) -> None:
        room = self._rooms.get(happening.room)
        if room is None:
            return
        entering = self._entering.get(happening.room)
        if isinstance(happening, RoomRefused):
            del self._rooms[happening.room]
            refusal = CommandRefused(happening.reply)
            if entering is not None and not entering.done():
                entering.set_exception(refusal)
            room._finish(refusal)
            return
        if isinstance(happening, Entered) and entering is not None and not entering.done():
            entering.set_result(None)
        room._tell(happening)

    def _tell_unknown(self, unknown: Unknown) -> None:
        asked = self._asked.get(unknown.command_id)
        if asked is not None and not asked.answer.done():
            asked.answer.set_exception(OutcomeUnknown(asked.command, unknown.why, unknown.repeatable))

    def _tell_session(self, happening: SessionHappening) -> None:
        self._unread.append(happening)
        self._news.set()

    def _why_ended(self, code: int) -> LiveError:
        if not self._first_welcome.done():
            return self._not_connected(f"closed with {why_closed(code)}")
        return ConnectionEnded(code)

    def _not_connected(self, otherwise: str) -> ConnectFailed:
        """Why there was never a welcome: what the server said of the token, else of the handshake."""
        if self._not_welcome is not None:
            return ConnectFailed(self._not_welcome.detail or otherwise, self._not_welcome.code)
        refusal = self._driver.refusal
        return ConnectFailed(f"{otherwise}: {refusal}" if refusal else otherwise)

    def _fail(self, error: Exception) -> None:
        failure = ConnectFailed(f"{type(error).__name__}: {error}")
        failure.__cause__ = error
        self._give_up(failure)

    def _give_up(self, why: LiveError) -> None:
        self._tell(self._session.end())
        self._finish(why)

    def _finish(self, why: LiveError | None) -> None:
        """Over for good: whoever waits is told."""
        if self._over:
            return
        self._over = True
        self._end = why
        self._news.set()
        error = why or ConnectionEnded(Close.NORMAL)
        if not self._first_welcome.done():
            self._first_welcome.set_exception(error)
            self._first_welcome.exception()  # nobody may be waiting any more
        for waiting in self._entering.values():
            if not waiting.done():
                waiting.set_exception(error)
        for room in self._rooms.values():
            room._finish(why)

    def _check_alive(self) -> None:
        if self._over:
            raise self._end or ConnectionEnded(Close.NORMAL)
