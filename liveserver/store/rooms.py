"""Rooms in Valkey: the thin shell around the scripts of ``lua/``.

Knows keys, arguments and shapes of replies; what an event or a state key means it does not know. All
rules (compare-and-set, epochs, folding of figures) stand in the scripts, each in one atomic step.

What holds: within an epoch the offsets of a room are gapless and none is given twice; a command id
appends once, for as long as it is among the last ``COMMANDS_MAX``; nothing this process has seen of a
room is ever contradicted under the same epoch, for each call carries the highest (epoch, head) seen.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis

from liveserver.store import keys
from liveserver.store.limits import (
    CHANGES_MAX,
    COMMANDS_MAX,
    FRESH_MS,
    LOG_EVENTS_MAX,
    PAYLOAD_BYTES_MAX,
    ROOMS_SEEN_MAX,
    SALES_MAX,
    SILENT_PROCESSES_MAX,
)
from liveserver.store.port import Appended, Beat, HeadMoved, LoadedRoom, StoredEvent
from liveserver.valkey.scripts import Script
from liveserver.valkey.server import server_facts

LUA = files("liveserver.store") / "lua"
_APPEND = Script.read(LUA, "append.lua")
_FIND = Script.read(LUA, "find.lua")
_LOAD = Script.read(LUA, "load.lua")
_READ_AFTER = Script.read(LUA, "read_after.lua")
_BEAT = Script.read(LUA, "beat.lua")
_ANNOUNCE_SALE = Script.read(LUA, "announce_sale.lua")

ServerTimeSample = Callable[[float, float, int], None]


class ValkeyRoomStore:
    """``RoomStore`` on a client of ``valkey.connect.call_client``, which the caller closes.

    Every coroutine raises redis-py's exceptions (``valkey.errors`` tells which certainly did nothing). A
    cancelled or timed-out ``append`` may have run: repeat it with the same command id; the others may be
    repeated as they are.

    ``on_server_time(sent_ms, received_ms, server_ms)`` hears, with each beat, the server's wall clock and
    when, by ``time.monotonic``, it was asked and had answered.
    """

    def __init__(
        self,
        client: Redis,
        *,
        on_server_time: ServerTimeSample | None = None,
        log_events_max: int = LOG_EVENTS_MAX,
        commands_max: int = COMMANDS_MAX,
        fresh_ms: int = FRESH_MS,
        silent_processes_max: int = SILENT_PROCESSES_MAX,
    ) -> None:
        self._client = client
        self._on_server_time = on_server_time
        self._log_events_max = log_events_max
        self._commands_max = commands_max
        self._fresh_ms = fresh_ms
        self._silent_processes_max = silent_processes_max
        self._seen: OrderedDict[str, tuple[int, int]] = OrderedDict()

    async def append(
        self,
        room: str,
        *,
        epoch: int,
        expected_head: int,
        command_id: str,
        payload: bytes,
        changes: Mapping[str, bytes | None],
    ) -> Appended | HeadMoved:
        if len(payload) > PAYLOAD_BYTES_MAX or len(changes) > CHANGES_MAX:
            raise ValueError(f"an event of {len(payload)} bytes changing {len(changes)} keys is too large")
        pairs: list[str | bytes] = []
        deletes: list[str] = []
        for key, content in changes.items():
            if content is None:
                deletes.append(key)
            else:
                pairs += (key, content)
        answer = await _APPEND.call(
            self._client,
            (keys.meta(room), keys.log(room), keys.state(room), keys.commands(room)),
            (
                epoch,
                expected_head,
                command_id,
                payload,
                self._log_events_max,
                self._commands_max,
                keys.channel(room),
                len(pairs) // 2,
                *pairs,
                *deletes,
            ),
        )
        kind, epoch_now, offset = answer
        if kind == b"moved":
            self._saw(room, epoch_now, offset)
            return HeadMoved(epoch=epoch_now, head=offset)
        if kind == b"appended":
            self._saw(room, epoch_now, offset)
        return Appended(epoch=epoch_now, offset=offset, duplicate=kind == b"duplicate")

    async def find(self, room: str, command_id: str) -> Appended | None:
        found = await _FIND.call(self._client, (keys.meta(room), keys.commands(room)), (command_id,))
        return None if found is None else Appended(epoch=found[0], offset=found[1], duplicate=True)

    async def load(self, room: str, *, history: int) -> LoadedRoom:
        facts = await server_facts(self._client)
        epoch, head, flat, entries = await _LOAD.call(
            self._client,
            (keys.meta(room), keys.log(room), keys.state(room)),
            (*self._seen_of(room), history, facts.run_id, int(facts.fsynced)),
        )
        self._saw(room, epoch, head)
        return LoadedRoom(
            epoch=epoch,
            head=head,
            state={key.decode(): content for key, content in zip(flat[::2], flat[1::2], strict=True)},
            history=[_event(entry) for entry in reversed(entries)],
        )

    async def read_after(self, room: str, *, epoch: int, offset: int, limit: int) -> list[StoredEvent] | None:
        entries = await _READ_AFTER.call(
            self._client, (keys.meta(room), keys.log(room)), (epoch, offset, limit)
        )
        return None if entries is None else [_event(entry) for entry in entries]

    async def beat(self, room: str, *, process: str, viewers: int, likes: int, demand: int = 0) -> Beat:
        sent_ms = time.monotonic() * 1000
        seen = self._seen_of(room)
        epoch, head, viewers_all, likes_all, demand_all, processes, now_ms, sales = await _BEAT.call(
            self._client,
            (keys.meta(room), keys.figures(room), keys.fresh(room), keys.silent(room), keys.sales(room)),
            (process, viewers, likes, demand, *seen, self._fresh_ms, self._silent_processes_max),
        )
        if self._on_server_time is not None:
            self._on_server_time(sent_ms, time.monotonic() * 1000, now_ms)
        self._saw(room, epoch, head)
        return Beat(
            epoch=epoch,
            head=head,
            viewers=viewers_all,
            likes=likes_all,
            demand=demand_all,
            processes=processes,
            sales=[sale_id.decode() for sale_id in sales],
        )

    async def announce_sale(self, room: str, sale_id: str) -> None:
        await _ANNOUNCE_SALE.call(self._client, (keys.sales(room),), (sale_id, SALES_MAX))

    async def is_announced(self, room: str, sale_id: str) -> bool:
        return await self._client.zscore(keys.sales(room), sale_id) is not None

    async def ping(self) -> None:
        await self._client.ping()

    def _seen_of(self, room: str) -> tuple[int, int]:
        return self._seen.get(room, (0, 0))

    def _saw(self, room: str, epoch: int, head: int) -> None:
        self._seen[room] = max(self._seen_of(room), (epoch, head))
        self._seen.move_to_end(room)
        if len(self._seen) > ROOMS_SEEN_MAX:
            self._seen.popitem(last=False)


def _event(entry: Any) -> StoredEvent:
    """``[id, [b"command", …, b"payload", …]]``"""
    event_id, fields = entry
    return StoredEvent(offset=int(event_id.partition(b"-")[2]), payload=fields[3])
