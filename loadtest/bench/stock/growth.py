"""What an order costs the store among few buyers and among many. The store's CPU, so that neither the
client nor the rest of the machine is in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from liveserver.stock.port import LedgerUnavailableError, Order
from loadtest.bench.figures import Figure, at_most, ratios
from loadtest.bench.stock import loads
from loadtest.bench.stock.orders import Orders
from loadtest.bench.stock.store import Store
from loadtest.bench.stock.targets import GROWTH_MAX

FILL_ORDERS: Final = 20_000
FILL_TRIES: Final = 5
SAID_EVERY: Final = 500_000
PIECE_ORDERS: Final = 500  # measured in one go; few beside the fewest buyers


async def grow(
    store: Store, orders: Orders, sizes: list[int], rounds: int, say: Callable[[str], None]
) -> dict[str, Figure]:
    """By number of buyers, the cost per order as a multiple of that among the fewest."""
    costs: dict[int, list[float]] = {size: [] for size in sizes}
    for size in sizes[1:]:
        say(f"{store.name}: a sale of {size:,} buyers")
        await store.open(f"grow-{size}")
        await fill(store, f"grow-{size}", orders, size, say)
    for turn in range(rounds):
        await _small(store, f"small-{turn}", orders, sizes[0], costs)
        for size in sizes[1:]:
            costs[size].append(await _cost(store, f"grow-{size}", orders))
    for size in sizes[1:]:
        await store.drop(f"grow-{size}")
    return {str(size): at_most(ratios(costs[size], costs[sizes[0]]), GROWTH_MAX) for size in sizes}


async def fill(
    store: Store, sale_id: str, orders: Orders, buyers: int, say: Callable[[str], None] | None = None
) -> None:
    """By the scripts, so that what is there is what they would have written. ``say`` hears how far it is."""
    for done in range(0, buyers, FILL_ORDERS):
        if say is not None and done and done % SAID_EVERY == 0:
            say(f"{store.name}: {sale_id}, {done:,} of {buyers:,}")
        await _fill_piece(store, sale_id, orders.batches(min(FILL_ORDERS, buyers - done)))


async def _fill_piece(store: Store, sale_id: str, batches: list[list[Order]]) -> None:
    """A call that came too late, on a busy machine, certainly did nothing: the same orders once more."""
    for attempt in range(FILL_TRIES):
        await store.clock.sync(store.client)
        late = False
        try:
            await loads.by_the_hundred(store, sale_id, batches)
        except* LedgerUnavailableError:
            late = True
            if attempt == FILL_TRIES - 1:
                raise
        if not late:
            return


async def _small(
    store: Store, sale_id: str, orders: Orders, size: int, costs: dict[int, list[float]]
) -> None:
    """A small sale would not stay small: each round has its own, four pieces of it."""
    pieces = []
    for piece in range(4):
        await store.open(f"{sale_id}-{piece}")
        await fill(store, f"{sale_id}-{piece}", orders, size)
        pieces.append(await _cost(store, f"{sale_id}-{piece}", orders))
        await store.drop(f"{sale_id}-{piece}")
    costs[size].append(sum(pieces) / len(pieces))


async def _cost(store: Store, sale_id: str, orders: Orders) -> float:
    took = await loads.by_the_hundred(store, sale_id, orders.batches(PIECE_ORDERS))
    return took.store_s / took.orders
