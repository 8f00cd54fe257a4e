"""Clients on Valkey or Redis that never repeat a command behind our back.

redis-py retries ten times by default, and a timeout doesn't say whether the command ran: one DECR sent
by such a client has been seen to count twice. So retries are off everywhere; whoever may repeat a call
knows it and carries a command id.

What holds: bytes in, bytes out; a call that is cancelled, times out or fails half-way drops its
connection (a connection with an unread reply would hand it to the next caller); an error raised before
the command's first byte was sent is a ``NotSentError``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import hiredis
from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.typing import EncodableT

CONNECTIONS_MAX: Final = 64  # per client; one more call than that is refused as never sent
CALL_TIMEOUT_MS: Final = 5_000  # Guess: far over any deadline of ours; it only frees the connection
CONNECT_TIMEOUT_MS: Final = 2_000


class NotSentError(exceptions.ConnectionError):
    """No connection could be made: the command was never sent, so it certainly didn't run."""


class _CertainConnect(AbstractConnection):
    """Everything that fails while connecting fails before the command is sent; redis-py's own errors
    don't tell that from a connection lost after sending."""

    def pack_command(self, *args: EncodableT) -> list[bytes]:
        """In C, as redis-py does it in its other half: a call of a hundred orders has two hundred arguments,
        and packing them in Python was a third of what it cost us. What C can't pack, redis-py splits ("CONFIG
        SET" is two words) or refuses."""
        if isinstance(args[0], str) and " " not in args[0]:
            try:
                return [hiredis.pack_command(args)]  # type: ignore[arg-type]  # its stub says one argument
            except TypeError:
                pass
        return super().pack_command(*args)

    async def connect_check_health(
        self, check_health: bool = True, retry_socket_connect: bool = True
    ) -> None:
        try:
            await super().connect_check_health(check_health, retry_socket_connect)
        except (exceptions.RedisError, OSError) as error:
            raise NotSentError(str(error)) from error

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        """uvloop says of a connection the peer has just killed that its handler is closed, and says it as a
        RuntimeError. Whether something had been written before is not known.

        redis-py sends under ``asyncio.wait_for``, which in Python 3.11 forgets a cancellation that comes when
        everything is just written: the task would go on for ever. The task itself still counts it."""
        task = asyncio.current_task()
        cancelled = task.cancelling() if task else 0
        try:
            await super().send_packed_command(command, check_health)
        except RuntimeError as error:
            raise exceptions.ConnectionError(str(error)) from error
        if task and task.cancelling() > cancelled:
            await self.disconnect(nowait=True)
            raise asyncio.CancelledError


class _TcpConnection(_CertainConnect, Connection):
    pass


class _UnixConnection(_CertainConnect, UnixDomainSocketConnection):
    pass


class _TlsConnection(_CertainConnect, SSLConnection):
    pass


_OURS: Final[dict[type[AbstractConnection], type[AbstractConnection]]] = {
    Connection: _TcpConnection,
    UnixDomainSocketConnection: _UnixConnection,
    SSLConnection: _TlsConnection,
}


def call_client(
    url: str, *, connections_max: int = CONNECTIONS_MAX, timeout_ms: int = CALL_TIMEOUT_MS
) -> Redis:
    """A client for calls: ``redis://``, ``rediss://`` or ``unix://``. Nothing is connected yet.

    A call raises redis-py's exceptions; ``errors.certainly_not_executed`` sorts them. A cancelled call
    may have run; its connection is dropped. Close it with ``await client.aclose()``."""
    return _client(url, connections_max, timeout_ms / 1000)


def listen_client(url: str, *, connections_max: int = CONNECTIONS_MAX) -> Redis:
    """A client for pub/sub and blocking reads: reading waits without end, so use it for nothing else."""
    return _client(url, connections_max, None)


def _client(url: str, connections_max: int, timeout_s: float | None) -> Redis:
    options: dict[str, Any] = {**parse_url(url)}
    chosen = options.pop("connection_class", Connection)
    options.update(
        connection_class=_OURS[chosen],
        max_connections=connections_max,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=CONNECT_TIMEOUT_MS / 1000,
        socket_timeout=timeout_s,
    )
    return Redis.from_pool(ConnectionPool(**options))
