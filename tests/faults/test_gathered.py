"""A call of many buyers is lost: each is told the truth, and what became of it is known afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from liveserver.stock import scripts
from liveserver.stock.gather import Gatherer
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import Order, Outcome, StockView, Verdict
from tests.conftest import StartValkey
from tests.faults.conftest import Clients
from tests.faults.proxy import Proxy
from tests.faults.rush import Rush, WallClock, judge, sale
from tests.stock.conftest import order

BUYERS = 30


async def test_a_reply_lost_is_pending_to_every_buyer_of_its_call(
    durable_valkey: StartValkey, clients: Clients
) -> None:
    """The deadline is far away: it is the broken connection that says so. Asked again, each hears that it had
    been granted; and a call that was lost before it ran is no different to those who wait."""
    store = await durable_valkey(fsync="no")
    client = clients.client(store.url)
    await client.script_load(scripts.RESERVE.text)
    views: list[StockView] = []
    async with Proxy(store.url) as wire:
        ledger = clients.ledger(wire.url)
        await ledger.open(sale(100), command_id="open-1")
        await ledger.expire("s1")
        rush = Rush([ledger])
        gatherer = Gatherer(
            ledger, WallClock(), on_view=views.append, settled=lambda *_: None, deadline_ms=20_000
        )

        async def ask(asked: list[Order]) -> list[Verdict]:
            async with asyncio.timeout(15):
                return await asyncio.gather(*(gatherer.purchase("s1", one) for one in asked))

        for ran in (True, False):
            asked = [order(f"u{k}", f"c{ran}") for k in range(BUYERS)]
            wire.lose_reply, wire.lose_call = ran, not ran
            told = await ask(asked)
            assert {one.outcome for one in told} == {Outcome.PENDING}
            assert not views
            told = await ask(asked)
            assert {(one.outcome, one.replayed) for one in told} == {(Outcome.RESERVED, ran)}
            for one, verdict in zip(asked, told, strict=True):
                rush.note(one.user_id, one.command_id, verdict)
            assert views.pop().available == {"i0": 100 - BUYERS * (1 if ran else 2)}
            views.clear()
        await gatherer.aclose()
    await judge(client, rush)


class Confused(ValkeyLedger):
    """Fails, once, in a way nobody foresaw, when the store has done its part."""

    fails = True

    async def reserve(self, sale_id: str, orders: Sequence[Order]) -> tuple[list[Verdict], StockView]:
        answer = await super().reserve(sale_id, orders)
        if self.fails:
            self.fails = False
            raise RuntimeError("nobody foresaw this")
        return answer


async def test_a_failure_of_our_own_is_unknown_and_stops_nothing(
    durable_valkey: StartValkey, clients: Clients
) -> None:
    """Whether it ran can't be said, so nobody is told that it certainly didn't."""
    store = await durable_valkey(fsync="no")
    ledger = Confused(clients.client(store.url), WallClock())
    await ledger.open(sale(10), command_id="open-1")
    gatherer = Gatherer(
        ledger, WallClock(), on_view=lambda _: None, settled=lambda *_: None, deadline_ms=20_000
    )
    rush = Rush([ledger])
    async with asyncio.timeout(15):
        first = await gatherer.purchase("s1", order("ann", "c1"))
        again = await gatherer.purchase("s1", order("ann", "c1"))
    assert (first.outcome, again.outcome, again.replayed) == (Outcome.PENDING, Outcome.RESERVED, True)
    rush.note("ann", "c1", again)
    await gatherer.aclose()
    await judge(clients.client(store.url), rush)
