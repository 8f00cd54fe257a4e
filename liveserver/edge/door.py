"""The front door: the first protocol of every connection, until its request's head is there.

uvicorn makes one per connection (its ``http=`` class; the constructor's arguments are its internals, so
uvicorn is pinned). An ordinary request is handed to uvicorn's own protocol by ``set_protocol`` with all
bytes replayed; an upgrade is judged here, and then the connection is a ``Socket``'s.

A head is 16 KiB at most and is there within five seconds. A refused browser sees no HTTP status, only that
it failed: over capacity it is let in and told (``bye``, close 1013), at a bounded rate.

A crowd that comes at once is let in by slices of each turn of the loop (``edge.turnstile``), so that who is
in already hardly notices; beyond what can be done in a second or two it is refused at once.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import Counter
from random import Random
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from liveserver.core.clock import Clock
from liveserver.edge import files
from liveserver.edge.fast_handshake import FastHandshake
from liveserver.edge.handshake import Accepted, Handshake, Rules, is_upgrade
from liveserver.edge.keepalive import Keepalive
from liveserver.edge.metrics import Metrics
from liveserver.edge.owner import SocketOwner
from liveserver.edge.plain_http import PlainHttp
from liveserver.edge.problem import Problem
from liveserver.edge.socket import Socket, address_of
from liveserver.edge.turnstile import Turnstile
from protocol.close import CATALOGUE, Close
from protocol.replies import Bye

HEAD_BYTES_MAX = 16 * 1024
TOLD_PER_SECOND_MAX = 200  # Guess: handshakes spent on telling browsers that there is no room
WAITING_MAX = 5_000  # upgrades for which there was no time yet: about a second's worth
CROWDED_RETRY_MS = (1_000, 5_000)  # drawn from, for whom there is no descriptor or no time
_HEAD_END = b"\r\n\r\n"

log = logging.getLogger(__name__)


class FrontDoor:
    """What all doors of a process share. ``accepted`` and ``refused`` (by code) count handshakes."""

    def __init__(self, owner: SocketOwner, keepalive: Keepalive, clock: Clock, rules: Rules) -> None:
        self.owner = owner
        self.keepalive = keepalive
        self.clock = clock
        self.trusts_proxies = bool(rules.trusted)
        self.turnstile = Turnstile()
        self.files = files.Files.of_process()
        self.handshake = FastHandshake(Handshake(rules))
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self._random = Random()
        self._told_second = 0
        self._told = 0

    def protocol_class(self) -> type[asyncio.Protocol]:
        """What uvicorn calls for each connection: ``(config, server_state, app_state, _loop=None)``."""
        return cast("type[asyncio.Protocol]", functools.partial(Door, self))

    def measured_by(self, metrics: Metrics) -> None:
        """Let connections be counted where the process's other numbers are."""
        keepalive = self.keepalive
        metrics.gauge("sockets", "open WebSocket connections", lambda: keepalive.sockets)
        metrics.counter("handshakes_accepted", "upgrades let in", lambda: self.accepted)
        metrics.counter("handshakes_refused", "refused at the door", lambda: self.refused, label="code")
        metrics.counter("pings", "keepalive pings sent", lambda: keepalive.pinged)
        metrics.counter(
            "sockets_cut",
            "connections cut by the keepalive",
            lambda: {"silent": keepalive.silent, "too_slow": keepalive.too_slow, "late": keepalive.late},
            label="why",
        )

    def crowded_ms(self) -> int:
        """For whom there is no descriptor or no time: after how long to try again."""
        return self._random.randint(*CROWDED_RETRY_MS)

    def may_tell(self) -> bool:
        """Is there still time in this second to let one in and tell it to come back later?"""
        second = self.clock.now_ms() // 1000
        if second != self._told_second:
            self._told_second, self._told = second, 0
        self._told += 1
        return self._told <= TOLD_PER_SECOND_MAX


class Door(asyncio.Protocol):
    __slots__ = (
        "_config",
        "_front",
        "_head",
        "_loop",
        "_refused",
        "_server_state",
        "_state",
        "_transport",
        "_waits",
    )

    def __init__(
        self,
        front: FrontDoor,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._front = front
        self._config = config
        self._server_state = server_state
        self._state = app_state
        self._loop = _loop
        self._head = b""
        self._refused = False
        self._waits = False  # for its turn at the turnstile, and isn't read
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if len(self._connections) >= self._front.files.refusals_max:
            self._refuse(_over_capacity(self._front.crowded_ms()))
            return
        self._connections.add(self)
        self._front.keepalive.arriving(self)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or self._refused or transport.is_closing():
            return
        self._head += data
        end = self._head.find(_HEAD_END)
        if end < 0 and not self._head[:1].isalpha() and self._head[:1] not in b"\r\n":
            self._refuse(Problem("malformed_request", "this port speaks HTTP without TLS"))
        elif end > HEAD_BYTES_MAX or (end < 0 and len(self._head) > HEAD_BYTES_MAX):
            self._refuse(Problem("head_too_big", f"a head is {HEAD_BYTES_MAX} bytes at most"))
        elif end >= 0:
            self._front.keepalive.arrived(self)
            if not is_upgrade(self._head[: end + len(_HEAD_END)]):
                self._connections.discard(self)
                self._hand_over(transport)
            elif len(self._front.turnstile) >= WAITING_MAX:
                self._refuse(_over_capacity(self._front.crowded_ms()))
            elif not self._front.turnstile.enter(self._come_in):
                self._waits = True
                transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._transport = None

    def shutdown(self) -> None:
        """The server stops; nothing was begun here."""
        if self._transport is not None:
            self._transport.close()

    def overdue(self) -> None:
        """The head did not come in time, or the peer does not take his refusal (the keepalive calls this)."""
        if not self._refused:
            self._front.refused["head_timeout"] += 1
        if self._transport is not None:
            self._transport.abort()

    # -- inside ----------------------------------------------------------------------------------------

    @property
    def _connections(self) -> set[Any]:
        return self._server_state.connections  # typed by uvicorn for its own classes only

    def _leave(self) -> None:
        self._connections.discard(self)
        self._front.keepalive.arrived(self)

    def _refuse(self, problem: Problem) -> None:
        """Answer and end our side; read on, unheard, until the peer has gone or two seconds have: closing
        with bytes unread would reset the connection and take the answer away. Where descriptors are too few
        for that, it is closed at once."""
        assert self._transport is not None
        self._refused = True
        self._front.refused[problem.code] += 1
        self._head = b""
        self._transport.write(problem.response())
        if len(self._connections) >= self._front.files.refusals_max:
            self._transport.close()
            return
        self._connections.add(self)
        self._front.keepalive.closing(self)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _hand_over(self, transport: asyncio.Transport) -> None:
        own = self._config, self._server_state, self._state, self._loop
        again = functools.partial(Door, self._front, *own)
        http = PlainHttp(again, self._front.keepalive, *own)
        http.connection_made(transport)
        transport.set_protocol(http)
        http.data_received(self._head)
        self._head = b""

    def _come_in(self) -> None:
        """Its head is there, and so is its turn."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return  # it has gone while it waited
        self._connections.discard(self)
        if self._waits:
            self._waits = False
            transport.resume_reading()
        end = self._head.find(_HEAD_END) + len(_HEAD_END)
        self._upgrade(transport, self._head[:end], self._head[end:])

    def _upgrade(self, transport: asyncio.Transport, head: bytes, rest: bytes) -> None:
        address = address_of(transport) if self._front.trusts_proxies else ""
        verdict = self._front.handshake.judge(head, address)
        if isinstance(verdict, Problem):
            self._refuse(verdict)
            return
        few = len(self._connections) >= self._front.files.connections_max
        retry_ms = self._front.crowded_ms() if few else self._front.owner.admits()
        if retry_ms <= 0:
            self._front.accepted += 1
            self._open(transport, verdict, self._front.owner).start(rest)
        elif verdict.origin is not None and self._front.may_tell():
            self._front.refused["over_capacity"] += 1
            self._tell(self._open(transport, verdict, _NOBODY), retry_ms)
        else:
            self._refuse(_over_capacity(retry_ms))

    def _open(self, transport: asyncio.Transport, accepted: Accepted, owner: SocketOwner) -> Socket:
        self._head = b""
        transport.write(accepted.response)
        socket = Socket(
            transport,
            owner,
            self._front.keepalive,
            self._connections,
            codec=accepted.codec,
            deflate=accepted.deflate,
            peer=accepted.peer,
            bearer=accepted.bearer,
        )
        transport.set_protocol(socket)
        return socket

    def _tell(self, socket: Socket, retry_ms: int) -> None:
        socket.start(b"")
        rule = CATALOGUE[Close.TRY_LATER]
        bye = Bye(t=self._front.clock.now_ms(), reason=rule.name, reconnect=rule.reconnect, retry_ms=retry_ms)
        socket.send(socket.codec.encode(bye))
        socket.close(Close.TRY_LATER, f"{rule.name} retryMs={retry_ms}")


def _over_capacity(retry_ms: int) -> Problem:
    return Problem("over_capacity", f"try again in {retry_ms} ms", retry_ms=retry_ms)


class _Nobody:
    """Owns the sockets that are told to come back later."""

    def admits(self) -> int:
        return 0

    def opened(self, socket: Socket) -> None: ...

    def received(self, socket: Socket, payload: bytes) -> None: ...

    def paused(self, socket: Socket) -> None: ...

    def drained(self, socket: Socket) -> None: ...

    def closed(self, socket: Socket, code: int) -> None: ...


_NOBODY = _Nobody()
