"""One WebSocket connection after its handshake.

Inbound bytes go through ``websockets``' Sans-I/O ``ServerProtocol``: masking, fragments, control frames,
the closing handshake, inflating under a cap. Outbound frames are prebuilt bytes that go straight to the
transport. This knows frames and codes; it does not know commands, rooms or who its owner is.

What holds:
- nothing is written after the close frame: ``write`` and ``send`` then do nothing;
- the owner hears ``closed`` exactly once, from the loop, never from inside a call of ours;
- what a peer can make us keep is bounded: one message, ``FRAGMENTS_MAX`` fragments of it, one read's bytes
  while reading is paused, and one pong while he does not read (RFC 6455 §5.5.3 allows answering the last).
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import socket as sockets
import struct
import termios
from collections.abc import Callable
from typing import Any, cast

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from liveserver.edge.keepalive import Keepalive
from liveserver.edge.owner import SocketOwner
from liveserver.edge.wire import frame_bytes
from protocol.close import Close
from protocol.codec import Codec
from protocol.errors import NotOurs
from protocol.limits import COMMAND_BYTES_MAX

NOTSENT_LOWAT_BYTES = 16 * 1024  # Measured: a non-reader swallows 148 KB with it, 3.9 MB without
FRAGMENTS_MAX = 64  # of one message; a command is at most 32 KiB, so nobody honest needs many
READ_SLICE_BYTES = 4 * 1024  # fed at once, so a read full of tiny zip bombs inflates a little at a time
CLOSE_REASON_BYTES_MAX = 123  # Source: RFC 6455 §5.5, 125 less the code

log = logging.getLogger(__name__)
_frames_log = logging.getLogger(f"{__name__}.frames")
_frames_log.setLevel(logging.ERROR)  # the Sans-I/O layer tells every opening and closing otherwise


def _dropped(_frame: bytes) -> None:
    """What ``write`` is once the socket is closed."""


class Socket(asyncio.Protocol):
    """Attributes for the owner: ``codec``, ``deflate`` (may be sent compressed frames), ``paused`` (the
    kernel is full), ``closed`` (no more may be written), ``peer`` (the client's address), ``bearer`` (token
    of the handshake's Authorization header) and ``session``, a slot of the owner's own.

    ``write(frame)`` is the transport's own ``write``: the bytes of one complete frame, in order, never
    blocking. It may call ``owner.paused`` before it returns.
    """

    __slots__ = (
        "_connections",
        "_inbound",
        "_keepalive",
        "_kernel",
        "_owed_pong",
        "_owner",
        "_parts",
        "_reading_paused",
        "_transport",
        "_unread",
        "_waiting",
        "bearer",
        "close_code",
        "closed",
        "codec",
        "deflate",
        "heard_ms",
        "paused",
        "peer",
        "pinged_ms",
        "session",
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
        self.peer = peer
        self.bearer = bearer
        self.session: object | None = None
        self.paused = False
        self.closed = False
        self.close_code = 0  # of the close decided first; 0: none yet
        self.heard_ms = keepalive.now_ms  # of the last bytes from the peer, as the keepalive's beat has it
        self.pinged_ms = 0
        self.write = transport.write
        self._transport = transport
        self._owner = owner
        self._keepalive = keepalive
        self._connections = connections  # of the server: those to be told of a shutdown
        self._kernel = cast("sockets.socket | None", transport.get_extra_info("socket"))
        self._inbound = ServerProtocol(state=OPEN, max_size=COMMAND_BYTES_MAX, logger=_frames_log)
        if deflate:
            self._inbound.extensions = [PerMessageDeflate(True, True, 15, 15)]
        self._parts: list[bytes] = []  # of the message under way, if it came in fragments
        self._reading_paused = False
        self._waiting: list[bytes] = []  # read before reading was paused; a deque would cost each 0.6 KB
        self._unread = b""  # and bytes after them
        self._owed_pong = b""

    def start(self, rest: bytes) -> None:
        """Take over from the door, which has written the 101 and set the transport's protocol; ``rest``
        is what came behind the request's head."""
        self._tune()
        self._connections.add(self)
        self._keepalive.opened(self)
        self._tell(self._owner.opened)
        if rest:
            self.data_received(rest)

    # -- what the owner does ---------------------------------------------------------------------------

    def send(self, payload: bytes) -> None:
        """One message of ours, framed uncompressed."""
        self.write(frame_bytes(payload, text=self.codec.text, deflate=False))

    def close(self, code: Close, reason: str = "") -> None:
        """Say why and go: close frame now, the peer's awaited for two seconds, then cut. Closing what is
        closed already does nothing. ``reason`` is cut to what a close frame holds."""
        assert code is not Close.ABNORMAL, "1006 is never on the wire"
        if self.closed:
            return
        short = reason.encode()[:CLOSE_REASON_BYTES_MAX].decode(errors="ignore")
        if self._inbound.state is OPEN:  # else his own close frame came in the same read
            self._inbound.send_close(int(code), short)
        self._ended(code)
        self._flush()
        self.resume_reading()  # the peer's close frame waits there

    def abort(self, reason: str = "", code: Close = Close.ABNORMAL) -> None:
        """Cut the connection without a word; what was not sent is lost."""
        log.debug("aborted %s: %s", self.peer, reason)
        self._ended(code)
        self._transport.abort()

    def unsent_bytes(self) -> int:
        """What was written and has not reached the peer: in our buffer, and in the kernel's if it tells."""
        unsent = self._transport.get_write_buffer_size()
        if self._kernel is not None:
            try:
                answer = fcntl.ioctl(self._kernel.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
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
        while self._waiting and not self._reading_paused:
            self._deliver(self._waiting.pop(0))
        if self._unread and not self._reading_paused:
            rest, self._unread = self._unread, b""
            self._take(rest)
        if not self._reading_paused:
            self._transport.resume_reading()

    # -- what the loop does ----------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self.heard_ms = self._keepalive.now_ms
        if self._reading_paused:  # only behind the handshake, or by a transport that was in mid-read
            self._unread += data
        else:
            self._take(data)

    def pause_writing(self) -> None:
        self.paused = True
        self._keepalive.paused(self)
        if not self.closed:
            self._tell(self._owner.paused)

    def resume_writing(self) -> None:
        self.paused = False
        self._keepalive.drained(self)
        if not self.closed:
            pong, self._owed_pong = self._owed_pong, b""
            self.write(pong)  # writing nothing is nothing
            if not self.paused:
                self._tell(self._owner.drained)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(Close.ABNORMAL)
        self._connections.discard(self)
        self._keepalive.gone(self)
        self._kernel = None  # its number may soon be another connection's
        self._waiting.clear()
        self._unread = b""
        try:
            self._owner.closed(self, self.close_code)
        except Exception:
            log.exception("the owner failed on a closed socket")

    def shutdown(self) -> None:
        """The server stops (uvicorn calls this on each of its connections)."""
        self.close(Close.GOING_AWAY, "going_away")

    def overdue(self) -> None:
        """The peer has not answered our close frame (the keepalive calls this)."""
        self.abort("no answer to the close frame")

    # -- inside ----------------------------------------------------------------------------------------

    def _tune(self) -> None:
        self._transport.set_write_buffer_limits(high=0)  # so `paused` means the kernel is full
        if self._kernel is None:
            return
        try:
            self._kernel.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
            if hasattr(sockets, "TCP_NOTSENT_LOWAT"):
                self._kernel.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES)
        except OSError:
            pass  # not a TCP socket, or gone

    def _ended(self, code: int) -> None:
        if not self.closed:
            self.closed = True
            self.close_code = int(code)
            self.write = _dropped
            self._parts.clear()
            self._keepalive.closing(self)

    def _tell(self, report: Callable[[Socket], None]) -> None:
        try:
            report(self)
        except Exception:
            log.exception("the owner failed")
            self.close(Close.INTERNAL, "internal")

    def _take(self, raw: bytes) -> None:
        inbound = self._inbound
        for start in range(0, len(raw), READ_SLICE_BYTES):
            inbound.receive_data(
                raw if len(raw) <= READ_SLICE_BYTES else raw[start : start + READ_SLICE_BYTES]
            )
            for frame in inbound.events_received():
                assert isinstance(frame, Frame)
                self._frame(frame)
            if inbound.state is not OPEN:  # he closed, or broke the rules; or we closed in `_frame`
                end = inbound.close_sent
                self._ended(end.code if end is not None else Close.ABNORMAL)
            self._flush()
            if self._reading_paused:
                self._unread = raw[start + READ_SLICE_BYTES :] + self._unread
                break

    def _frame(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode in (Opcode.PING, Opcode.PONG, Opcode.CLOSE) or self.closed:
            return  # the Sans-I/O layer answers those; and after a close nothing is heard
        if opcode is not Opcode.CONT and (opcode is Opcode.TEXT) is not self.codec.text:
            kind = "text" if self.codec.text else "binary"
            self.close(Close.UNSUPPORTED_DATA, f"{self.codec.subprotocol} is {kind}")
            return
        if opcode is not Opcode.CONT and frame.fin:
            self._heard(bytes(frame.data))
            return
        self._parts.append(bytes(frame.data))
        if len(self._parts) > FRAGMENTS_MAX:
            self.close(Close.TOO_BIG, f"more than {FRAGMENTS_MAX} fragments")
        elif frame.fin:
            payload = b"".join(self._parts)
            self._parts.clear()
            self._heard(payload)

    def _heard(self, payload: bytes) -> None:
        if self._reading_paused:
            self._waiting.append(payload)
        else:
            self._deliver(payload)

    def _deliver(self, payload: bytes) -> None:
        if self.closed:
            return
        try:
            if self.codec.text and not payload.isascii():
                payload.decode()
            self._owner.received(self, payload)
        except UnicodeDecodeError as error:
            self.close(Close.INVALID_DATA, f"not UTF-8 at byte {error.start}")
        except NotOurs as error:
            self.close(Close.INVALID_DATA, str(error))
        except Exception:
            log.exception("the owner failed on a message")
            self.close(Close.INTERNAL, "internal")

    def _flush(self) -> None:
        """Write what the Sans-I/O layer has to say: pongs, a close frame, the end."""
        for frame in self._inbound.data_to_send():
            if not frame:
                self._half_close()
            elif self.paused and frame[0] & 0x0F == Opcode.PONG:
                self._owed_pong = frame
            else:
                self._transport.write(frame)

    def _half_close(self) -> None:
        """End our side and go on reading: closing at once would answer unread bytes with a reset, which
        takes the close frame away before the peer has seen it."""
        if self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()
