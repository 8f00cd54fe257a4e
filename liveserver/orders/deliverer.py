"""All sales of a store, to one order service: each is delivered by whichever process has its lease.

Start several: they share the sales among them, and what a killed one left is another's when its lease has run
out. A process has a lease only while there is something to deliver.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from liveserver.core.clock import Clock
from liveserver.orders import limits
from liveserver.orders.attempts import Patience
from liveserver.orders.delivery import SaleDelivery, Throttle, Totals
from liveserver.orders.lag import waiting
from liveserver.orders.store import GroupFeed, LeaseLostError, make_group
from liveserver.stock.sales import SALES_MAX, TooManySalesError, sales_with

log = structlog.get_logger(__name__)


class Deliverer:
    """``owner`` names this process among those that deliver for the same ``group``. ``sale_id`` empty:
    all."""

    def __init__(
        self,
        client: Redis,
        throttle: Throttle,
        clock: Clock,
        *,
        group: str,
        owner: str,
        sale_id: str = "",
        patience: Patience,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.totals = Totals()
        self.unreadable: dict[str, str] = {}  # sales whose feed could not be read, and why
        self._client = client
        self._throttle = throttle
        self._clock = clock
        self._group = group
        self._owner = owner
        self._only = sale_id
        self._patience = patience
        self._chance = chance
        self._sales: list[str] = []
        self._scan_ms = 0
        self._working: dict[str, asyncio.Task[None]] = {}

    @property
    def working(self) -> int:
        """Sales under way in this process."""
        return len(self._working)

    async def run(self) -> None:
        """Until cancelled, which is safe at any point; a request under way is cut off, and its row comes
        again. A store that is away is waited for."""
        try:
            while True:
                try:
                    await self.beat()
                except (RedisError, OSError) as error:
                    log.warning("the store could not be asked for sales", why=str(error))
                await asyncio.sleep(limits.POLL_MS / 1000)
        finally:
            await self.stop()

    async def drain(self) -> None:
        """Until nothing is left to deliver in any sale, here or in another process, but for the unreadable
        ones. Raises redis-py's exceptions, ``TooManySalesError``. Cancelled: as ``run``."""
        try:
            while await self.beat(give_up=True):  # noqa: ASYNC110  what others deliver is no event here
                await asyncio.sleep(limits.POLL_MS / 1000)
        finally:
            await self.stop()

    async def beat(self, *, give_up: bool = False) -> int:
        """Takes up every sale in which there is something to do and which nobody delivers. Answers how many
        have something to do. ``give_up``: those found unreadable have not. Raises as ``drain``."""
        if self._clock.now_ms() >= self._scan_ms:
            self._sales = [self._only] if self._only else await _sales(self._client)
            self._scan_ms = self._clock.now_ms() + limits.SCAN_MS
        found = 0
        for at in range(0, len(self._sales), limits.SALES_PAGE):
            page = self._sales[at : at + limits.SALES_PAGE]
            for sale_id in await waiting(self._client, page, self._group):
                if give_up and sale_id in self.unreadable:
                    continue
                found += 1
                if sale_id not in self._working and len(self._working) < limits.SALES_AT_ONCE_MAX:
                    await self._take_up(sale_id)
        return max(found, len(self._working))

    async def stop(self) -> None:
        """Ends what is under way, and gives the leases back."""
        tasks = list(self._working.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take_up(self, sale_id: str) -> None:
        if not await make_group(self._client, sale_id, self._group):
            return  # archived since it was found
        feed = GroupFeed(self._client, sale_id, self._group, self._owner)
        if not await feed.lease():
            return
        task = asyncio.create_task(self._deliver(sale_id, feed))
        self._working[sale_id] = task
        task.add_done_callback(lambda _: self._working.pop(sale_id, None))

    async def _deliver(self, sale_id: str, feed: GroupFeed) -> None:
        """Never raises but when cancelled: the next beat begins anew."""
        delivery = SaleDelivery(
            feed, self._throttle, self._clock, self.totals, patience=self._patience, chance=self._chance
        )
        try:
            await delivery.run()
            self.unreadable.pop(sale_id, None)
        except LeaseLostError:
            log.warning("another process delivers this sale by now", sale=sale_id)
        except (RedisError, OSError) as error:
            log.warning("the delivery of a sale was broken off", sale=sale_id, why=str(error))
        except Exception as error:
            log.exception("a sale can't be delivered", sale=sale_id)
            self.unreadable[sale_id] = str(error)
            await asyncio.sleep(limits.SCAN_MS / 1000)  # it will hardly be better at once
        finally:
            with contextlib.suppress(RedisError, OSError):  # else the lease runs out by itself
                await feed.give_back()


async def _sales(client: Redis) -> list[str]:
    found: dict[str, None] = {}
    async for page in sales_with(client, "feed"):
        found.update(dict.fromkeys(page))
        if len(found) > SALES_MAX:
            raise TooManySalesError(f"more than {SALES_MAX} sales: name one")
    return list(found)
