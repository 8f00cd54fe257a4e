"""One WebSocket of the audience, on ``websockets``' Sans-I/O layer: thin, and cut in every way there is.

It reads whole messages and hands them on; it knows no command and no room. How it ended is said once, to
``on_end(by, code)``, where ``by`` is

    leave   we said goodbye and the server answered: every byte it wrote has been read
    eof     we closed our half without a word and read on to the end: the same, but abrupt
    abort   we cut it: what was under way is lost
    server  the server said goodbye
    lost    none of these
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final, cast

from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
OPEN_TIMEOUT_S: Final = 10.0
END_TIMEOUT_S: Final = 5.0
SMALL_BUFFER_BYTES: Final = 2_048  # of one who stops reading: the kernel soon takes no more for it


class RefusedError(Exception):
    """The handshake came to nothing."""


class Wire(asyncio.Protocol):
    def __init__(
        self,
        url: str,
        subprotocol: str,
        token: str,
        deflate: bool,
        on_payload: Callable[[bytes], None],
        on_end: Callable[[str, int], None],
    ) -> None:
        extensions = [ClientPerMessageDeflateFactory()] if deflate else None
        self._sans_io = ClientProtocol(
            parse_uri(url),
            extensions=extensions,
            subprotocols=[Subprotocol(subprotocol)],
            max_size=FRAME_BYTES_MAX,
        )
        self._token = token
        self._on_payload = on_payload
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parts: list[bytes] = []
        self._early: list[bytes] | None = []  # whole messages that came before ``start``
        self._by = "lost"
        self._is_open = False
        self.stalled = False

    @property
    def deflate(self) -> bool:
        """Whether the server agreed to it."""
        return bool(self._sans_io.extensions)

    @property
    def is_open(self) -> bool:
        return self._is_open

    # -- what its owner does ---------------------------------------------------------------------------

    async def open(self, host: str, port: int, *, small_buffer: bool = False) -> None:
        """Raises ``RefusedError`` or ``OSError``; then (and if cancelled) nothing stays open."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        plain = socket.socket(family, socket.SOCK_STREAM)
        try:
            plain.setblocking(False)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if small_buffer:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await loop.sock_connect(plain, (host, port))
                await loop.create_connection(lambda: self, sock=plain)
                await self._opened
        except BaseException as error:
            if self._transport is None:
                plain.close()
            else:
                self._transport.abort()
            if isinstance(error, TimeoutError):
                raise RefusedError("no handshake in time") from None
            raise

    def start(self) -> None:
        """From here on messages are handed on; those that came with the handshake first."""
        early, self._early = self._early or [], None
        for payload in early:
            self._on_payload(payload)

    def send(self, payload: bytes, text: bool) -> None:
        """Sending on a connection that is going is nothing: its end is told anyway."""
        if not self._is_open:
            return
        if text:
            self._sans_io.send_text(payload)
        else:
            self._sans_io.send_binary(payload)
        self._flush()

    def leave(self) -> None:
        if self._is_open:
            self._by, self._is_open = "leave", False
            self.read_again()
            self._sans_io.send_close(1000)
            self._flush()
            self._abort_later()

    def half_close(self) -> None:
        """No goodbye: the server sees an end of file, and everything it wrote is still read."""
        if self._is_open and self._transport is not None:
            self._by, self._is_open = "eof", False
            self.read_again()
            self._transport.write_eof()
            self._abort_later()

    def abort(self) -> None:
        if self._transport is not None:
            if self._is_open:
                self._by, self._is_open = "abort", False
            self._transport.abort()

    def stall(self) -> None:
        if self._is_open and self._transport is not None and not self.stalled:
            self.stalled = True
            self._transport.pause_reading()

    def read_again(self) -> None:
        if self.stalled and self._transport is not None:
            self.stalled = False
            self._transport.resume_reading()

    # -- what the loop does ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        request = self._sans_io.connect()
        request.headers["Authorization"] = f"Bearer {self._token}"
        self._sans_io.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._sans_io.receive_data(data)
        self._take_events()

    def eof_received(self) -> bool:
        self._sans_io.receive_eof()
        self._take_events()
        self._is_open = False  # whatever the server was, it hears no more: killed, it says no goodbye
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_open = False
        if not self._opened.done():
            self._opened.set_exception(RefusedError(f"closed during the handshake: {exc}"))
            return
        if self._opened.cancelled() or self._opened.exception() is not None:
            return
        said = self._sans_io.close_rcvd
        if self._by == "lost" and said is not None:
            self._by = "server"
        elif self._by == "leave" and said is None:
            self._by = "lost"
        self._on_end(self._by, said.code if said is not None else 1006)

    # -- inside ----------------------------------------------------------------------------------------

    def _take_events(self) -> None:
        for event in self._sans_io.events_received():
            if isinstance(event, Response):
                self._handshake()
            elif isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._parts.append(bytes(event.data))
                if event.fin:
                    payload = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
                    self._parts.clear()
                    if self._early is None:
                        self._on_payload(payload)
                    else:
                        self._early.append(payload)
        self._flush()
        if self._sans_io.handshake_exc is not None and not self._opened.done():
            self._handshake()
        if self._sans_io.close_expected():
            self._is_open = False
            self._abort_later()

    def _handshake(self) -> None:
        if self._opened.done():
            return
        refusal = self._sans_io.handshake_exc
        if refusal is None:
            self._is_open = True
            self._opened.set_result(None)
        else:
            self._opened.set_exception(RefusedError(str(refusal)))

    def _flush(self) -> None:
        assert self._transport is not None
        for chunk in self._sans_io.data_to_send():
            if self._transport.is_closing():
                return
            if chunk:
                self._transport.write(chunk)
            elif self._transport.can_write_eof() and self._by != "eof":
                self._transport.write_eof()

    def _abort_later(self) -> None:
        assert self._transport is not None
        asyncio.get_running_loop().call_later(END_TIMEOUT_S, self._transport.abort)
