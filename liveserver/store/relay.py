"""The relay: sharded pub/sub, one channel per room.

Two connections, each with a task that keeps it alive for ever (backoff with full jitter): one listens,
one publishes. Knows the two kinds of message on a channel; what is in a chunk or an event it does not
know.

    E<epoch>-<offset> <payload>   a critical event, published by ``append.lua`` in the step that appends it
    C<chunk>                      whatever a process has packed for a room

What holds: in order per publisher, at most once. Nothing is ever sent twice, so nothing is retried: what
may be lost is counted here, and seen by receivers from the numbering in the chunk and the head. After a
lost connection every room is subscribed again and only then reported to ``on_gap``, so that whoever now
reads the log misses nothing. Publishing never waits for the network and never raises.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from liveserver.store import keys
from liveserver.store.limits import (
    BACKOFF_MS_MAX,
    BACKOFF_MS_MIN,
    CHUNK_BYTES_MAX,
    OUTBOX_BYTES_MAX,
    OUTBOX_CHUNKS_MAX,
    PING_PERIOD_MS,
    PUBLISH_BATCH_MAX,
    PUBLISH_TIMEOUT_MS,
    SILENCE_MS_MAX,
    SUBSCRIBE_TIMEOUT_MS,
)
from liveserver.store.port import RelayChunk, RelayCritical, RelayItem
from liveserver.valkey.connect import CONNECT_TIMEOUT_MS, call_client, listen_client

_log = logging.getLogger(__name__)

T = TypeVar("T")
Receive = Callable[[RelayItem], None]


class RelayCounts:
    """What the relay has seen, ever. Metrics read it."""

    def __init__(self) -> None:
        self.published = 0  # chunks the server took
        self.dropped = 0  # chunks it may not have taken: store away, too slow, or the outbox full
        self.received = 0
        self.malformed = 0
        self.connections_lost = 0
        self.gaps = 0  # rooms reported to ``on_gap``


class _Subscription:
    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.confirmed = asyncio.Event()  # on the present connection
        self.ever_confirmed = False


class ValkeyRelay:
    """``Relay`` on a server at ``url``. ``async with`` starts and ends it.

    ``on_gap(room)`` is called, on the loop, when a room was out of reach and is subscribed again: items may
    be missing. ``receive`` and ``on_gap`` must not block; what they raise is logged and goes no further.
    """

    def __init__(self, url: str, *, on_gap: Callable[[str], None]) -> None:
        self.counts = RelayCounts()
        self._on_gap = on_gap
        self._listen_client = listen_client(url)
        self._publish_client = call_client(url, timeout_ms=PUBLISH_TIMEOUT_MS)
        self._subscriptions: dict[str, _Subscription] = {}
        self._rooms: dict[bytes, str] = {}  # channel -> room
        self._listener: AbstractConnection | None = None
        # SSUBSCRIBEs sent on the present connection and not yet answered; answers come in this order.
        self._unanswered: deque[tuple[str, _Subscription]] = deque()
        self._outbox: deque[tuple[str, bytes]] = deque()
        self._outbox_bytes = 0
        self._outbox_filled = asyncio.Event()
        self._publisher_away = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> ValkeyRelay:
        self._tasks = [
            asyncio.create_task(self._listen_for_ever(), name="relay listener"),
            asyncio.create_task(self._publish_for_ever(), name="relay publisher"),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drops what still waits to be published."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listen_client.aclose()
        await self._publish_client.aclose()

    # -- listening

    async def subscribe(self, room: str, receive: Receive) -> None:
        """Returns when confirmed. A room has one receiver: the last one given.

        Raises ``TimeoutError`` if the store is away for too long; then, and when cancelled, the room is not
        subscribed."""
        subscription = _Subscription(receive)
        self._subscriptions[room] = subscription
        self._rooms[keys.channel(room).encode()] = room
        try:
            if self._listener is not None:
                await self._ask(self._listener, room, subscription)
            async with asyncio.timeout(SUBSCRIBE_TIMEOUT_MS / 1000):
                await subscription.confirmed.wait()
        except BaseException:
            if self._subscriptions.get(room) is subscription:
                self._forget(room)  # the server may still send it: nobody hears, until the next connection
            raise

    async def unsubscribe(self, room: str) -> None:
        """Nothing reaches ``receive`` from here on. Does not wait for the server."""
        if room in self._subscriptions:
            self._forget(room)
            if self._listener is not None:
                await _send(self._listener, "SUNSUBSCRIBE", keys.channel(room))

    def _forget(self, room: str) -> None:
        del self._subscriptions[room]
        del self._rooms[keys.channel(room).encode()]

    async def _ask(self, connection: AbstractConnection, room: str, subscription: _Subscription) -> None:
        self._unanswered.append((room, subscription))
        await _send(connection, "SSUBSCRIBE", keys.channel(room))

    async def _listen_for_ever(self) -> None:
        backoff = _Backoff()
        while True:
            connection = _connection(self._listen_client)
            try:
                await _connect(connection)
                await self._listen(connection, backoff)
            except Exception as error:
                _lost("listening", error)
            finally:
                self._listener = None
                self._unanswered.clear()
                for subscription in self._subscriptions.values():
                    subscription.confirmed.clear()
                await connection.disconnect(nowait=True)
            self.counts.connections_lost += 1
            await backoff.sleep()

    async def _listen(self, connection: AbstractConnection, backoff: _Backoff) -> None:
        self._listener = connection
        pinging = asyncio.create_task(_ping_for_ever(connection))
        try:
            for room, subscription in list(self._subscriptions.items()):
                await self._ask(connection, room, subscription)
            while True:
                answer = await connection.read_response(timeout=SILENCE_MS_MAX / 1000)
                if answer is None:  # so redis-py tells that a timeout it was given has passed
                    raise TimeoutError("the server has fallen silent")
                backoff.reset()
                if isinstance(answer, list):
                    self._heard(answer)
        finally:
            pinging.cancel()

    def _heard(self, answer: list[bytes]) -> None:
        kind, channel = answer[0], answer[1]
        if kind == b"smessage":
            room = self._rooms.get(channel)
            if room is not None:  # else unsubscribed a moment ago
                self._deliver(room, answer[2])
        elif kind == b"ssubscribe":
            room, subscription = self._unanswered.popleft()
            assert keys.channel(room).encode() == channel
            if self._subscriptions.get(room) is subscription:
                self._confirm(room, subscription)

    def _confirm(self, room: str, subscription: _Subscription) -> None:
        again = subscription.ever_confirmed and not subscription.confirmed.is_set()
        subscription.ever_confirmed = True
        subscription.confirmed.set()
        if again:
            self.counts.gaps += 1
            _guarded(self._on_gap, room)

    def _deliver(self, room: str, packed: bytes) -> None:
        item = _unpack(room, packed)
        if item is None:
            self.counts.malformed += 1
            return
        self.counts.received += 1
        _guarded(self._subscriptions[room].receive, item)

    # -- publishing

    async def publish(self, room: str, chunk: bytes) -> bool:
        """True: it waits to be sent, and is sent at most once. False: it is dropped, and counted."""
        full = (
            len(self._outbox) >= OUTBOX_CHUNKS_MAX
            or self._outbox_bytes + len(chunk) > OUTBOX_BYTES_MAX
            or len(chunk) > CHUNK_BYTES_MAX
        )
        if self._publisher_away or full:
            self.counts.dropped += 1
            return False
        self._outbox.append((keys.channel(room), b"C" + chunk))
        self._outbox_bytes += len(chunk)
        self._outbox_filled.set()
        return True

    async def _publish_for_ever(self) -> None:
        backoff = _Backoff()
        while True:
            connection = _connection(self._publish_client)
            try:
                await _connect(connection)
                self._publisher_away = False
                while True:
                    await self._publish_batch(connection)
                    backoff.reset()
            except Exception as error:
                _lost("publishing", error)
            finally:
                await connection.disconnect(nowait=True)
            # What waited is late by now, and viewers elsewhere have moved on.
            self._publisher_away = True
            self.counts.dropped += len(self._outbox)
            self._outbox.clear()
            self._outbox_filled.clear()
            self._outbox_bytes = 0
            self.counts.connections_lost += 1
            await backoff.sleep()

    async def _publish_batch(self, connection: AbstractConnection) -> None:
        await self._outbox_filled.wait()
        batch = [self._outbox.popleft() for _ in range(min(PUBLISH_BATCH_MAX, len(self._outbox)))]
        self._outbox_bytes -= sum(len(packed) - 1 for _, packed in batch)
        if not self._outbox:
            self._outbox_filled.clear()
        answered = 0
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_MS / 1000):
                await connection.send_packed_command(
                    connection.pack_commands([("SPUBLISH", channel, packed) for channel, packed in batch])
                )
                for _ in batch:
                    await connection.read_response()
                    answered += 1
        finally:
            self.counts.published += answered
            self.counts.dropped += len(batch) - answered


class _Backoff:
    """Full jitter: anything between 0 and a bound that doubles."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._bound_ms = BACKOFF_MS_MIN

    async def sleep(self) -> None:
        await asyncio.sleep(random.uniform(0, self._bound_ms) / 1000)
        self._bound_ms = min(self._bound_ms * 2, BACKOFF_MS_MAX)


_NETWORK = (RedisError, OSError, TimeoutError)


def _lost(doing: str, error: Exception) -> None:
    # Anything but the network is a fault of ours: told in full, and mended by a new connection all the same.
    ours = not isinstance(error, _NETWORK)
    _log.warning("relay: not %s: %s: %s", doing, type(error).__name__, error, exc_info=ours)


def _connection(client: Redis) -> AbstractConnection:
    """A connection of our own with the client's settings: no pool hands it to anyone else."""
    pool = client.connection_pool
    connection: AbstractConnection = pool.connection_class(**pool.connection_kwargs)
    return connection


async def _connect(connection: AbstractConnection) -> None:
    # redis-py bounds the socket's connecting, not the greeting: a stopped server would hold us for ever.
    async with asyncio.timeout(CONNECT_TIMEOUT_MS / 1000):
        await connection.connect()  # type: ignore[no-untyped-call]


async def _ping_for_ever(connection: AbstractConnection) -> None:
    while True:
        await asyncio.sleep(PING_PERIOD_MS / 1000)
        await _send(connection, "PING")


async def _send(connection: AbstractConnection, *command: str) -> None:
    """Writes, if there is a connection to write to: a lost one is noticed, and mended, by its reader."""
    if connection.is_connected:
        try:
            await connection.send_command(*command)
        except _NETWORK:
            pass


def _unpack(room: str, packed: bytes) -> RelayItem | None:
    if packed.startswith(b"C"):
        return RelayChunk(room=room, chunk=packed[1:])
    if packed.startswith(b"E"):
        position, _, payload = packed[1:].partition(b" ")
        epoch, _, offset = position.partition(b"-")
        if epoch.isdigit() and offset.isdigit():
            return RelayCritical(room=room, epoch=int(epoch), offset=int(offset), payload=payload)
    return None


def _guarded(callback: Callable[[T], None], argument: T) -> None:
    try:
        callback(argument)
    except Exception:
        _log.exception("relay: a callback failed")
