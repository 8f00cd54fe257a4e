"""The stock counter's figures, from rounds that run in turn, each against controls of the same round."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from liveserver.stock.port import Outcome
from liveserver.valkey.server import server_facts
from loadtest import machine
from loadtest.bench.figures import Figure, ratios
from loadtest.bench.stock import growth, loads, purchases
from loadtest.bench.stock.loads import Took
from loadtest.bench.stock.orders import CALL_ORDERS, Orders
from loadtest.bench.stock.proof import prove
from loadtest.bench.stock.reader import FeedReader, feed_reader
from loadtest.bench.stock.store import Store, store
from loadtest.bench.stock.targets import figure

SALE = "bench"
EMPTY = "empty"


class Size(msgspec.Struct, frozen=True):
    """How much is done."""

    remembered: int  # orders there before anything is measured
    rounds: int
    orders: int  # of a round
    singles: int  # of a round, one call each
    growth: list[int]  # numbers of buyers
    buyers: int  # of the hub
    rushes: int


FULL = Size(1_000_000, 7, 60_000, 6_000, [1_000, 100_000, 1_000_000], 1_500, 5)
QUICK = Size(100_000, 3, 20_000, 2_000, [1_000, 20_000, 100_000], 400, 2)


async def run(size: Size, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """The report. Needs two cores, and gives them back as they were when it ends or is cancelled."""
    began_s, busy_before = time.monotonic(), os.getloadavg()[0]
    cores = machine.cores()
    theirs, ours = cores[0], cores[-1]
    machine.pin(0, ours)
    try:
        report = await _pinned(size, seed, theirs, ours, say)
    finally:
        machine.pin_all(cores)
    report["machine"] = machine.facts(cores)
    report["load_average"] = {"before": round(busy_before, 2), "after": round(os.getloadavg()[0], 2)}
    report["seconds"] = round(time.monotonic() - began_s, 1)
    report["pinned"] = {"store": theirs, "client": ours, "hub": theirs, "its store and buyers": ours}
    return report


async def _pinned(
    size: Size, seed: int, theirs: int, ours: int, say: Callable[[str], None]
) -> dict[str, Any]:
    orders = Orders(seed)
    async with AsyncExitStack() as stack:
        memory = await stack.enter_async_context(store("memory", theirs))
        fsynced = await stack.enter_async_context(store("fsynced", theirs))
        facts = await server_facts(memory.client)
        for one in (memory, fsynced):
            say(f"{one.name}: {size.remembered:,} orders to remember")
            await one.open(SALE)
            await one.open(EMPTY, stock=0)
            await growth.fill(one, SALE, orders, size.remembered, say)
        sale_bytes = await memory.sale_bytes(SALE) / size.remembered
        id_bytes = await memory.buyers_bytes(SALE) / size.remembered
        await fsynced.persist_always(size.remembered)
        readers = {
            one.name: await stack.enter_async_context(feed_reader(one, SALE, ours))
            for one in (memory, fsynced)
        }
        rounds = [
            await _round(memory, fsynced, readers, orders, size, turn, say) for turn in range(size.rounds)
        ]
        proofs = {}
        for one in (memory, fsynced):
            say(f"{one.name}: ledger verify of the sale that was measured")
            proofs[one.name] = await prove(one, SALE)
        await memory.drop(SALE)
        await memory.client.unlink(loads.FLOOR_KEY)
        cost_growth = await growth.grow(memory, orders, size.growth, size.rounds, say)
        machine.pin(memory.pid, ours)
        bought, refused = await purchases.rushes(
            memory.url,
            hub_core=theirs,
            crowd_core=ours,
            buyers=size.buyers,
            rounds=size.rushes,
            say=say,
        )
    return {
        "seed": seed,
        "commit": machine.commit(),
        "store": f"{facts.product} {'.'.join(map(str, facts.version))}",
        "size": msgspec.to_builtins(size),
        **msgspec.to_builtins(_figures(rounds)),
        "bytes_per_order": msgspec.to_builtins(figure("bytes_per_order", [sale_bytes])),
        "bytes_per_remembered_id": msgspec.to_builtins(figure("bytes_per_remembered_id", [id_bytes])),
        "ledger_verify": msgspec.to_builtins(proofs),
        "feed_reader": {
            "process": "of its own, on the client's core",
            "rows": {name: one.rows for name, one in readers.items()},
        },
        "cost_growth": msgspec.to_builtins(cost_growth),
        **msgspec.to_builtins(_hub_figures(bought, refused)),
        "outcomes": {
            "purchases": [rush.outcomes for rush in bought],
            "sold_out": [rush.outcomes for rush in refused],
        },
    }


class Round(msgspec.Struct, frozen=True):
    memory: Took
    floor: Took
    singles: Took
    fsynced: Took
    refused: Took


async def _round(
    memory: Store,
    fsynced: Store,
    readers: dict[str, FeedReader],
    orders: Orders,
    size: Size,
    turn: int,
    say: Callable[[str], None],
) -> Round:
    """All of it beside each other; the order turns, so that none always comes after the same other."""
    say(f"round {turn + 1} of {size.rounds}")

    async def batched(on: Store) -> Took:
        reader = readers[on.name]
        await reader.begin()
        took = await loads.by_the_hundred(on, SALE, orders.batches(size.orders))
        if await reader.end() < size.orders // CALL_ORDERS:
            raise loads.WrongAnswerError("the feed's reader did not see every call")
        return took

    async def floor() -> Took:
        return await loads.floor(memory, orders.batches(size.orders))

    async def singles() -> Took:
        return await loads.one_by_one(memory, SALE, orders.batch(size.singles))

    async def refused() -> Took:
        return await loads.by_the_hundred(memory, EMPTY, orders.batches(size.orders), Outcome.SOLD_OUT)

    steps: list[tuple[str, Callable[[], Any]]] = [
        ("memory", lambda: batched(memory)),
        ("floor", floor),
        ("singles", singles),
        ("fsynced", lambda: batched(fsynced)),
        ("refused", refused),
    ]
    turned = steps[turn % len(steps) :] + steps[: turn % len(steps)]
    took = {name: await step() for name, step in turned}
    return Round(**took)


def _figures(rounds: list[Round]) -> dict[str, Any]:
    memory = [one.memory for one in rounds]
    fsynced = [one.fsynced for one in rounds]
    floor = [one.floor for one in rounds]
    singles = [one.singles for one in rounds]
    refused = [one.refused for one in rounds]
    return {
        "reserve_per_s": _both("reserve_per_s", memory, fsynced, lambda took: took.per_s),
        "reserve_per_store_core": _both(
            "reserve_per_store_core", memory, fsynced, lambda took: took.per_store_core
        ),
        "client_us_per_order": figure(
            "client_us_per_order", [1e6 * took.ours_s / took.orders for took in memory]
        ),
        "floor_per_s": figure("floor_per_s", [took.per_s for took in floor]),
        "one_call_per_order_per_s": figure("one_call_per_order_per_s", [took.per_s for took in singles]),
        "ratio_to_floor_as_clocked": figure(
            "ratio_to_floor_as_clocked", ratios([t.per_s for t in memory], [t.per_s for t in floor])
        ),
        "ratio_to_floor": figure(
            "ratio_to_floor",
            ratios([t.per_store_core for t in memory], [t.per_store_core for t in floor]),
        ),
        "ratio_to_one_call_per_order": figure(
            "ratio_to_one_call_per_order", ratios([t.per_s for t in memory], [t.per_s for t in singles])
        ),
        "sold_out_in_store_per_s": figure("sold_out_in_store_per_s", [took.per_s for took in refused]),
    }


def _both(
    name: str, memory: list[Took], fsynced: list[Took], of: Callable[[Took], float]
) -> dict[str, Figure]:
    return {
        "memory": figure(f"{name}.memory", list(map(of, memory))),
        "fsynced": figure(f"{name}.fsynced", list(map(of, fsynced))),
    }


def _hub_figures(bought: list[purchases.Rush], refused: list[purchases.Rush]) -> dict[str, Figure]:
    return {
        "purchases_per_s": figure("purchases_per_s", [rush.per_s for rush in bought]),
        "purchases_per_hub_core": figure("purchases_per_hub_core", [r.per_hub_core for r in bought]),
        "sold_out_per_s": figure("sold_out_per_s", [rush.per_s for rush in refused]),
        "sold_out_per_hub_core": figure("sold_out_per_hub_core", [r.per_hub_core for r in refused]),
    }
