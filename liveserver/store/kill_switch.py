"""The switch that freezes every sale, as one hash in the store: it outlives every process.

``claims`` say which sales are being frozen, and until when their holders are being told: what a process left
half done when it died is found there by the next one.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from redis.asyncio import Redis

SWITCH: Final = "{kill_switch}:switch"
CLAIMS: Final = "{kill_switch}:claims"  # zset: sale id -> when its holders were last being told, ms
LEASE: Final = "{kill_switch}:lease"  # the process that goes through all sales
LEASE_MS: Final = 5_000


class Thrown(msgspec.Struct, frozen=True):
    """The switch, on. ``done``: a pass over all sales found nothing left to freeze."""

    at_ms: int
    actor: str
    command_id: str
    reason: str
    done: bool = False
    frozen: int = 0  # sales, by all passes so far
    failed: tuple[str, ...] = ()  # in the last pass: sale and why


class KillSwitchStore:
    """Raises redis-py's exceptions. All may be repeated as they are, also after they were cancelled."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def read(self) -> Thrown | None:
        fields: Any = await self._client.hgetall(SWITCH)
        if b"at" not in fields:
            return None  # a late report of what has been lifted
        text = {name.decode(): value.decode() for name, value in fields.items()}
        return Thrown(
            at_ms=int(text["at"]),
            actor=text["actor"],
            command_id=text["command"],
            reason=text["reason"],
            done=text.get("done") == "1",
            frozen=int(text.get("frozen", "0")),
            failed=tuple(text["failed"].split("\n")) if text.get("failed") else (),
        )

    async def throw(self, *, at_ms: int, actor: str, command_id: str, reason: str) -> None:
        """On it stays as it is, but goes through all sales once more."""
        fields: dict[str, str | int] = {"at": at_ms, "actor": actor, "command": command_id, "reason": reason}
        async with self._client.pipeline(transaction=True) as pipe:
            for name, value in fields.items():
                pipe.hsetnx(SWITCH, name, value)
            pipe.hset(SWITCH, "done", "0")
            await pipe.execute()

    async def lift(self) -> bool:
        """Whether it was on."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.delete(SWITCH)
            pipe.delete(CLAIMS, LEASE)
            was_on, _ = await pipe.execute()
        return bool(was_on)

    async def report(self, *, frozen: int, failed: list[str], done: bool) -> None:
        """What a pass came to. ``done`` is only noted while the switch is on."""
        if not await self._client.exists(SWITCH):
            return
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hincrby(SWITCH, "frozen", frozen)
            pipe.hset(SWITCH, mapping={"failed": "\n".join(failed), "done": "1" if done else "0"})
            await pipe.execute()

    async def lease(self, process: str) -> bool:
        """Is it this process that goes through all sales now?"""
        if await self._client.set(LEASE, process, nx=True, px=LEASE_MS):
            return True
        if await self._client.get(LEASE) != process.encode():
            return False
        await self._client.pexpire(LEASE, LEASE_MS)
        return True

    async def claim(self, sale_id: str, now_ms: int) -> bool:
        """It is going to be frozen, and its holders told. False: somebody has said so already."""
        return bool(await self._client.zadd(CLAIMS, {sale_id: now_ms}, nx=True))

    async def still_telling(self, sale_id: str, now_ms: int) -> None:
        await self._client.zadd(CLAIMS, {sale_id: now_ms})

    async def claimed(self, sale_id: str) -> int | None:
        """When that was last said, in ms; None: it wasn't, or they have been told."""
        said: float | None = await self._client.zscore(CLAIMS, sale_id)
        return None if said is None else int(said)

    async def claims(self) -> int:
        count: int = await self._client.zcard(CLAIMS)
        return count

    async def told(self, sale_id: str) -> None:
        await self._client.zrem(CLAIMS, sale_id)
