"""Listening: uvicorn's server with our door in front, inside a running loop.

This owns the listening socket and the keepalive's beat. It installs no signal handlers and no logging:
who runs the process decides both.
"""

from __future__ import annotations

import asyncio
import logging
import socket as sockets
from typing import Any

import uvicorn
from uvicorn.config import Config

from liveserver.core.clock import Clock
from liveserver.edge.door import FrontDoor
from liveserver.edge.handshake import Rules
from liveserver.edge.keepalive import Keepalive
from liveserver.edge.listening import bound, tune
from liveserver.edge.metrics import Metrics
from liveserver.edge.owner import SocketOwner

BACKLOG = 2048
STOP_SECONDS_MAX = 5  # for open requests and closing handshakes; then everything left is cut
KEEP_ALIVE_SECONDS = 20

log = logging.getLogger(__name__)


class _Uvicorn(uvicorn.Server):
    """uvicorn's, but it says when it listens."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[sockets.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class Serving:
    """A server that listens. ``host`` and ``port`` are the bound ones."""

    def __init__(self, uvicorn_server: _Uvicorn, front: FrontDoor, listener: sockets.socket) -> None:
        self.front = front
        self.host: str = listener.getsockname()[0]
        self.port: int = listener.getsockname()[1]
        self._uvicorn = uvicorn_server
        self._task = asyncio.create_task(uvicorn_server._serve([listener]), name="uvicorn")
        self._beat = asyncio.create_task(front.keepalive.run(), name="keepalive")

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def started(self) -> None:
        """Return once connections are taken; raises what kept the server from listening."""
        listening = asyncio.create_task(self._uvicorn.listening.wait())
        await asyncio.wait({listening, self._task}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if self._task.done():
            await self._task

    def stop_accepting(self) -> None:
        """Take no new connections; those that are there go on. Whoever else holds the listening socket takes
        what waits in its queue: nobody is refused."""
        for listening in self._uvicorn.servers:
            listening.close()

    async def stop(self, seconds_max: float = STOP_SECONDS_MAX, hurry: asyncio.Event | None = None) -> None:
        """Listen no more, close every socket 1001, let requests end; at most ``seconds_max``, or until
        somebody is in a ``hurry``, then cut what is left. Cancelled, it has begun all that, and what is left
        is cut at once."""
        self._uvicorn.should_exit = True
        hurrying = asyncio.create_task((hurry or asyncio.Event()).wait())
        try:
            await asyncio.wait(
                {self._task, hurrying}, timeout=seconds_max, return_when=asyncio.FIRST_COMPLETED
            )
            if self._task.done():
                self._task.result()
        finally:
            self._cut()
            self._task.cancel()
            self._beat.cancel()
            hurrying.cancel()
            await asyncio.gather(self._task, self._beat, hurrying, return_exceptions=True)

    async def wait(self) -> None:
        """Return when the server has ended, by ``stop`` or by an error, which is raised here."""
        await asyncio.shield(self._task)

    def _cut(self) -> None:
        connections: set[Any] = self._uvicorn.server_state.connections
        for connection in list(connections):
            transport = getattr(connection, "transport", None) or getattr(connection, "_transport", None)
            if transport is not None:
                transport.abort()


async def serve(
    app: Any,
    owner: SocketOwner,
    host: str,
    port: int,
    *,
    clock: Clock,
    rules: Rules | None = None,
    keepalive: Keepalive | None = None,
    metrics: Metrics | None = None,
    listener: sockets.socket | None = None,
) -> Serving:
    """Listen on ``host:port`` (0: any free port) and return once connections are taken. ``app`` is the ASGI
    application for ordinary HTTP. Raises ``OSError`` if the address can't be had; then, and if cancelled,
    nothing is left behind."""
    if listener is None:
        listener = bound(host, port)
    tune(listener)
    front = FrontDoor(owner, keepalive or Keepalive(clock), clock, rules or Rules())
    if metrics is not None:
        front.measured_by(metrics)
    config = Config(
        app,
        http=front.protocol_class(),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS_MAX,
    )
    serving = Serving(_Uvicorn(config), front, listener)
    try:
        await serving.started()
    except BaseException:
        listener.close()
        await serving.stop()
        raise
    return serving
