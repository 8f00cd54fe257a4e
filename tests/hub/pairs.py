"""Sockets of ours over socket pairs of the kernel, without a loop: what a peer does is done when the test
says so, and the kernel's buffers are small, so that frames are cut by them."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from liveserver.commands.session import Session
from liveserver.core.limits import SessionRates
from liveserver.core.rate import SessionLimits
from liveserver.edge.keepalive import Keepalive
from liveserver.edge.socket import Socket
from liveserver.hub.encoded import Variant
from liveserver.hub.seats import Seat, Seats, SeatState
from protocol.codec import JSON
from tests.clock import ManualClock

SEND_BYTES = 1  # Linux makes of it the least it has: room for a bit more than two pieces of 2,240 bytes
READ_BYTES = 65_536


class PairTransport:
    """Of a transport, what ``Socket`` asks for: it keeps what the kernel doesn't take, and says so."""

    def __init__(self, kernel: socket.socket, encrypts: bool) -> None:
        self.kernel = kernel
        self.encrypts = encrypts
        self.protocol: Socket
        self.unsent = bytearray()
        self.closing = False

    def write(self, data: bytes) -> None:
        if self.closing or not data:
            return
        if not self.unsent:
            data = data[self._sent(data) :]
        if data:
            full = bool(self.unsent)
            self.unsent += data
            if not full:
                self.protocol.pause_writing()

    def flush(self) -> None:
        if self.unsent and not self.closing:
            del self.unsent[: self._sent(bytes(self.unsent))]
            if not self.unsent:
                self.protocol.resume_writing()

    def _sent(self, data: bytes) -> int:
        try:
            return self.kernel.send(data)
        except OSError:
            return 0

    def abort(self) -> None:
        self.closing = True

    def get_extra_info(self, name: str) -> object:
        if name == "ssl_object":
            return object() if self.encrypts else None
        return self.kernel if name == "socket" else None

    def get_write_buffer_size(self) -> int:
        return len(self.unsent)


class Viewer:
    """A seat, its socket, and what its peer has read."""

    def __init__(self, room: Room, owed: bytes, encrypted: bool) -> None:
        self.room = room
        kernel, self.peer = socket.socketpair()
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        for one in (kernel, self.peer):
            one.setblocking(False)
        self.transport = PairTransport(kernel, encrypted)
        self.socket = Socket(
            cast(asyncio.Transport, self.transport),
            room,
            room.keepalive,
            set(),
            codec=JSON,
            deflate=False,
            peer="",
            bearer=None,
        )
        self.transport.protocol = self.socket
        self.heard = bytearray()
        self.lost = False
        self.socket.session = self
        self.socket.write(owed)
        self.socket.show_fd()
        session = Session("s", SessionLimits(SessionRates()), lambda _: None)
        self.seat = Seat(session, self.socket, Variant(JSON, False), 0)
        if self.socket.paused:
            self.seat.state = SeatState.PAUSED
        room.seats.add(self.seat)

    def read(self) -> None:
        """All there is, and what is sent because of it."""
        while True:
            try:
                got = self.peer.recv(READ_BYTES)
            except BlockingIOError:
                break
            if not got:
                break
            self.heard += got
            self.transport.flush()

    def lose(self) -> None:
        """The loop says that the connection is gone; only then does the kernel's number come free."""
        if not self.lost:
            self.lost = True
            self.read()
            self.socket.connection_lost(None)
            self.transport.kernel.close()

    def leave(self) -> None:
        self.room.seats.remove(self.seat)


class Room:
    """Seats, and of a gate what it does for them: it owns the sockets."""

    def __init__(self) -> None:
        self.seats = Seats()
        self.keepalive = Keepalive(ManualClock())
        self.viewers: list[Viewer] = []

    def join(self, owed: bytes = b"", *, encrypted: bool = False) -> Viewer:
        """``owed``: what he was sent before. ``encrypted``: by his transport, or so it says."""
        viewer = Viewer(self, owed, encrypted)
        self.viewers.append(viewer)
        return viewer

    def end(self) -> None:
        for viewer in self.viewers:
            viewer.lose()
            viewer.peer.close()

    def paused(self, socket: Socket) -> None:
        seat = getattr(viewer_of(socket), "seat", None)  # he may be full before he has one
        if seat is not None and seat.state is not SeatState.GONE:
            seat.state = SeatState.PAUSED

    def drained(self, socket: Socket) -> None:
        seat = viewer_of(socket).seat
        if seat.state is not SeatState.GONE:
            seat.state = SeatState.READS

    def closed(self, socket: Socket, code: int) -> None:
        viewer_of(socket).leave()

    def admits(self) -> int:
        return 0

    def opened(self, socket: Socket) -> None: ...

    def received(self, socket: Socket, payload: bytes) -> None: ...


def viewer_of(socket: Socket) -> Viewer:
    assert isinstance(socket.session, Viewer)
    return socket.session
