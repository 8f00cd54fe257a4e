"""The desk and its latch on a real store: who is answered here, who asks, and that nobody is lied to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import cast

import pytest
from redis.asyncio import Redis

from liveserver.commands.ports import decided
from liveserver.hub.notices import Notices
from liveserver.hub.rooms import Rooms
from liveserver.hub.shelf import Shelf
from liveserver.hub.stock_desk import StockDesk
from liveserver.stock.latch import PROBE_MS, STALE_MS
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import (
    Ledger,
    Order,
    Outcome,
    OutOfRangeError,
    SaleStatus,
    StockView,
    UnknownItemError,
    Verdict,
)
from liveserver.stock.rows import Closed, Expired, Opened
from liveserver.valkey.connect import call_client
from tests.clock import ManualClock
from tests.stock.conftest import SALE_MS, ValkeyBench, order


class CountingLedger(ValkeyLedger):
    asked = 0

    async def reserve(self, sale_id: str, orders: Sequence[Order]) -> tuple[list[Verdict], StockView]:
        self.asked += len(orders)
        return await super().reserve(sale_id, orders)


class Counter(ValkeyBench):
    """A bench with a desk on it. Its ledger is the desk's; ``other`` is another process's."""

    def __init__(self, clock: ManualClock, client: Redis) -> None:
        super().__init__(clock, client)
        self.ledger = self.counting = CountingLedger(client, clock)
        self.other = ValkeyLedger(client, clock)
        self.desk = StockDesk(self.ledger, clock, deadline_ms=300)

    async def ask(self, wanted: Order, attempt: int = 0) -> Verdict:
        return await decided(self.desk.purchase("s1", wanted, attempt=attempt))

    async def restock(self, by: Ledger, units: int = 1) -> StockView:
        return await by.adjust("s1", "i0", units, actor="eve", reason="", command_id="more")


@pytest.fixture
async def counter(valkey: Redis, valkey_url: str, clock: ManualClock) -> AsyncIterator[Counter]:
    client = call_client(valkey_url)
    made = Counter(clock, client)
    yield made
    await made.desk.aclose()
    await client.aclose()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def sell_out(counter: Counter) -> Verdict:
    await counter.open(counter.spec([1]))
    bought = await counter.ask(order("ann", "c1"))
    assert bought.outcome is Outcome.RESERVED
    return bought


async def test_what_is_sold_out_is_answered_without_the_store(counter: Counter) -> None:
    bought = await sell_out(counter)
    for number in range(20):
        refused = await counter.ask(order(f"u{number}", "c1"))
        assert refused == Verdict(Outcome.SOLD_OUT, bought.epoch, bought.seq)
    assert counter.counting.asked == 1
    assert counter.desk.outcomes.latched == counter.desk.outcomes.count["sold_out"] == 20


async def test_a_repeated_attempt_is_answered_by_the_store(counter: Counter) -> None:
    bought = await sell_out(counter)
    again = await counter.ask(order("ann", "c1"), attempt=1)
    assert (again.outcome, again.replayed, again.reservation) == (Outcome.RESERVED, True, bought.reservation)
    other = await counter.ask(order("bob", "c1"), attempt=1)
    assert other.outcome is Outcome.SOLD_OUT
    assert counter.counting.asked == 3


async def test_a_restock_of_this_process_is_sold_at_once(counter: Counter) -> None:
    await sell_out(counter)
    assert (await counter.ask(order("bob", "c1"))).outcome is Outcome.SOLD_OUT
    counter.desk.observe(await counter.restock(counter.ledger))
    assert (await counter.ask(order("bob", "c2"))).outcome is Outcome.RESERVED


async def test_the_view_of_before_the_sale_was_sold_out_comes_late(counter: Counter) -> None:
    before = await counter.open(counter.spec([1]))
    await counter.ask(order("ann", "c1"))
    counter.desk.observe(before)
    assert (await counter.ask(order("bob", "c1"))).outcome is Outcome.SOLD_OUT
    assert counter.counting.asked == 1


async def test_the_view_of_sold_out_comes_after_that_of_the_restock(counter: Counter) -> None:
    await sell_out(counter)
    gone = await counter.other.view("s1")
    counter.desk.observe(await counter.restock(counter.ledger))
    counter.desk.observe(gone)
    assert (await counter.ask(order("bob", "c1"))).outcome is Outcome.RESERVED


async def test_a_restock_elsewhere_is_found_by_the_probe(counter: Counter) -> None:
    await sell_out(counter)
    await counter.restock(counter.other, units=2)
    assert (await counter.ask(order("bob", "c1"))).outcome is Outcome.SOLD_OUT
    await counter.advance(PROBE_MS)
    assert (await counter.ask(order("bob", "c2"))).outcome is Outcome.RESERVED
    assert (await counter.ask(order("cat", "c1"))).outcome is Outcome.RESERVED


async def test_a_hold_that_ran_out_is_found_by_the_probe(counter: Counter) -> None:
    await counter.open(counter.spec([1], hold_ms=PROBE_MS))
    await counter.ask(order("ann", "c1"))
    await counter.advance(PROBE_MS)
    assert (await counter.ask(order("bob", "c1"))).outcome is Outcome.RESERVED


async def test_after_a_silence_everybody_asks_the_store(counter: Counter) -> None:
    await sell_out(counter)
    await counter.advance(STALE_MS)
    await counter.client.config_set("maxmemory", "1")  # so that it refuses every write
    try:
        refused = [await counter.ask(order(f"u{number}", "c1")) for number in range(3)]
    finally:
        await counter.client.config_set("maxmemory", "0")
    assert [one.outcome for one in refused] == [Outcome.UNAVAILABLE] * 3


async def test_a_malformed_order_is_refused_as_ever(counter: Counter) -> None:
    await sell_out(counter)
    with pytest.raises(OutOfRangeError):
        await counter.ask(order("ann", "c2", (0, 0)))
    with pytest.raises(UnknownItemError):
        await counter.ask(order("ann", "c3", (9, 1)))


class _Rooms:
    """Rooms of this process: which are held, and what each has heard."""

    def __init__(self) -> None:
        self.rooms: dict[str, _Room] = {}

    def held(self, room: str) -> _Room | None:
        return self.rooms.get(room)

    def observe(self, view: StockView) -> None:
        """As a shelf: nothing lies on it."""

    def tell(self, *_: object, **__: object) -> None:
        """As notices: nobody is there to hear one."""


class _Room:
    def __init__(self) -> None:
        self.heard: list[StockView] = []

    def observe(self, view: StockView) -> bool:
        self.heard.append(view)
        return True


@pytest.mark.parametrize("how", ["swept", "told of"])
async def test_a_sale_that_ended_while_no_room_had_it_is_told_to_the_room_that_comes(
    counter: Counter, how: str
) -> None:
    rooms = _Rooms()
    counter.desk.use(cast(Rooms, rooms), cast(Notices, rooms), cast(Shelf, rooms))
    await counter.open(counter.spec([1], hold_ms=1_000))
    await counter.ask(order("ann", "c1"))
    await counter.advance(SALE_MS)
    if how == "swept":
        await counter.desk.sweep_unwatched(["s1"])
    else:
        counter.desk.observe((await counter.other.expire("s1")).view)
    assert [type(row) for row in await counter.feed()][2:] == [Closed, Expired]
    rooms.rooms["r1"] = room = _Room()
    counter.desk.concerns("r1", "s1")
    sweeping = asyncio.ensure_future(counter.desk.sweep_forever())
    while not counter.clock.sleepers:  # noqa: ASYNC110  a beat's end is no event
        await asyncio.sleep(0.001)
    sweeping.cancel()
    assert [one.status for one in room.heard] == [SaleStatus.CLOSED]


async def test_what_a_room_here_has_is_not_swept_aside(counter: Counter) -> None:
    rooms = _Rooms()
    counter.desk.use(cast(Rooms, rooms), cast(Notices, rooms), cast(Shelf, rooms))
    await counter.open(counter.spec([1]))
    rooms.rooms["r1"] = _Room()
    counter.desk.concerns("r1", "s1")
    await counter.advance(SALE_MS)
    await counter.desk.sweep_unwatched(["s1"])
    assert [type(row) for row in await counter.feed()] == [Opened]
