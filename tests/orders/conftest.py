"""A sale on a real Valkey, an order service on a real socket, and deliverers between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from liveserver.orders import limits
from liveserver.orders.attempts import Patience
from liveserver.orders.deliverer import Deliverer
from liveserver.orders.delivery import Throttle
from liveserver.orders.webhook import Webhook
from liveserver.store.server_clock import ServerClock
from liveserver.valkey.connect import call_client
from tests.clock import ManualClock
from tests.orders.order_service import OrderService, order_service
from tests.stock.conftest import ValkeyBench

SOON = Patience(attempts_max=4, wait_ms_first=5, wait_ms_most=20)
WITHIN_S = 20.0  # a bound for what must end, and no measure

MakeDeliverer = Callable[..., Awaitable[Deliverer]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "POLL_MS", 50)


@pytest.fixture
async def bench(valkey: Redis, valkey_url: str) -> AsyncIterator[ValkeyBench]:
    client = call_client(valkey_url)
    yield ValkeyBench(ManualClock(), client)
    await client.aclose()


@pytest.fixture
async def service() -> AsyncIterator[OrderService]:
    async with order_service() as started:
        yield started


@pytest.fixture
async def deliverer(valkey_url: str, service: OrderService) -> AsyncIterator[MakeDeliverer]:
    """``await deliverer()``: as another process would have it, with connections of its own."""
    async with AsyncExitStack() as stack:
        made = 0

        async def make(
            *,
            group: str = "orders",
            patience: Patience = SOON,
            timeout_ms: int = 2_000,
            at_once: int = 8,
            secret: bytes = b"",
            url: str = "",
        ) -> Deliverer:
            nonlocal made
            made += 1
            client = call_client(valkey_url)
            stack.push_async_callback(client.aclose)
            sink = Webhook(url or service.url, secret=secret, timeout_ms=timeout_ms, at_once=at_once)
            stack.push_async_callback(sink.aclose)
            clock = ServerClock()
            throttle = Throttle(sink, clock, at_once=at_once)
            return Deliverer(client, throttle, clock, group=group, owner=f"process-{made}", patience=patience)

        yield make


async def drained(deliverer: Deliverer) -> None:
    async with asyncio.timeout(WITHIN_S):
        await deliverer.drain()


async def until(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            held = holds()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.02)


async def end(running: asyncio.Task[None]) -> None:
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=WITHIN_S)
    assert done, f"it does not end: {running.get_stack()}"
