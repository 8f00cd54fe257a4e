"""The buyers of the hub benchmark, in a process of their own: ``python -m loadtest.bench.stock.crowd CORE``.

Its input is JSON, a line each: first who comes (``url``, ``streamer``, ``viewers``: tokens), then rounds
(``sale``, ``stock``, ``orders`` per buyer). It answers each with a line. It ends when its input does.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from typing import Any, Final

import orjson
import uvloop

from loadtest import machine
from loadtest.bench.stock.buyer import Buyer
from protocol.commands import OpenSale, PublishListing
from protocol.types import ItemDraft, ListingDraft

ROOM: Final = "bench"
ENTER_AT_ONCE: Final = 20
AT_ONCE: Final = 500  # buyers with an order under way: more would wait past the server's deadline
SETTLE_S: Final = 0.5  # the snapshots of the newcomers, the events of the opening


async def main(core: int) -> None:
    machine.pin(0, core)
    loop = asyncio.get_running_loop()
    who = orjson.loads(await loop.run_in_executor(None, sys.stdin.readline))
    streamer = Buyer(who["url"], who["streamer"], "streamer")
    buyers = [Buyer(who["url"], token, f"buyer-{n:012d}") for n, token in enumerate(who["viewers"])]
    await streamer.enter(ROOM)
    for first in range(0, len(buyers), ENTER_AT_ONCE):
        await asyncio.gather(*(buyer.enter(ROOM) for buyer in buyers[first : first + ENTER_AT_ONCE]))
    _say(entered=len(buyers))
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        _say(**await _round(streamer, buyers, **orjson.loads(line)))
    for one in (streamer, *buyers):
        one.leave()


async def _round(
    streamer: Buyer, buyers: list[Buyer], *, sale: str, stock: int, orders: int
) -> dict[str, Any]:
    draft = ListingDraft(
        listing_id=f"of-{sale}",
        title=sale,
        items=[ItemDraft(item_id="jar", variant="jar", price_fen=990, stock=stock)],
    )
    await streamer.ask(PublishListing(id=streamer.new_id(), room=ROOM, listing=draft))
    opening = OpenSale(id=streamer.new_id(), room=ROOM, sale_id=sale, listing_id=draft.listing_id)
    await streamer.ask(opening)
    first: Counter[str] = Counter()
    await buyers[0].buy(ROOM, sale, 1, first)  # the sale is known to all, and a small one is sold out
    await asyncio.sleep(SETTLE_S)
    outcomes: Counter[str] = Counter()
    turns = asyncio.Semaphore(AT_ONCE)

    async def in_turn(buyer: Buyer) -> None:
        async with turns:
            await buyer.buy(ROOM, sale, orders, outcomes)

    began_s = time.perf_counter()
    await asyncio.gather(*map(in_turn, buyers[1:]))
    return {"wall_s": time.perf_counter() - began_s, "outcomes": dict(outcomes), "first": dict(first)}


def _say(**what: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
