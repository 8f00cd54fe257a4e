"""One WebSocket connection after its handshake.

Inbound bytes become messages in ``edge.frames``; the closing handshake, pongs and pauses are here. Outbound
frames are prebuilt bytes that go straight to the transport. This knows frames and codes; it does not know
commands, rooms or who its owner is.

What holds:
- nothing is written after the close frame: ``write`` and ``send`` then do nothing;
- what is sent while a read is worked through leaves with one ``write``, at the latest when it is done: a
  client that says much in one breath costs one call of the kernel, not one a reply;
- the owner hears ``closed`` exactly once, from the loop, never from inside a call of ours;
- what a peer can make us keep is bounded: what ``FrameReader`` keeps (one read's bytes while reading is
  paused), and one pong while he does not read (RFC 6455 §5.5.3 allows answering the last).
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import struct
import termios
from collections.abc import Callable
from typing import Any

from liveserver.edge.descriptors import DESCRIPTORS, NO_SLOT
from liveserver.edge.frames import BrokenRuleError, Closing, FrameReader, Ping
from liveserver.edge.keepalive import Keepalive
from liveserver.edge.owner import SocketOwner
from liveserver.edge.wire import close_bytes, echo_bytes, frame_bytes, pong_bytes
from protocol.close import Close
from protocol.codec import Codec
from protocol.errors import NotOurs

CORKED_BYTES_MAX = 16 * 1024  # of one frame: a larger one is shared, and joining it would copy it
CORKED_MAX = 16  # frames of ours that wait for the end of a read: beyond, whether he reads shows too late

log = logging.getLogger(__name__)


def address_of(transport: asyncio.Transport) -> str:
    """Where a connection comes from; empty if the kernel doesn't tell any more."""
    peername = transport.get_extra_info("peername")
    return str(peername[0]) if isinstance(peername, tuple) else ""


def _dropped(_frame: bytes) -> None:
    """What ``write`` is once the socket is closed."""


class Socket(asyncio.Protocol):
    """Attributes for the owner: ``codec``, ``deflate`` (may be sent compressed frames), ``paused`` (the
    kernel is full), ``closed`` (no more may be written), ``peer`` (the client's address), ``bearer`` (token
    of the handshake's Authorization header) and ``session``, a slot of the owner's own.

    ``write(frame)`` is the transport's own ``write``: the bytes of one complete frame, in order, never
    blocking. It may call ``owner.paused`` before it returns.

    ``slot`` is this connection's place in ``DESCRIPTORS``, from ``show_fd`` until the owner was told
    ``closed``; else ``NO_SLOT``. There, and in ``fd``, is its file descriptor while nothing waits in the
    transport's buffer and the socket is open; else ``NO_FD``. Who has one frame for a crowd may write it
    there, at once; what the kernel didn't take of it must go to ``write``, before anything else does.
    """

    __slots__ = (
        "_connections",
        "_corked",
        "_gone",
        "_keepalive",
        "_owed_pong",
        "_owner",
        "_peer",
        "_reader",
        "_reading_paused",
        "_transport",
        "bearer",
        "close_code",
        "closed",
        "codec",
        "deflate",
        "heard_ms",
        "paused",
        "pinged_ms",
        "session",
        "slot",
        "write",
    )

    write: Callable[[bytes], None]

    def __init__(
        self,
        transport: asyncio.Transport,
        owner: SocketOwner,
        keepalive: Keepalive,
        connections: set[Any],
        *,
        codec: Codec,
        deflate: bool,
        peer: str,
        bearer: str | None,
    ) -> None:
        self.codec = codec
        self.deflate = deflate
        self._peer = peer  # empty: the connection's own, looked up when somebody asks
        self.bearer = bearer
        self.session: object | None = None
        self.paused = False
        self.closed = False
        self.slot = NO_SLOT
        self.close_code = 0  # of the close decided first; 0: none yet
        self.heard_ms = keepalive.now_ms  # of the last bytes from the peer, as the keepalive's beat has it
        self.pinged_ms = 0
        self.write = transport.write
        self._transport = transport
        self._owner = owner
        self._keepalive = keepalive
        self._connections = connections  # of the server: those to be told of a shutdown
        self._gone = False  # its kernel's number may by now be another connection's
        self._reader = FrameReader(codec, deflate=deflate)
        self._corked: list[bytes] | None = None  # while a read is worked through
        self._reading_paused = False
        self._owed_pong = b""

    def start(self, rest: bytes) -> None:
        """Take over from the door, which has written the 101 and set the transport's protocol; ``rest``
        is what came behind the request's head."""
        self._transport.set_write_buffer_limits(high=0)  # so `paused` means the kernel is full
        self._connections.add(self)
        self._keepalive.opened(self)
        self._tell(self._owner.opened)
        if rest:
            self.data_received(rest)

    @property
    def peer(self) -> str:
        """The client's address; empty once the connection is gone, if no proxy told it."""
        return self._peer or address_of(self._transport)

    # -- what the owner does ---------------------------------------------------------------------------

    def send(self, payload: bytes) -> None:
        """One message of ours, framed uncompressed."""
        self.say(frame_bytes(payload, text=self.codec.text, deflate=False))

    def say(self, frame: bytes) -> None:
        """One complete frame for this peer alone, in order; it leaves with the others of this read."""
        if self._corked is None or len(frame) > CORKED_BYTES_MAX:
            self._uncork()
            self.write(frame)
            return
        self._corked.append(frame)
        if len(self._corked) >= CORKED_MAX:
            self._uncork()

    def close(self, code: Close, reason: str = "") -> None:
        """Say why and go: close frame now, the peer's awaited for two seconds, then cut. Closing what is
        closed already does nothing. ``reason`` is cut to what a close frame holds."""
        assert code is not Close.ABNORMAL, "1006 is never on the wire"
        if self.closed:
            return
        self._goodbye(close_bytes(code, reason), code)
        self.resume_reading()  # the peer's close frame waits there

    def abort(self, reason: str = "", code: Close = Close.ABNORMAL) -> None:
        """Cut the connection without a word; what was not sent is lost."""
        if log.isEnabledFor(logging.DEBUG):
            log.debug("aborted %s: %s", self.peer, reason)
        self._ended(code)
        self._transport.abort()

    @property
    def fd(self) -> int:
        return DESCRIPTORS.fds[self.slot]

    def show_fd(self) -> None:
        """From now on ``fd`` is told. Not from the start: an idle connection needn't have what it costs. One
        whose bytes the transport encrypts shows none."""
        if self.slot != NO_SLOT or self.closed:
            return
        kernel = self._transport.get_extra_info("socket")
        if kernel is not None and self._transport.get_extra_info("ssl_object") is None:
            self.slot = DESCRIPTORS.take(kernel.fileno())
            if not self.paused:
                DESCRIPTORS.show(self.slot)

    def unsent_bytes(self) -> int:
        """What was written and has not reached the peer: in our buffer, and in the kernel's if it tells."""
        unsent = self._transport.get_write_buffer_size()
        kernel = None if self._gone else self._transport.get_extra_info("socket")
        if kernel is not None:
            try:
                answer = fcntl.ioctl(kernel.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
                unsent += struct.unpack("i", answer)[0]
            except OSError:
                pass  # not a TCP socket, or gone
        return unsent

    def pause_reading(self) -> None:
        """Hear no more of this peer: not even what was read already."""
        if not self.closed:
            self._reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """First what was kept back, in order; may call ``owner.received`` before it returns."""
        if not self._reading_paused:
            return
        self._reading_paused = False
        self._read()
        if not self._reading_paused:
            self._transport.resume_reading()

    # -- what the loop does ----------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self.heard_ms = self._keepalive.now_ms
        self._reader.feed(data)
        self._read()

    def pause_writing(self) -> None:
        self.paused = True
        DESCRIPTORS.hide(self.slot)
        self._keepalive.paused(self)
        if not self.closed:
            self._tell(self._owner.paused)

    def resume_writing(self) -> None:
        self.paused = False
        self._keepalive.drained(self)
        if not self.closed:
            DESCRIPTORS.show(self.slot)
            pong, self._owed_pong = self._owed_pong, b""
            self.write(pong)  # writing nothing is nothing
            if not self.paused:
                self._tell(self._owner.drained)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(Close.ABNORMAL)
        self._connections.discard(self)
        self._keepalive.gone(self)
        self._gone = True
        try:
            self._owner.closed(self, self.close_code)
        except Exception:
            log.exception("the owner failed on a closed socket")  # who knows what refers to the slot still
        else:
            slot, self.slot = self.slot, NO_SLOT
            DESCRIPTORS.give_back(slot)

    def shutdown(self) -> None:
        """The server stops (uvicorn calls this on each of its connections)."""
        self.close(Close.GOING_AWAY, "going_away")

    def overdue(self) -> None:
        """The peer has not answered our close frame (the keepalive calls this)."""
        self.abort("no answer to the close frame")

    # -- inside ----------------------------------------------------------------------------------------

    def _ended(self, code: int) -> None:
        if not self.closed:
            self.closed = True
            self.close_code = int(code)
            self.write = _dropped
            DESCRIPTORS.hide(self.slot)
            self._keepalive.closing(self)

    def _tell(self, report: Callable[[Socket], None]) -> None:
        try:
            report(self)
        except Exception:
            log.exception("the owner failed")
            self.close(Close.INTERNAL, "internal")

    def _read(self) -> None:
        """All that was fed, until the owner wants to hear no more."""
        if self._corked is not None:
            return  # under way further up, and goes on there
        self._corked = []
        try:
            while not self._reading_paused and (heard := self._reader.next()) is not None:
                if isinstance(heard, bytes):
                    self._deliver(heard)
                elif isinstance(heard, Ping):
                    self._pong(heard)
                else:
                    self._close_heard(heard)
        except BrokenRuleError as broken:
            if not self.closed:
                self._goodbye(close_bytes(broken.code, broken.reason), broken.code)
            self._half_close()
        finally:
            self._uncork()
            self._corked = None

    def _deliver(self, payload: bytes) -> None:
        if self.closed:
            return
        try:
            self._owner.received(self, payload)
        except NotOurs as error:
            self.close(Close.INVALID_DATA, str(error))
        except Exception:
            log.exception("the owner failed on a message")
            self.close(Close.INTERNAL, "internal")

    def _pong(self, ping: Ping) -> None:
        if self.closed:
            return
        if self.paused:
            self._owed_pong = pong_bytes(ping.payload)
        else:
            self.say(pong_bytes(ping.payload))

    def _close_heard(self, his: Closing) -> None:
        """The answer to ours, or his own, which is answered."""
        if not self.closed:
            self._goodbye(echo_bytes(his.payload), his.code)
        self._half_close()

    def _uncork(self) -> None:
        if self._corked:
            frames, self._corked = self._corked, []
            self.write(b"".join(frames))

    def _goodbye(self, close_frame: bytes, code: int) -> None:
        self._uncork()
        self._transport.write(close_frame)
        self._ended(code)

    def _half_close(self) -> None:
        """End our side and go on reading: closing at once would answer unread bytes with a reset, which
        takes the close frame away before the peer has seen it."""
        if self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()
