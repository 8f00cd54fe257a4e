"""Ordinary HTTP on the port of the sockets: uvicorn's own protocol, with what it lacks between requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from liveserver.edge.keepalive import Keepalive

KEPT_HEAD_BYTES_MAX = 64 * 1024  # a next head, and what is left of a body that nobody read


class PlainHttp(HttpToolsProtocol):
    """uvicorn's own HTTP, with two things of ours for a kept-alive connection. An upgrade on it (proxies
    reuse theirs) goes back to a door instead of to a WebSocket class of uvicorn's. And the next request's
    head is owed in time and inside a limit as the first one's was: uvicorn sets neither."""

    def __init__(
        self,
        new_door: Callable[[], asyncio.Protocol],
        keepalive: Keepalive,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._new_door = new_door
        self._keepalive = keepalive
        self._head_bytes = 0  # since the last request was answered

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._head_bytes = 0
            self._keepalive.arrived(self)
            return
        if self._head_bytes == 0:
            self._keepalive.arriving(self)
        self._head_bytes += len(data)
        if self._head_bytes > KEPT_HEAD_BYTES_MAX:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._keepalive.arrived(self)
        super().connection_lost(exc)

    def overdue(self) -> None:
        """The next head was begun and did not come in time (the keepalive calls this)."""
        self.transport.abort()

    def _should_upgrade_to_ws(self) -> bool:
        return True

    def handle_websocket_upgrade(self) -> None:
        self.connections.discard(self)
        self._keepalive.arrived(self)
        unanswered = self.cycle is not None and not self.cycle.response_complete
        if unanswered or self.transport.get_write_buffer_size():
            # An upgrade behind an answer that isn't there, or that he hasn't read: nobody honest does that. A
            # socket begins with nothing before it: a transport that is full already doesn't say so again.
            self.transport.abort()
            return
        head = [f"{self.scope['method']} ".encode(), self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            head += [name, b": ", value, b"\r\n"]
        door = self._new_door()
        door.connection_made(self.transport)
        self.transport.set_protocol(door)
        door.data_received(b"".join([*head, b"\r\n"]))
