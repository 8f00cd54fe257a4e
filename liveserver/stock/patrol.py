"""Finds the sales nobody watches and sweeps those in which something is due.

A process sweeps the sales of the rooms it holds (``sweeper.py``). A sale whose rooms are all empty, or which
never had one, is held by nobody: its holds would stay held past their due, and it would stay open past its
closing time, until somebody came. So every process walks all sales of the store now and then, with two cheap
questions each, and sweeps what it finds. Several processes doing so is harmless.

A restart of the store is something too: whether a sale may go on is decided by the first call that acts on
it (``lua/parts/fences.lua``), and until then one that must be frozen would pass for open. So the walk after a
restart sweeps every running sale once, and the log tells the operator of those that are frozen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from liveserver.core.clock import Clock
from liveserver.stock.sales import sales_with
from liveserver.stock.scripts import keys_of

# So long at most, and a sweep, what nobody watches stays held past its due. Measured: a walk over 20,000
# sales (120,000 keys) costs the store 0.2 s of its time and us 0.7 s, 6 ms a page.
PERIOD_MS: Final = 10_000

RUNNING: Final = (b"open", b"paused")

log = structlog.get_logger(__name__)


class Patrol:
    """``sweep`` gets the sales in which something is due; it must not raise."""

    def __init__(
        self,
        client: Redis,
        clock: Clock,
        sweep: Callable[[Collection[str]], Awaitable[None]],
        *,
        period_ms: int = PERIOD_MS,
    ) -> None:
        self._client = client
        self._clock = clock
        self._sweep = sweep
        self._period_ms = period_ms

    async def run(self) -> None:
        """Until cancelled, which is safe at any point. Begins at once: much may be due after a restart."""
        while True:
            await self.beat()
            await self._clock.sleep_ms(self._period_ms)

    async def beat(self) -> None:
        """One walk. A store that is away is left for the next one."""
        try:
            async for page in sales_with(self._client, "meta"):
                due = await with_something_due(self._client, page, self._clock.now_ms())
                if due:
                    await self._sweep(due)
        except (RedisError, OSError) as error:
            log.warning("the sales nobody watches could not be looked at", why=str(error))


async def with_something_due(client: Redis, sale_ids: Sequence[str], now_ms: int) -> list[str]:
    """Those with a hold past its due, those past their closing time that are not closed, those in which
    somebody waits in line, and those that run and in which nothing was done since the store's restart. It
    only reads, in one round trip. Raises redis-py's exceptions."""
    async with client.pipeline(transaction=False) as asked:
        asked.info("server")
        for sale_id in sale_ids:
            meta, _, _, due, _, line = keys_of(sale_id)
            asked.hmget(meta, ["status", "closes", "pinned_ms", "run", "rebuilding"])
            asked.zrange(due, 0, 0, withscores=True)
            asked.zcard(line)
        server, *replies = await asked.execute()
    run_now = server["run_id"].encode()
    found = []
    for nth, sale_id in enumerate(sale_ids):
        (status, closes, pinned, run, rebuilding), oldest, waiting = replies[3 * nth : 3 * nth + 3]
        at_ms = int(pinned or now_ms)  # FEED.md: a test's clock
        over = closes is not None and int(closes) <= at_ms
        restarted = status in RUNNING and run != run_now and rebuilding != b"1"
        overdue = bool(oldest) and oldest[0][1] <= at_ms
        if overdue or restarted or (status != b"closed" and (over or waiting)):
            found.append(sale_id)
    return found
