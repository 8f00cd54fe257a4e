"""What we must know of the server we talk to, read on connect."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

VERSION_MIN: Final = (7, 0)  # XRANGE's exclusive ids, sharded pub/sub, ``#!lua`` scripts
REPLICA_LAG_S_MAX: Final = 10  # Source: the servers' own min-replicas-max-lag
ASK_FSYNC: Final = ("CONFIG", "GET", "appendonly", "appendfsync")


class ServerTooOldError(Exception):
    """Says which server was found and what is needed."""


class ServerFacts(msgspec.Struct, frozen=True):
    product: str  # "valkey" or "redis"
    version: tuple[int, ...]  # of that product
    run_id: str  # 40 hex digits; another one means the server was restarted, or is another server
    appendonly: bool
    appendfsync: str  # always, everysec, no; "" where the server won't say
    maxmemory_policy: str  # noeviction, allkeys-lru, …
    replicas: int = 0  # connected, with all the data, and heard of in the last REPLICA_LAG_S_MAX
    cluster: bool = False

    @property
    def fsynced(self) -> bool:
        """An acknowledged write is on disk. (Under ``everysec`` even WAITAOF has been seen to answer
        before any fsync, so nothing less than ``always`` counts.)"""
        return self.appendonly and self.appendfsync == "always"

    @property
    def evicts(self) -> bool:
        """The server would rather lose keys of ours than refuse a write."""
        return self.maxmemory_policy.startswith("allkeys-")


async def server_facts(client: Redis) -> ServerFacts:
    """Raises ``ServerTooOldError``, or redis-py's exceptions. Safe to cancel."""
    info: dict[str, Any] = await client.info()
    compatible = _version(info.get("redis_version", "0"))
    product = "valkey" if "valkey_version" in info else "redis"
    version = _version(info.get("valkey_version", info.get("redis_version", "0")))
    if compatible < VERSION_MIN:
        found = ".".join(map(str, version))
        needed = ".".join(map(str, VERSION_MIN))
        raise ServerTooOldError(
            f"{product} {found} is too old: liveserver needs Valkey, or Redis >= {needed}"
        )
    return ServerFacts(
        product=product,
        version=version,
        run_id=str(info["run_id"]),
        appendonly=bool(info.get("aof_enabled", 0)),
        appendfsync=await _config(client, "appendfsync"),
        maxmemory_policy=str(info.get("maxmemory_policy", "")),
        replicas=_replicas(info),
        cluster=bool(info.get("cluster_enabled", 0)),
    )


def fsyncs_every_write(answer: object) -> bool:
    """The raw answer of ``ASK_FSYNC``, asked behind a write on its connection: was that write on disk before
    it was answered? False for whatever can't be read so (a refusal: hosted servers hide CONFIG)."""
    if not isinstance(answer, list):
        return False
    setting = dict(zip(answer[::2], answer[1::2], strict=False))
    return setting.get(b"appendonly") == b"yes" and setting.get(b"appendfsync") == b"always"


def _replicas(info: dict[str, Any]) -> int:
    known = (info.get(f"slave{number}") for number in range(int(info.get("connected_slaves", 0))))
    return sum(
        isinstance(one, dict) and one.get("state") == "online" and int(one.get("lag", 0)) <= REPLICA_LAG_S_MAX
        for one in known
    )


async def _config(client: Redis, name: str) -> str:
    try:
        answer: dict[Any, Any] = await client.config_get(name)
    except ResponseError:  # hosted servers hide CONFIG
        return ""
    for value in answer.values():
        return value.decode() if isinstance(value, bytes) else value
    return ""


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in str(text).split(".") if part.isdigit())
