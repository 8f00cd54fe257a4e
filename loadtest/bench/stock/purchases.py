"""From socket to outcome, through one hub process: what a core of the hub carries.

The hub has a core; its buyers, and the store, share the other. Each buyer is in the room (and is sent its
frames) and has one order under way at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from loadtest.bench.child import Child
from loadtest.bench.stock.loads import WrongAnswerError

ORDERS_EACH: Final = 8  # the server lets a session buy ten at once
REST_S: Final = 1.0  # then it may again


class Rush(msgspec.Struct, frozen=True):
    """One round."""

    per_s: float
    per_hub_core: float  # by the CPU the hub used, frames to its viewers included
    outcomes: dict[str, int]


async def rushes(
    store_url: str,
    *,
    hub_core: int,
    crowd_core: int,
    buyers: int,
    rounds: int,
    say: Callable[[str], None],
) -> tuple[list[Rush], list[Rush]]:
    """Rounds of buying, and of being told ``sold_out``, in turn."""
    hub = await Child.start("loadtest.bench.stock.hub", str(hub_core), store_url, str(buyers))
    try:
        who = await hub.answer()
        crowd = await Child.start("loadtest.bench.stock.crowd", str(crowd_core))
        try:
            await crowd.ask(who)
            bought, refused = [], []
            for turn in range(rounds):
                say(f"purchases through a hub: round {turn + 1} of {rounds}")
                bought.append(await _rush(hub, crowd, f"many-{turn}", 1_000_000, "reserved"))
                refused.append(await _rush(hub, crowd, f"few-{turn}", 1, "sold_out"))
            return bought, refused
        finally:
            await crowd.end()
    finally:
        await hub.end()


async def _rush(hub: Child, crowd: Child, sale: str, stock: int, outcome: str) -> Rush:
    await asyncio.sleep(REST_S)
    before = (await hub.ask({}))["cpu_s"]
    told = await crowd.ask({"sale": sale, "stock": stock, "orders": ORDERS_EACH})
    used_s = (await hub.ask({}))["cpu_s"] - before
    outcomes: dict[str, int] = told["outcomes"]
    if set(outcomes) - {outcome, "pending"} or told["first"] != {"reserved": 1}:
        raise WrongAnswerError(f"{sale}: {outcomes} after {told['first']}")
    answered = outcomes[outcome]
    return Rush(answered / told["wall_s"], answered / used_s, outcomes)
