"""One WebSocket of the swarm, as lean as it may be: the handshake, whole messages to its owner, and the ways
to read slowly, or not at all, or to be cut."""

from __future__ import annotations

import asyncio
import socket
from typing import Final, Protocol, cast

from loadtest.swarm.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    BrokenFrameError,
    Message,
    Reader,
    client_frame,
)
from loadtest.swarm.heard import Ear, Heard
from loadtest.swarm.opening import NotOpenedError, answered, key, request
from protocol.errors import NotOurs

OPEN_S_MAX: Final = 20.0
CLOSE_S_MAX: Final = 5.0
ABNORMAL: Final = 1006
_BIND_ADDRESS_NO_PORT: Final = 24  # Linux: the port is chosen when the peer is known, so they last longer


class Owner(Protocol):
    def opened(self, deflate: bool) -> Ear:
        """The handshake is done; through which ear is heard."""

    def heard(self, heard: Heard) -> None: ...

    def ended(self, code: int, fault: str) -> None:
        """``code``: of the server's close frame, 1006 without one. ``fault``: what it did wrong, else
        empty."""


class Link(asyncio.Protocol):
    __slots__ = (
        "_deflate",
        "_ear",
        "_fault",
        "_head",
        "_is_open",
        "_key",
        "_left_bytes",
        "_owner",
        "_reader",
        "_said_close",
        "_subprotocol",
        "_transport",
        "code",
        "paused",
        "received_bytes",
        "shaken",
    )

    def __init__(self, owner: Owner, subprotocol: str, draw: bytes, *, deflate: bool) -> None:
        """``draw``: 16 random bytes for the handshake's key."""
        self._owner = owner
        self._subprotocol = subprotocol
        self._deflate = deflate
        self._key = key(draw)
        self._head = b""
        self._ear: Ear | None = None
        self._reader = Reader()
        self._transport: asyncio.Transport | None = None
        self._is_open = False
        self._said_close = False
        self._fault = ""
        self.shaken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.code = ABNORMAL
        self.paused = False
        self.received_bytes = 0
        self._left_bytes: int | None = None  # that may still be read now; None: as many as come

    async def open(
        self, address: tuple[str, int], path: str, token: str, *, source: str = "", receive_buffer: int = 0
    ) -> None:
        """Raises ``NotOpenedError`` or ``OSError``; then, and if cancelled, nothing stays open."""
        loop = asyncio.get_running_loop()
        plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            plain.setblocking(False)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if receive_buffer:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if source:
                plain.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
                plain.bind((source, 0))
            async with asyncio.timeout(OPEN_S_MAX):
                await loop.sock_connect(plain, address)
                await loop.create_connection(lambda: self, sock=plain)
                host = f"{address[0]}:{address[1]}"
                self._write(request(host, path, self._key, self._subprotocol, token, deflate=self._deflate))
                await self.shaken
        except BaseException as error:
            if self._transport is None:
                plain.close()
            else:
                self._transport.abort()
            if isinstance(error, TimeoutError):
                raise NotOpenedError("no handshake in time") from None
            raise

    @property
    def is_open(self) -> bool:
        return self._is_open

    def send(self, payload: bytes, text: bool) -> None:
        """On a connection that is going: nothing."""
        if self._is_open:
            self._write(client_frame(TEXT if text else BINARY, payload))

    def leave(self) -> None:
        """Goodbye; what the server still says is read. Cut after ``CLOSE_S_MAX``."""
        if self._is_open:
            self.read_on()
            self._is_open, self._said_close = False, True
            self._write(client_frame(CLOSE, (1000).to_bytes(2, "big")))
            asyncio.get_running_loop().call_later(CLOSE_S_MAX, self.cut)

    def cut(self) -> None:
        self._is_open = False
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        if self._transport is not None and not self.paused and not self._transport.is_closing():
            self.paused = True
            self._transport.pause_reading()

    def read_on(self) -> None:
        """At full speed."""
        self._left_bytes = None
        self._resume()

    def allow(self, more_bytes: int) -> None:
        """So many more may be read, then it pauses by itself. A read takes what the kernel has; one that took
        more is made good for before the next."""
        self._left_bytes = min((self._left_bytes or 0) + more_bytes, more_bytes)
        if self._left_bytes > 0:
            self._resume()

    def _resume(self) -> None:
        if self._transport is not None and self.paused and not self._transport.is_closing():
            self.paused = False
            self._transport.resume_reading()

    # -- what the loop does ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received_bytes += len(data)
        if self._left_bytes is not None:
            self._left_bytes -= len(data)
            if self._left_bytes <= 0:
                self.pause()
        ear = self._ear
        if ear is None:
            self._shake(data)
            return
        if not self._reader.rest:
            known = ear.known.get(data)
            if known is not None:
                self._owner.heard(known)
                return
        self._read(ear, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_open = False
        if not self.shaken.done():
            self.shaken.set_exception(NotOpenedError("closed during the handshake"))
        elif self._ear is not None:
            self._owner.ended(self.code, self._fault)

    # -- inside ----------------------------------------------------------------------------------------

    def _shake(self, data: bytes) -> None:
        if self.shaken.done():
            return
        self._head += data
        try:
            opened = answered(self._head, self._key, self._subprotocol, deflate=self._deflate)
        except NotOpenedError as error:
            self.shaken.set_exception(error)
            return
        if opened is None:
            return
        self._head = b""
        self._is_open = True
        self.shaken.set_result(None)
        self._ear = self._owner.opened(opened.deflate)
        if opened.rest:
            self._read(self._ear, opened.rest)

    def _read(self, ear: Ear, data: bytes) -> None:
        try:
            for message in self._reader.feed(data):
                if message.opcode in (TEXT, BINARY):
                    self._owner.heard(ear.hear(message))
                else:
                    self._control(message)
        except (BrokenFrameError, NotOurs) as error:
            self._fault = str(error)
            self.cut()

    def _control(self, message: Message) -> None:
        if message.opcode == PING:
            self._write(client_frame(PONG, message.payload))
        elif message.opcode == CLOSE:
            if len(message.payload) >= 2:
                self.code = int.from_bytes(message.payload[:2], "big")
            if not self._said_close:
                self._write(client_frame(CLOSE, message.payload[:2]))
            self._is_open = False
            if self._transport is not None:
                self._transport.close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
