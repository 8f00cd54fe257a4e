"""A client's session, without I/O: whoever owns the socket feeds it, and does what it says.

    session = Session(MSGPACK, random=random.random)
    session.join("r1", now_ms)
    session.connected(now_ms)                   # the handshake is done
    for payload in session.payloads_to_send(): …    # after every call of it
    for happening in session.receive(payload, now_ms): …
    for happening in session.tick(now_ms): …        # at session.wake_at_ms(), or now and then
    for happening in session.disconnected(code, now_ms): …
    session.reconnect_at_ms                     # None: don't

``now_ms`` is any clock that never goes back. One session lives through many connections, one after the
other: ``connected`` … ``disconnected`` … ``connected`` ….

It knows rooms (``room.py``), unanswered commands (``pending.py``), when to come back (``backoff.py``) and
the server's clock. It doesn't know sockets, tasks or which thread it is in.

What holds always: every command of the application ends in exactly one ``Answered`` or ``Unknown`` (unless
``forget`` was called); what may count twice is never sent twice; after a reconnect every room asked for is
joined again at its mirror's place, before any waiting command.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal

from ..close import Close, may_reconnect
from ..codec import Codec, Downward
from ..commands import Authenticate, Command, Join, Leave, SendDanmaku
from ..frames import Frame
from ..limits import ROOMS_PER_SESSION_MAX
from ..replies import Bye, ErrorReply, Joined, Notice, Receipt, Reply, Welcome
from ..types import Role
from . import backoff
from .errors import NotConnected
from .happenings import (
    Answered,
    ByeSaid,
    DanmakuShown,
    Disconnected,
    GaveUp,
    Happening,
    Noticed,
    NotWelcome,
    RoomHappening,
    Unknown,
    Welcomed,
)
from .limits import KEEPALIVE_MS, SETTLED_MS, WELCOME_MS_MAX
from .own import OwnDanmaku
from .pending import Pending, repeatable
from .room import RoomLink
from .server_clock import ServerClock

OWN_ID_PREFIX = "s."
"""The session's own commands (authenticate, join, leave) carry ids of this prefix; don't use it."""


class Session:
    __slots__ = (
        "_authenticate_id",
        "_bye",
        "_codec",
        "_ended",
        "_failures",
        "_gave_up",
        "_heard_ms",
        "_outbox",
        "_own",
        "_pending",
        "_random",
        "_rooms",
        "_serial",
        "_unmatched",
        "_welcomed_ms",
        "clock",
        "keepalive_ms",
        "open",
        "reconnect_at_ms",
        "role",
        "token",
        "user_id",
        "welcome",
    )

    def __init__(self, codec: Codec, *, random: Callable[[], float], token: str = "") -> None:
        """``token`` is sent as the first command; leave it empty where the handshake carries it. It may be
        set anew between connections. ``random`` draws from [0, 1)."""
        self._codec = codec
        self._random = random
        self.token = token
        self.clock = ServerClock()
        self.open = False  # between ``connected`` and ``disconnected``
        self.welcome: Welcome | None = None  # of this connection
        self.user_id = ""  # of the last welcome
        self.role = Role.VIEWER
        self.keepalive_ms = KEEPALIVE_MS
        self.reconnect_at_ms: float | None = None
        self._rooms: dict[str, RoomLink] = {}
        self._pending = Pending()
        self._outbox: deque[Command] = deque()
        self._own = OwnDanmaku()
        self._serial = 0
        self._authenticate_id = ""
        self._bye: Bye | None = None
        self._ended = False  # the application said goodbye
        self._gave_up = False
        self._failures = 0  # attempts in a row that came to nothing
        self._heard_ms = 0.0
        self._welcomed_ms: float | None = None
        self._unmatched = 0

    # -- what the application asks for -----------------------------------------------------------------

    def join(self, room: str, now_ms: float) -> None:
        """Be in this room from now on, through every reconnect. Ends in ``Entered`` or ``RoomRefused``."""
        if room in self._rooms:
            return
        if len(self._rooms) >= ROOMS_PER_SESSION_MAX:
            raise ValueError(f"a session joins at most {ROOMS_PER_SESSION_MAX} rooms")
        link = self._rooms[room] = RoomLink(room)
        if self.welcome is not None:
            link.connected(now_ms)
            self._send_joins(now_ms)

    def leave(self, room: str) -> None:
        """Its frames are ignored from here on. No reply is waited for."""
        if self._rooms.pop(room, None) is not None and self.welcome is not None:
            self._outbox.append(Leave(id=self._own_id(), room=room))

    def send(self, command: Command, now_ms: float, *, timeout_ms: float | None = None) -> None:
        """Ends in ``Answered`` or ``Unknown``. Without a connection, what may be repeated waits for one and
        the rest raises ``NotConnected``; ``TooManyInFlight`` beyond the protocol's limit.

        To repeat a command whose end was ``Unknown``, send it with the same id (``pending.raised`` of it).
        """
        if self._ended or (self.welcome is None and not repeatable(command)):
            raise NotConnected(f"no connection, and {type(command).__name__} must not wait for one")
        self._pending.add(command, None if timeout_ms is None else now_ms + timeout_ms)
        self._flush()

    def forget(self, command_id: str) -> None:
        """Nobody waits for this reply any more. The command may have been, or be, carried out."""
        self._pending.settle(command_id)

    def end(self) -> list[Happening]:
        """The application says goodbye: close the socket with 1000, nothing is sent any more."""
        self._ended = True
        self._outbox.clear()
        self.reconnect_at_ms = None
        return [self._unknown(command, "ended") for command in self._pending.drain()]

    @property
    def rooms(self) -> dict[str, RoomLink]:
        """Every room asked for; ``rooms[room].mirror`` is what is known of it."""
        return self._rooms

    @property
    def waiting(self) -> int:
        """Commands without a reply."""
        return len(self._pending)

    @property
    def unmatched_replies(self) -> int:
        """Replies nobody waited for: too late, or forgotten."""
        return self._unmatched

    # -- what the socket's owner feeds -----------------------------------------------------------------

    def connected(self, now_ms: float, codec: Codec | None = None) -> None:
        """The handshake is done; ``codec`` is what it chose."""
        assert not self.open, "one connection at a time"
        if codec is not None:
            self._codec = codec
        self.open = True
        self.welcome = None
        self.reconnect_at_ms = None
        self._gave_up = False
        self._bye = None
        self._heard_ms = now_ms
        self._welcomed_ms = None
        self._authenticate_id = ""
        if self.token:
            self._authenticate_id = self._own_id()
            self._outbox.append(Authenticate(id=self._authenticate_id, token=self.token))

    def heard(self, now_ms: float) -> None:
        """Any sign of life that is no payload: a ping."""
        self._heard_ms = now_ms

    def receive(self, payload: bytes, now_ms: float) -> list[Happening]:
        """One message's bytes. ``NotOurs``: close with 1007 and call ``disconnected`` with it."""
        return self.take(self._codec.decode_downward(payload), now_ms)

    def take(self, said: Downward, now_ms: float) -> list[Happening]:
        """The same for one who has decoded it already: many sessions may share one decoded frame."""
        self._heard_ms = now_ms
        self.clock.sample(said.t, now_ms)
        if isinstance(said, Frame):
            return self._take_frame(said, now_ms)
        if isinstance(said, Notice):
            return [Noticed(notice=said)]
        if isinstance(said, Bye):
            self._bye = said
            return [ByeSaid(bye=said)]
        if isinstance(said, Welcome) and said.id in ("", self._authenticate_id):
            return self._take_welcome(said, now_ms)
        if isinstance(said, ErrorReply) and self.welcome is None and said.id == self._authenticate_id:
            return [NotWelcome(reply=said)]  # an empty id: of the token the handshake carried
        return self._take_reply(said, now_ms)

    def disconnected(self, code: int, now_ms: float) -> list[Happening]:
        """The connection is gone, with the close code of its end (1006 if none came). Cleared: everything
        of the connection; kept: rooms with their mirrors, and commands that may be repeated."""
        assert self.open
        bye, settled = self._bye, self._welcomed_ms
        self.open = False
        self.welcome = None
        self._outbox.clear()
        for link in self._rooms.values():
            link.disconnected()
        happenings: list[Happening] = [
            self._unknown(command, "disconnected") for command in self._pending.cut()
        ]
        if settled is not None and now_ms - settled >= SETTLED_MS:
            self._failures = 0
        comes_back = not self._ended and (bye.reconnect if bye is not None else may_reconnect(code))
        window = (bye.retry_ms, bye.spread_ms) if bye is not None else (0, 0)
        return [*happenings, *self._part(code, comes_back, window, now_ms)]

    def refused(self, now_ms: float, *, comes_back: bool, retry_ms: int = 0) -> list[Happening]:
        """The handshake came to nothing. ``retry_ms``: what the server asked for (Retry-After)."""
        assert not self.open
        return self._part(Close.ABNORMAL, comes_back and not self._ended, (retry_ms, 0), now_ms)

    def tick(self, now_ms: float) -> list[Happening]:
        """Time has passed. ``GaveUp`` is said once a connection: abort it and call ``disconnected``."""
        happenings: list[Happening] = [
            self._unknown(command, "timeout") for command in self._pending.overdue(now_ms)
        ]
        if self.welcome is not None:
            for link in self._rooms.values():
                link.tick(now_ms)
            self._send_joins(now_ms)
        if self.open and not self._gave_up and now_ms >= self._give_up_at_ms():
            self._gave_up = True
            happenings.append(GaveUp(silent_ms=round(now_ms - self._heard_ms)))
        return happenings

    def wake_at_ms(self) -> float | None:
        """When ``tick`` is due at the latest; ask again after every call. (``reconnect_at_ms`` is apart.)"""
        times = [self._pending.next_deadline_ms]
        if self.open and not self._gave_up:
            times.append(self._give_up_at_ms())
        if self.welcome is not None:
            times += [link.wake_at_ms for link in self._rooms.values()]
        return min((each for each in times if each is not None), default=None)

    def payloads_to_send(self) -> list[bytes]:
        """Bytes of the messages to write now, in order. They count as sent."""
        if not self.open or not self._outbox:
            return []
        payloads = [self._codec.encode(command) for command in self._outbox]
        self._outbox.clear()
        return payloads

    # -- inside ----------------------------------------------------------------------------------------

    def _take_welcome(self, welcome: Welcome, now_ms: float) -> list[Happening]:
        if self.welcome is not None:
            return []
        self._authenticate_id = ""
        self.welcome = welcome
        self.user_id, self.role = welcome.user_id, welcome.role
        self.keepalive_ms = welcome.keepalive_ms or KEEPALIVE_MS
        self._welcomed_ms = now_ms
        for link in self._rooms.values():
            link.connected(now_ms)
        self._send_joins(now_ms)
        self._flush()
        return [Welcomed(welcome=welcome)]

    def _take_frame(self, frame: Frame, now_ms: float) -> list[Happening]:
        link = self._rooms.get(frame.room)
        if link is None:
            return []
        happenings = link.take(frame, now_ms)
        if link.wants_join_at_ms is not None:
            self._send_joins(now_ms)
        return [self._less_own(each, now_ms) for each in happenings]

    def _less_own(self, happening: RoomHappening, now_ms: float) -> Happening:
        if isinstance(happening, DanmakuShown) and happening.danmaku:
            return self._own.from_frame(happening, self.user_id, now_ms)
        return happening

    def _take_reply(self, reply: Reply, now_ms: float) -> list[Happening]:
        if reply.id.startswith(OWN_ID_PREFIX):
            return self._take_own_reply(reply, now_ms)
        if isinstance(reply, ErrorReply) and reply.code == "retry":
            command = self._pending.get(reply.id)
            if command is not None and repeatable(command):
                return []  # this process is leaving; the next connection sends it again
        command = self._pending.settle(reply.id)
        if command is None:
            self._unmatched += 1
            return []
        happenings: list[Happening] = [Answered(command_id=reply.id, reply=reply)]
        if isinstance(reply, Receipt) and isinstance(command, SendDanmaku):
            own = self._own.from_receipt(command, reply, self.user_id, self.role, now_ms)
            if own is not None:
                happenings.append(own)
        return happenings

    def _take_own_reply(self, reply: Reply, now_ms: float) -> list[Happening]:
        link = next((each for each in self._rooms.values() if each.join_id == reply.id), None)
        if link is None:
            return []  # a leave's, or of a room left meanwhile
        if isinstance(reply, Joined):
            happenings: list[Happening] = [*link.joined(reply, now_ms)]
            self._send_joins(now_ms)
            return happenings
        assert isinstance(reply, ErrorReply), reply
        refusal = link.refused(reply, now_ms)
        if refusal is None:
            return []
        del self._rooms[link.room]
        return [refusal]

    def _send_joins(self, now_ms: float) -> None:
        for link in self._rooms.values():
            due_ms = link.wants_join_at_ms
            if due_ms is None or due_ms > now_ms:
                continue
            mirror = link.mirror
            known = mirror.epoch is not None
            join_id = self._own_id()
            self._outbox.append(
                Join(
                    id=join_id,
                    room=link.room,
                    epoch=mirror.epoch,
                    offset=mirror.offset if known else None,
                )
            )
            link.join_sent(join_id)

    def _flush(self) -> None:
        if self.welcome is not None:
            self._outbox.extend(self._pending.unsent())

    def _part(self, code: int, comes_back: bool, window: tuple[int, int], now_ms: float) -> list[Happening]:
        if not comes_back:
            self.reconnect_at_ms = None
            lost = [self._unknown(command, "ended") for command in self._pending.drain()]
            return [*lost, Disconnected(code=code, retry_in_ms=None)]
        delay_ms = backoff.delay_ms(self._failures, self._random, retry_ms=window[0], spread_ms=window[1])
        self._failures += 1
        self.reconnect_at_ms = now_ms + delay_ms
        return [Disconnected(code=code, retry_in_ms=round(delay_ms))]

    def _give_up_at_ms(self) -> float:
        if self.welcome is None:
            return self._heard_ms + WELCOME_MS_MAX
        return self._heard_ms + 2 * self.keepalive_ms

    def _unknown(self, command: Command, why: Literal["disconnected", "timeout", "ended"]) -> Unknown:
        return Unknown(command_id=command.id, why=why, repeatable=repeatable(command))

    def _own_id(self) -> str:
        self._serial += 1
        return f"{OWN_ID_PREFIX}{self._serial}"
