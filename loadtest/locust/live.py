"""A session on gevent: the Sans-I/O rules of every client of ours, one greenlet that reads and keeps time.

Whoever asks waits for his reply in his own greenlet. The session comes back by itself, resumes its rooms and
repeats what may be repeated; what may count twice ends as unknown.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import gevent
from gevent.event import AsyncResult

from loadtest.locust.connection import Connection, Refused
from protocol.client.errors import CommandRefused, OutcomeUnknown
from protocol.client.happenings import (
    Answered,
    Disconnected,
    Entered,
    GaveUp,
    Happening,
    NotWelcome,
    RoomRefused,
    Unknown,
    Welcomed,
)
from protocol.client.limits import COMMAND_TIMEOUT_MS, OPEN_TIMEOUT_MS
from protocol.client.mirror import Mirror
from protocol.client.session import Session
from protocol.close import Close, why_closed
from protocol.codec import MSGPACK
from protocol.commands import Command
from protocol.errors import NotOurs
from protocol.replies import ErrorReply, Reply

LOOK_MS_MAX: Final = 1_000.0  # how long reading lasts before the clock is looked at again
GRACE_MS: Final = 100  # behind a command's deadline, for the answer on its way through the session


class NoSession(Exception):
    """There is none, and no room: the reason is the server's own, where it gave one."""


class Reached(NamedTuple):
    reply: Reply
    payload_bytes: int


def now_ms() -> float:
    return time.monotonic() * 1_000


class Live:
    """``lost(code)`` is told of every welcomed connection that ended otherwise than by ``close``."""

    def __init__(self, url: str, token: str, lost: Callable[[int], None]) -> None:
        self._url = url
        self._token = token
        self._lost = lost
        self._session = Session(MSGPACK, random=random.random)
        self._connection: Connection | None = None
        self._welcome: AsyncResult[None] = AsyncResult()
        self._entered: dict[str, AsyncResult[None]] = {}
        self._answers: dict[str, AsyncResult[Reached | Unknown]] = {}
        self._refusal = ""  # the server's word, before it closed
        self._heard_bytes = 0  # of the message just being told of
        self._loop: gevent.Greenlet | None = None

    def open(self) -> None:
        """Connected and known. Raises ``NoSession``; then nothing goes on."""
        self._loop = gevent.spawn(self._run)
        self._wait(self._welcome, "no welcome in time")

    def join(self, room: str) -> Mirror:
        """In the room, now and after every reconnect. Raises ``NoSession``."""
        entered = self._entered[room] = AsyncResult()
        self._session.join(room, now_ms())
        self._write()
        self._wait(entered, "not let into the room in time")
        return self._session.rooms[room].mirror

    def ask(self, command: Command, timeout_ms: int = COMMAND_TIMEOUT_MS) -> Reached:
        """Raises ``CommandRefused``, ``OutcomeUnknown``, or ``NotConnected`` for what can't wait for a
        connection. Killed: the command may have been, or be, carried out."""
        answer = self._answers[command.id] = AsyncResult()
        try:
            self._session.send(command, now_ms(), timeout_ms=timeout_ms)
            self._write()
            if not answer.wait((timeout_ms + GRACE_MS) / 1_000):
                self._tell(self._session.tick(now_ms()))
            said: Reached | Unknown = answer.get(block=False)
        finally:
            self._answers.pop(command.id, None)
            self._session.forget(command.id)
        if isinstance(said, Unknown):
            raise OutcomeUnknown(command, said.why, said.repeatable)
        if isinstance(said.reply, ErrorReply):
            raise CommandRefused(said.reply)
        return said

    def server_ms(self) -> float:
        """The server's clock, as well as it is known from here."""
        return self._session.clock.server_ms(now_ms()) or time.time() * 1_000

    def new_id(self) -> str:
        """Never given before, by anybody: a command's id is its idempotency key."""
        return secrets.token_urlsafe(12)

    def close(self) -> None:
        """Say goodbye. Whoever still waits is told that it is unknown."""
        if self._loop is not None:
            self._loop.kill(block=False)
        self._tell(self._session.end())
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- the loop --------------------------------------------------------------------------------------

    def _run(self) -> None:
        session = self._session
        while True:
            self._connect_once()
            if session.reconnect_at_ms is None:
                return
            gevent.sleep(max(0.0, session.reconnect_at_ms - now_ms()) / 1_000)

    def _connect_once(self) -> None:
        try:
            connection = Connection(self._url, self._token, MSGPACK)
        except Refused as refused:
            self._refusal = str(refused)
            self._tell(
                self._session.refused(now_ms(), comes_back=refused.comes_back, retry_ms=refused.retry_ms)
            )
            return
        self._connection = connection
        self._session.connected(now_ms(), MSGPACK)
        code: int = Close.ABNORMAL
        try:
            code = self._pumped(connection)
        finally:
            self._connection = None
            connection.close()
        if self._session.welcome is not None:
            self._lost(code)
        self._tell(self._session.disconnected(code, now_ms()))

    def _pumped(self, connection: Connection) -> int:
        """Until the connection ends; its close code."""
        while not connection.over:
            self._write()
            for payload in connection.read(self._patience_s()):
                self._heard_bytes = len(payload)
                try:
                    told = self._session.receive(payload, now_ms())
                except NotOurs:
                    connection.close(Close.INVALID_DATA)
                    return Close.INVALID_DATA
                self._tell(told)
            told = self._session.tick(now_ms())
            self._tell(told)
            if any(isinstance(each, GaveUp) for each in told):
                return Close.ABNORMAL
        return connection.close_code

    def _patience_s(self) -> float:
        wake_ms = self._session.wake_at_ms()
        left_ms = LOOK_MS_MAX if wake_ms is None else wake_ms - now_ms()
        return min(LOOK_MS_MAX, max(1.0, left_ms)) / 1_000

    def _write(self) -> None:
        connection = self._connection
        if connection is not None:
            for payload in self._session.payloads_to_send():
                connection.send(payload)

    # -- what happened ---------------------------------------------------------------------------------

    def _tell(self, happenings: list[Happening]) -> None:
        for each in happenings:
            if isinstance(each, Answered):
                self._answered(each.command_id, Reached(each.reply, self._heard_bytes))
            elif isinstance(each, Unknown):
                self._answered(each.command_id, each)
            elif isinstance(each, Welcomed):
                self._welcome.set(None)
            elif isinstance(each, NotWelcome):
                self._refusal = each.reply.code
            elif isinstance(each, Entered | RoomRefused):
                self._let_in(each)
            elif isinstance(each, Disconnected) and each.retry_in_ms is None:
                self._give_up(self._refusal or f"closed: {why_closed(each.code)}")

    def _answered(self, command_id: str, said: Reached | Unknown) -> None:
        answer = self._answers.get(command_id)
        if answer is not None:
            answer.set(said)

    def _let_in(self, said: Entered | RoomRefused) -> None:
        entered = self._entered.get(said.room)
        if entered is None or entered.ready():
            return
        if isinstance(said, Entered):
            entered.set(None)
        else:
            entered.set_exception(NoSession(said.reply.code))

    def _give_up(self, why: str) -> None:
        for waiting in (self._welcome, *self._entered.values()):
            if not waiting.ready():
                waiting.set_exception(NoSession(why))

    def _wait(self, reached: AsyncResult[None], late: str) -> None:
        try:
            reached.get(timeout=OPEN_TIMEOUT_MS / 1_000)
        except gevent.Timeout:
            self.close()
            raise NoSession(f"{late} ({self._refusal})" if self._refusal else late) from None
        except NoSession:
            self.close()
            raise
