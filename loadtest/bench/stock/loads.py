"""What is measured against what, on one store: the ledger by the hundred, and its controls.

Each takes its work ready made and answers what it took, so that a clock around it sees nothing else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

import msgspec

from liveserver.stock.port import Order, Outcome
from loadtest.bench.stock.store import Store

CALLS_IN_FLIGHT: Final = 8  # of one sale: what four hub processes keep under way, two each
SINGLES_IN_FLIGHT: Final = 50
FLOOR_KEY: Final = "floor"

T = TypeVar("T")


class Took(msgspec.Struct, frozen=True):
    orders: int
    wall_s: float
    store_s: float  # CPU of the store's command thread
    ours_s: float  # CPU of this process

    @property
    def per_s(self) -> float:
        return self.orders / self.wall_s

    @property
    def per_store_core(self) -> float:
        return self.orders / self.store_s


class WrongAnswerError(Exception):
    """The store answered something else than the load was made for: its figure would mean nothing."""


async def by_the_hundred(
    store: Store, sale_id: str, batches: list[list[Order]], outcome: Outcome = Outcome.RESERVED
) -> Took:
    """The ledger as shipped: checked, packed, called, every outcome decoded."""

    async def one(batch: list[Order]) -> None:
        verdicts, _ = await store.ledger.reserve(sale_id, batch)
        if any(verdict.outcome is not outcome for verdict in verdicts):
            raise WrongAnswerError(f"not every order was {outcome}")

    return await _measured(store, sum(map(len, batches)), batches, one, CALLS_IN_FLIGHT)


async def one_by_one(store: Store, sale_id: str, orders: list[Order]) -> Took:
    """The naive way: a call per order, fifty of them under way."""

    async def one(order: Order) -> None:
        (verdict,), _ = await store.ledger.reserve(sale_id, [order])
        if verdict.outcome is not Outcome.RESERVED:
            raise WrongAnswerError(f"an order was {verdict.outcome}")

    return await _measured(store, len(orders), orders, one, SINGLES_IN_FLIGHT)


async def floor(store: Store, batches: list[list[Order]]) -> Took:
    """No rules at all: per hundred orders one bare HMGET and one HSET of the bytes a ledger keeps per
    buyer, in one pipeline."""
    due = store.clock.now_ms()
    packed = [{order.user_id: f"1;{order.command_id} 0=1 h{due};" for order in batch} for batch in batches]

    async def one(values: dict[str, str]) -> None:
        async with store.client.pipeline(transaction=False) as pipe:
            pipe.hmget(FLOOR_KEY, list(values))
            pipe.hset(FLOOR_KEY, mapping=values)  # type: ignore[arg-type]
            known, added = await pipe.execute()
        if any(known) or added != len(values):
            raise WrongAnswerError("the floor's fields were not new")

    return await _measured(store, sum(map(len, batches)), packed, one, CALLS_IN_FLIGHT)


async def _measured(
    store: Store, orders: int, work: Iterable[T], one: Callable[[T], Awaitable[None]], at_once: int
) -> Took:
    left = iter(work)

    async def worker() -> None:
        for item in left:
            await one(item)

    store_s, ours_s, began_s = await store.cpu_s(), time.process_time(), time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(worker())
    wall_s, ours_s = time.perf_counter() - began_s, time.process_time() - ours_s
    return Took(orders, wall_s, await store.cpu_s() - store_s, ours_s)
