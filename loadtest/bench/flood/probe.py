"""Who wait for replies and critical events, in a process of their own: ``python -m loadtest.bench.flood.probe
CORE``.

Its input is JSON, a line each: first whom to call (``url``, ``streamer``, ``buyers``), then for how long to
measure (``seconds``). It answers each with a line: what each part took (``took.Took``), or in ``failed`` what
it could do nothing without. It ends when its input does. Everybody is in the room that is flooded; what is
bought is bought in another one, so that each sold unit isn't a broadcast to everybody, which would make the
quiet room a busy one.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Coroutine
from random import Random
from typing import Any, Final

import msgspec
import orjson
import uvloop

from loadtest import machine
from loadtest.bench.flood.took import NotMeasuredError, Took
from loadtest.bench.flood.urgent import PROBE, be_urgent
from loadtest.bench.inbound.load import ROOM
from loadtest.bench.stock.buyer import ANSWER_S_MAX, Buyer, NoAnswerError
from protocol.commands import (
    OpenSale,
    Ping,
    PublishListing,
    Purchase,
    StartExplaining,
    StopExplaining,
)
from protocol.types import ItemDraft, ListingDraft, OrderLine

SHOP: Final = "shop"
SETTLE_S: Final = 0.2
PING_EVERY_S: Final = 0.1  # each buyer
BUY_EVERY: Final = 3  # so many pings
EVENT_EVERY_S: Final = 0.1
UNDECIDED: Final = (b'"pending"', b'"unavailable"')
STOCK: Final = 1_000_000


class Watcher(Buyer):
    """One who sees the room's critical events."""

    def __init__(self, url: str, token: str, name: str) -> None:
        super().__init__(url, token, name)
        self._seen: asyncio.Future[float] | None = None

    async def next_event(self) -> float:
        self._seen = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                return await self._seen
        except TimeoutError:
            raise NoAnswerError(f"no critical event was seen within {ANSWER_S_MAX:g} s") from None

    def _heard(self, payload: bytes) -> None:
        if self._seen is not None and not self._seen.done() and b'"critical":[' in payload:
            self._seen.set_result(time.perf_counter())
        super()._heard(payload)


class Probe:
    def __init__(self, url: str, streamer: str, buyers: list[str], seed: int) -> None:
        self._random = Random(seed)
        self._explaining = False
        self._sales, self._sale = 0, ""
        self._streamer = Buyer(url, streamer, "eve")
        self._watcher = Watcher(url, buyers[0], "watcher")
        self._buyers = [Buyer(url, token, f"buyer{n:02d}") for n, token in enumerate(buyers)]

    async def enter(self) -> None:
        await self._streamer.enter(ROOM)
        await self._watcher.enter(ROOM)
        await self._streamer.join(SHOP)
        for buyer in self._buyers:
            await buyer.enter(ROOM)
            await buyer.join(SHOP)
        await self._list(ROOM, "talked-about")

    async def _list(self, room: str, listing_id: str) -> None:
        item = ItemDraft(item_id="jar", variant="jar", price_fen=990, stock=STOCK)
        draft = ListingDraft(listing_id=listing_id, title="oil", items=[item])
        await self._streamer.ask(PublishListing(id=self._streamer.new_id(), room=room, listing=draft))

    async def _open_sale(self) -> None:
        """A sale of this measure's own: what one buyer may have of a sale is limited."""
        self._sales += 1
        self._sale = f"sale-{self._sales}"
        await self._list(SHOP, f"of-{self._sale}")
        command_id = self._streamer.new_id()
        await self._streamer.ask(
            OpenSale(id=command_id, room=SHOP, sale_id=self._sale, listing_id=f"of-{self._sale}")
        )
        await asyncio.sleep(SETTLE_S)

    async def measure(self, seconds: float) -> dict[str, Took]:
        """``NoAnswerError``: there is no sale to buy from. ``NotMeasuredError``: it sells wrongly."""
        await self._open_sale()
        until_s = time.perf_counter() + seconds
        took = {"ping": Took(), "purchase": Took(), "critical": Took()}
        buying = (self._buy(buyer, until_s, took) for buyer in self._buyers)
        await asyncio.gather(self._explain(until_s, took["critical"]), *buying)
        return took

    async def _buy(self, buyer: Buyer, until_s: float, took: dict[str, Took]) -> None:
        turn = self._random.randrange(BUY_EVERY)
        while True:
            await asyncio.sleep(self._random.uniform(0.5, 1.5) * PING_EVERY_S)
            began_s = time.perf_counter()
            if began_s >= until_s:
                return
            turn += 1
            try:
                if turn % BUY_EVERY:
                    await buyer.ask(Ping(id=buyer.new_id()))
                    took["ping"].ms.append(1e3 * (time.perf_counter() - began_s))
                else:
                    answer = await buyer.ask(self._purchase(buyer))
                    took["purchase"].ms.append(1e3 * (time.perf_counter() - began_s))
                    took["purchase"].undecided += _is_undecided(answer)
            except NoAnswerError:
                took["purchase" if turn % BUY_EVERY == 0 else "ping"].unknown += 1

    def _purchase(self, buyer: Buyer) -> Purchase:
        line = OrderLine(item_id="jar")
        return Purchase(id=buyer.new_id(), room=SHOP, sale_id=self._sale, lines=[line])

    async def _explain(self, until_s: float, took: Took) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(0.5, 1.5) * EVENT_EVERY_S)
            began_s = time.perf_counter()
            if began_s >= until_s:
                return
            self._explaining = not self._explaining
            command_id = self._streamer.new_id()
            command = (
                StartExplaining(id=command_id, room=ROOM, listing_id="talked-about")
                if self._explaining
                else StopExplaining(id=command_id, room=ROOM)
            )
            seen = asyncio.create_task(self._watcher.next_event())
            await asyncio.sleep(0)
            began_s = time.perf_counter()
            try:
                await self._streamer.ask(command)
                took.ms.append(1e3 * (await seen - began_s))
            except NoAnswerError:
                took.unknown += 1
            finally:
                seen.cancel()
                await asyncio.gather(seen, return_exceptions=True)

    def leave(self) -> None:
        for one in (self._streamer, self._watcher, *self._buyers):
            one.leave()


def _is_undecided(answer: bytes) -> bool:
    """Else it was sold. ``NotMeasuredError``: it was refused, which no buyer here should be."""
    if b'"reserved"' in answer:
        return False
    if any(code in answer for code in UNDECIDED):
        return True
    raise NotMeasuredError(f"not sold: {answer.decode()}")


async def main(core: int) -> None:
    machine.pin(0, core)
    loop = asyncio.get_running_loop()
    whom = orjson.loads(await loop.run_in_executor(None, sys.stdin.readline))
    probe = Probe(whom["url"], whom["streamer"], whom["buyers"], whom["seed"])
    await _said(_entered(probe))
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        await _said(probe.measure(orjson.loads(line)["seconds"]))
    probe.leave()


async def _entered(probe: Probe) -> dict[str, bool]:
    await probe.enter()
    return {"urgent": be_urgent(PROBE)}


async def _said(what: Coroutine[Any, Any, dict[str, Any]]) -> None:
    try:
        _say(**msgspec.to_builtins(await what))
    except (NoAnswerError, NotMeasuredError) as error:
        _say(failed=str(error))


def _say(**what: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
