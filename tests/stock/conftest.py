"""A bench: one ledger, model or Valkey, whose time stands still until the test moves it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from redis.asyncio import Redis

from liveserver.stock.feed import read_feed
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.model import ModelLedger
from liveserver.stock.port import (
    Ledger,
    Line,
    Order,
    SaleItem,
    SaleSpec,
    StockView,
    Verdict,
)
from liveserver.stock.rows import AnyRow
from liveserver.stock.scripts import keys_of
from liveserver.valkey.connect import call_client
from tests.clock import ManualClock

HOLD_MS = 60_000
SALE_MS = 3_600_000


class Bench:
    """``spec`` opens now, closes in an hour, holds a minute, unless told otherwise."""

    def __init__(self, clock: ManualClock, ledger: Ledger) -> None:
        self.clock = clock
        self.ledger = ledger
        self.sales: set[str] = set()

    def spec(
        self,
        stock: Sequence[int] = (10,),
        *,
        limit: int = 0,
        sale_id: str = "s1",
        opens_in_ms: int = 0,
        hold_ms: int = HOLD_MS,
        waitlist: int = 0,
    ) -> SaleSpec:
        now_ms = self.clock.now_ms()
        items = tuple(SaleItem(f"i{number}", units) for number, units in enumerate(stock))
        return SaleSpec(sale_id, items, limit, now_ms + opens_in_ms, now_ms + SALE_MS, hold_ms, waitlist)

    async def open(self, spec: SaleSpec) -> StockView:
        self.sales.add(spec.sale_id)
        await self.pin()
        return await self.ledger.open(spec, command_id="open-1")

    async def advance(self, delay_ms: int) -> None:
        await self.clock.advance(delay_ms)
        await self.pin()

    async def pin(self) -> None:
        """Makes the store's time the clock's."""

    async def feed(self, sale_id: str = "s1") -> list[AnyRow]:
        raise NotImplementedError

    async def buy(
        self, user_id: str, command_id: str, *lines: tuple[int, int], sale_id: str = "s1"
    ) -> Verdict:
        verdicts, _ = await self.ledger.reserve(sale_id, [order(user_id, command_id, *lines)])
        return verdicts[0]


class ModelBench(Bench):
    ledger: ModelLedger

    async def feed(self, sale_id: str = "s1") -> list[AnyRow]:
        return self.ledger.sales[sale_id].feed


class ValkeyBench(Bench):
    def __init__(self, clock: ManualClock, client: Redis) -> None:
        super().__init__(clock, ValkeyLedger(client, clock))
        self.client = client

    async def pin(self) -> None:
        for sale_id in self.sales:
            await self.client.hset(keys_of(sale_id)[0], "pinned_ms", str(self.clock.now_ms()))

    async def feed(self, sale_id: str = "s1") -> list[AnyRow]:
        return await read_feed(self.client, sale_id, rows_max=100_000)


def order(user_id: str, command_id: str, *lines: tuple[int, int]) -> Order:
    """Lines as (item number, quantity); one unit of item 0 if none is named."""
    return Order(user_id, command_id, tuple(Line(f"i{number}", units) for number, units in lines or [(0, 1)]))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def valkey_bench(valkey: Redis, valkey_url: str, clock: ManualClock) -> AsyncIterator[ValkeyBench]:
    client = call_client(valkey_url)
    yield ValkeyBench(clock, client)
    await client.aclose()


@pytest.fixture(params=["model", "valkey"])
def bench(request: pytest.FixtureRequest, clock: ManualClock) -> Bench:
    if request.param == "model":
        return ModelBench(clock, ModelLedger(clock))
    made: ValkeyBench = request.getfixturevalue("valkey_bench")
    return made
