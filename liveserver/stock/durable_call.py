"""A script that writes, called so that its answer is known to have reached what was promised.

Knows which proof belongs to which promise; knows nothing of sales. One call is one write to one connection,
read to the end:

    memory       script
    fsynced      script, CONFIG GET               both are answered behind the fsync; was it still ``always``?
    replicated   script, [CONFIG GET,] SET, WAIT  how many replicas have all of it?

What holds: an answer below what was asked is never given. Such a call has run, so it is
``LedgerPendingError``; its repetition proves anew. The SET is a write of our own behind the script: WAIT
counts from its connection's last write, and a script that only repeats what it said before writes nothing.
A refusal, by which nothing was done, needs no proof.

WAIT holds its connection until the replicas answer: each call has one of the client's pool for itself.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from liveserver.stock.durability import Promise
from liveserver.stock.port import Durability, LedgerPendingError, LedgerUnavailableError
from liveserver.valkey.errors import certainly_not_executed
from liveserver.valkey.scripts import Script
from liveserver.valkey.server import (
    ASK_FSYNC,
    ServerFacts,
    ServerTooOldError,
    fsyncs_every_write,
    server_facts,
)

FACTS_KEPT_S: Final = 5.0  # a store that has become better is noticed by then; a worse one at once
FENCE_KEPT_MS: Final = 60_000  # the fence itself means nothing; it goes away again

log = structlog.get_logger(__name__)


class DurableCalls:
    def __init__(self, client: Redis, promise: Promise) -> None:
        self._client = client
        self._promise = promise
        self._facts: ServerFacts | None = None
        self._read_at_s = 0.0
        self._said: tuple[Durability | None, str] | None = None

    async def facts(self) -> ServerFacts:
        """Of a server that can keep the promise, else ``LedgerUnavailableError`` with the reason. Kept for
        ``FACTS_KEPT_S``, or until ``forget``. Safe to cancel."""
        now_s = time.monotonic()
        if self._facts is None or now_s - self._read_at_s > FACTS_KEPT_S:
            try:
                facts = await server_facts(self._client)
            except (RedisError, OSError, ServerTooOldError) as error:
                raise LedgerUnavailableError(str(error)) from error
            unkept = self._promise.unkept_by(facts)
            self._say(None if unkept else self._promise.offered_by(facts), unkept)
            if unkept:
                self._facts = None
                raise LedgerUnavailableError(unkept)
            self._facts, self._read_at_s = facts, now_s
        return self._facts

    def forget(self) -> None:
        """The server has changed: its facts are read again before the next call."""
        self._facts = None

    async def call(
        self, script: Script, keys: Sequence[str], arguments: Sequence[str | int], *, fence_key: str
    ) -> tuple[list[Any], Durability]:
        """The script's reply (its first element a word, ``ok`` if it did what was asked) and what it had
        reached. Raises ``LedgerUnavailableError`` (certainly nothing was done) or ``LedgerPendingError``.
        Cancelled: it may have run, and its connection is dropped."""
        facts = await self.facts()
        replicated = self._promise.asked is Durability.REPLICATED
        proofs: list[tuple[str | int, ...]] = []
        if facts.fsynced:
            proofs.append(ASK_FSYNC)
        if replicated:
            proofs.append(("SET", fence_key, 1, "PX", FENCE_KEPT_MS))
            proofs.append(("WAIT", self._promise.replicas, self._promise.wait_ms))
        try:
            if not proofs:
                return await script.call(self._client, keys, arguments), Durability.MEMORY
            reply, proved = await script.call_with(self._client, keys, arguments, proofs)
        except (RedisError, OSError) as error:
            if certainly_not_executed(error):
                raise LedgerUnavailableError(str(error)) from error
            raise LedgerPendingError(str(error)) from error
        reached = Durability.MEMORY
        if facts.fsynced and fsyncs_every_write(proved[0]):
            reached = Durability.FSYNCED
        elif facts.fsynced:
            self.forget()
        if replicated and _acknowledged(*proved[-2:]) >= self._promise.replicas:
            reached = Durability.REPLICATED
        elif replicated:
            self.forget()
        if reply[0] == b"ok" and not self._promise.kept_by(reached):
            raise LedgerPendingError(f"done, but {reached} is all that could be proved")
        return reply, reached

    def _say(self, offered: Durability | None, unkept: str) -> None:
        """Each change once."""
        if (offered, unkept) == self._said:
            return
        if unkept:
            log.error("nothing is sold", why=unkept)
        elif self._said is not None:
            log.warning("what answers have reached has changed", durability=offered)
        self._said = (offered, unkept)


def _acknowledged(fence: object, count: object) -> int:
    """By so many replicas. A fence that was refused leaves WAIT nothing to count."""
    return count if isinstance(count, int) and not isinstance(fence, Exception) else 0
