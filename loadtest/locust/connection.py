"""One WebSocket over a gevent socket: ``websockets``' Sans-I/O protocol, fed and drained by greenlets.

It reads whole messages and writes whole messages; it knows no command and no room. One greenlet reads, any
may write: bytes of one message are never parted by another's.
"""

from __future__ import annotations

from typing import Final

import gevent
from gevent import socket, ssl
from gevent.lock import BoundedSemaphore
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from protocol.client.limits import FRAME_BYTES_MAX
from protocol.close import Close
from protocol.codec import Codec

IO_TIMEOUT_S: Final = 10.0  # of connecting, of the handshake, and of a server that takes no bytes
READ_BYTES: Final = 64 * 1024
DATA: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class Refused(Exception):
    """The handshake came to nothing."""

    def __init__(self, why: str, *, comes_back: bool, retry_ms: int = 0) -> None:
        super().__init__(why)
        self.comes_back = comes_back  # may another attempt succeed?
        self.retry_ms = retry_ms


class Connection:
    """Open from the start: ``Refused`` if it can't be. Killed on the way: no socket stays open."""

    def __init__(self, url: str, token: str, codec: Codec) -> None:
        self._codec = codec
        self._uri = parse_uri(url)
        self._protocol = ClientProtocol(
            self._uri,
            extensions=[ClientPerMessageDeflateFactory(client_no_context_takeover=True)],
            subprotocols=[Subprotocol(codec.subprotocol)],
            max_size=FRAME_BYTES_MAX,
        )
        self._writing = BoundedSemaphore(1)
        self._parts: list[bytes] = []
        self._early: list[bytes] = []  # messages that came with the handshake's answer
        try:
            self._socket = self._connected()
        except OSError as error:
            raise Refused(f"no connection: {error.strerror or error}", comes_back=True) from error
        try:
            self._shake_hands(token)
        except BaseException:
            self._socket.close()
            raise

    @property
    def over(self) -> bool:
        return self._protocol.state is State.CLOSED

    @property
    def close_code(self) -> int:
        return self._protocol.close_code or Close.ABNORMAL

    def read(self, timeout_s: float) -> list[bytes]:
        """The whole messages that came; none, if ``timeout_s`` passed or the connection is ``over``."""
        if self._early:
            early, self._early = self._early, []
            return early
        received: bytes | None = None
        with gevent.Timeout(timeout_s, False):
            try:
                received = self._socket.recv(READ_BYTES)
            except OSError:
                received = b""
        if received is None:
            return []
        return self._taken(received)

    def send(self, payload: bytes) -> None:
        """Sending on a connection that is going is nothing: its end is read anyway."""
        if self._protocol.state is not State.OPEN:
            return
        if self._codec.text:
            self._protocol.send_text(payload)
        else:
            self._protocol.send_binary(payload)
        self._flush()

    def close(self, code: int = Close.NORMAL) -> None:
        """Say goodbye and go, without waiting for an answer."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code)
            self._flush()
        self._socket.close()

    # -- inside ----------------------------------------------------------------------------------------

    def _connected(self) -> socket.socket:
        plain = socket.create_connection((self._uri.host, self._uri.port), timeout=IO_TIMEOUT_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._uri.secure:
            return plain
        try:
            return ssl.create_default_context().wrap_socket(plain, server_hostname=self._uri.host)
        except BaseException:
            plain.close()
            raise

    def _shake_hands(self, token: str) -> None:
        request = self._protocol.connect()
        request.headers["Authorization"] = f"Bearer {token}"
        self._protocol.send_request(request)
        self._flush()
        with gevent.Timeout(IO_TIMEOUT_S, Refused("no handshake in time", comes_back=True)):
            while self._protocol.state is State.CONNECTING and self._protocol.handshake_exc is None:
                try:
                    received = self._socket.recv(READ_BYTES)
                except OSError as error:
                    raise Refused(f"lost in the handshake: {error}", comes_back=True) from error
                self._early += self._taken(received)
        if self._protocol.handshake_exc is not None:
            raise _refused(self._protocol.handshake_exc)

    def _taken(self, received: bytes) -> list[bytes]:
        if received:
            self._protocol.receive_data(received)
        elif self._protocol.state is not State.CLOSED:
            self._protocol.receive_eof()
        payloads = []
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode in DATA:
                self._parts.append(bytes(event.data))
                if event.fin:
                    payloads.append(b"".join(self._parts))
                    self._parts.clear()
        self._flush()
        return payloads

    def _flush(self) -> None:
        with self._writing:
            for waiting in self._protocol.data_to_send():
                try:
                    if waiting:
                        self._socket.sendall(waiting)
                    else:
                        self._socket.shutdown(socket.SHUT_WR)
                except OSError:
                    return  # gone: whoever reads is told


def _refused(error: Exception) -> Refused:
    if not isinstance(error, InvalidStatus):
        lost = isinstance(error, InvalidMessage) or not isinstance(error, InvalidHandshake)
        return Refused(str(error), comes_back=lost)
    status, after = error.response.status_code, error.response.headers.get("Retry-After", "")
    retry_ms = int(after) * 1_000 if after.isdigit() and len(after) < 7 else 0
    return Refused(f"HTTP {status}", comes_back=status >= 500 or status == 429, retry_ms=retry_ms)
