"""Purchases gathered into calls: what each caller is told, and when, by a clock the test moves."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from liveserver.stock import checks, limits
from liveserver.stock.checks import check_order
from liveserver.stock.feed import read_feed
from liveserver.stock.fold import fold
from liveserver.stock.gather import IN_FLIGHT_MAX, Gatherer
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import (
    Order,
    Outcome,
    OutOfRangeError,
    SaleItem,
    SaleSpec,
    StockView,
    UnknownItemError,
    UnknownSaleError,
    Verdict,
)
from liveserver.store.embedded import EmbeddedValkey
from liveserver.valkey.connect import call_client
from tests.clock import ManualClock
from tests.conftest import StartValkey
from tests.stock.conftest import ValkeyBench, order


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(5_000):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came true")


class WallClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep_ms(self, delay_ms: float) -> None:
        await asyncio.sleep(delay_ms / 1000)


class WatchedLedger(ValkeyLedger):
    """The real one; notes the size of each call, and can hold calls back before they are sent."""

    sizes: list[int]
    gate: asyncio.Event
    running = 0
    running_max = 0

    def watch(self) -> None:
        self.sizes = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def reserve(self, sale_id: str, orders: Sequence[Order]) -> tuple[list[Verdict], StockView]:
        self.sizes.append(len(orders))
        self.running += 1
        self.running_max = max(self.running_max, self.running)
        try:
            await self.gate.wait()
            return await super().reserve(sale_id, orders)
        finally:
            self.running -= 1


class Shop(ValkeyBench):
    """A bench with a gatherer on it, and a note of all it reports."""

    ledger: WatchedLedger

    def __init__(
        self, clock: ManualClock, url: str, *, queue_max: int = 1_000, in_flight_max: int = IN_FLIGHT_MAX
    ) -> None:
        super().__init__(clock, call_client(url))
        self.ledger = WatchedLedger(self.client, clock)
        self.ledger.watch()
        self.views: list[StockView] = []
        self.late: list[tuple[str, Outcome]] = []
        self.gatherer = Gatherer(
            self.ledger,
            clock,
            on_view=self.views.append,
            settled=lambda _, asked, verdict: self.late.append((asked.command_id, verdict.outcome)),
            queue_max=queue_max,
            in_flight_max=in_flight_max,
        )

    def purchase(self, user_id: str, command_id: str, *lines: tuple[int, int]) -> asyncio.Task[Verdict]:
        return asyncio.ensure_future(self.gatherer.purchase("s1", order(user_id, command_id, *lines)))

    async def sent(self, calls: int) -> None:
        """Until that many calls have begun."""
        await until(lambda: len(self.ledger.sizes) >= calls)

    async def aclose(self) -> None:
        await self.gatherer.aclose()
        await self.client.aclose()


@pytest.fixture
async def shop(valkey: object, valkey_url: str, clock: ManualClock) -> AsyncIterator[Shop]:
    made = Shop(clock, valkey_url)
    yield made
    await made.aclose()


@pytest.fixture
async def own_store(durable_valkey: StartValkey) -> EmbeddedValkey:
    return await durable_valkey(fsync="no")


@pytest.fixture
async def own_shop(own_store: EmbeddedValkey, clock: ManualClock) -> AsyncIterator[Shop]:
    made = Shop(clock, own_store.url)
    await made.open(made.spec((10,), limit=5))
    yield made
    await made.aclose()


async def test_orders_of_one_moment_share_a_call(shop: Shop) -> None:
    await shop.open(shop.spec((500,)))
    buys = [shop.purchase(f"u{number}", "c") for number in range(300)]
    verdicts = await asyncio.gather(*buys)
    assert shop.ledger.sizes == [limits.BATCH_MAX, limits.BATCH_MAX, 300 - 2 * limits.BATCH_MAX]
    assert {verdict.outcome for verdict in verdicts} == {Outcome.RESERVED}
    assert [verdict.reservation.user_id for verdict in verdicts if verdict.reservation] == [
        f"u{number}" for number in range(300)
    ]
    assert max(view.seq for view in shop.views) == 301 and len(shop.views) == 3


async def test_while_two_calls_are_in_flight_orders_gather(shop: Shop) -> None:
    await shop.open(shop.spec((500,)))
    shop.ledger.gate.clear()
    buys = []
    for number in range(40):
        buys.append(shop.purchase(f"u{number}", "c"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    shop.ledger.gate.set()
    await asyncio.gather(*buys)
    assert shop.ledger.running_max == 2
    assert len(shop.ledger.sizes) == 3 and sum(shop.ledger.sizes) == 40


async def test_an_order_that_comes_as_a_call_ends_is_not_forgotten(
    valkey: object, valkey_url: str, clock: ManualClock
) -> None:
    """Whoever is answered buys again at once: after the last call looked for more, before it is over."""
    shop = Shop(clock, valkey_url, in_flight_max=1)
    await shop.open(shop.spec((500,)))

    async def buy_on() -> None:
        for number in range(20):
            verdict = await shop.gatherer.purchase("s1", order("ann", f"c{number}"))
            assert verdict.outcome is Outcome.RESERVED

    await asyncio.wait_for(buy_on(), 20)
    await shop.aclose()


async def test_a_cancelled_caller_harms_nobody(shop: Shop) -> None:
    await shop.open(shop.spec((10,)))
    shop.ledger.gate.clear()
    sent = [shop.purchase(f"sent{number}", "sent") for number in range(3)]
    await shop.sent(1)
    second = shop.purchase("second", "c")
    await shop.sent(2)
    queued = [shop.purchase(f"queued{number}", "queued") for number in range(3)]
    await shop.clock.settle()
    sent[1].cancel()
    queued[1].cancel()
    await shop.clock.settle()
    shop.ledger.gate.set()
    others = [sent[0], sent[2], second, queued[0], queued[2]]
    assert {verdict.outcome for verdict in await asyncio.gather(*others)} == {Outcome.RESERVED}
    assert shop.late == [("sent", Outcome.RESERVED)]  # it ran, though nobody waited
    assert await shop.ledger.lookup("s1", "queued1", "queued") is None  # withdrawn
    assert (await shop.ledger.view("s1")).available == {"i0": 4}


async def test_an_order_nobody_can_take_harms_nobody(shop: Shop) -> None:
    await shop.open(shop.spec((10,)))
    with pytest.raises(OutOfRangeError):
        await shop.gatherer.purchase("s1", order("ann", "c", (0, 0)))
    buys = [
        shop.purchase("dan", "c", (0, 0)),
        shop.purchase("ann", "c", (0, 1)),
        shop.purchase("bob", "c", (7, 1)),
        shop.purchase("eve eve", "c"),
        shop.purchase("cat", "c"),
    ]
    answers = await asyncio.gather(*buys, return_exceptions=True)
    wrong = [type(answers[place]) for place in (0, 2, 3)]
    assert wrong == [OutOfRangeError, UnknownItemError, OutOfRangeError]
    assert [getattr(answers[place], "outcome", None) for place in (1, 4)] == [Outcome.RESERVED] * 2
    assert shop.ledger.sizes == [1, 5, 3, 2], "all in one call, and the good ones in the last"
    assert (await shop.ledger.view("s1")).available == {"i0": 8}


async def test_each_order_is_looked_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def look(one: Order) -> None:
        looked.append(one.user_id)
        check_order(one)

    monkeypatch.setattr(checks, "check_order", look)
    await shop.open(shop.spec((10,)))
    assert {(await buy).outcome for buy in [shop.purchase(f"u{k}", "c") for k in range(4)]} == {
        Outcome.RESERVED
    }
    assert sorted(looked) == ["u0", "u1", "u2", "u3"]


async def test_an_order_in_a_sale_of_no_name(shop: Shop) -> None:
    with pytest.raises(OutOfRangeError):
        await shop.gatherer.purchase("s 2", order("ann", "c"))
    with pytest.raises(UnknownSaleError):
        await shop.gatherer.purchase("s2", order("ann", "c"))


async def test_a_full_queue_is_unavailable(valkey: object, valkey_url: str, clock: ManualClock) -> None:
    shop = Shop(clock, valkey_url, queue_max=3)
    await shop.open(shop.spec((10,)))
    shop.ledger.gate.clear()
    first = shop.purchase("a", "c")
    await shop.sent(1)
    second = shop.purchase("b", "c")
    await shop.sent(2)
    queued = [shop.purchase(f"q{number}", "c") for number in range(5)]
    refused = await asyncio.wait_for(asyncio.gather(*queued[3:]), 5)
    assert [verdict.outcome for verdict in refused] == [Outcome.UNAVAILABLE] * 2
    shop.ledger.gate.set()
    verdicts = await asyncio.gather(first, second, *queued[:3])
    assert {verdict.outcome for verdict in verdicts} == {Outcome.RESERVED}
    await shop.aclose()


async def test_a_stopped_store_pending_at_the_deadline_and_the_truth_after(
    own_store: EmbeddedValkey, own_shop: Shop
) -> None:
    shop = own_shop
    assert (await shop.purchase("warm", "c")).outcome is Outcome.RESERVED
    await asyncio.gather(*(shop.client.ping() for _ in range(4)))  # so that both calls find a connection made
    shop.ledger.sizes.clear()
    os.kill(own_store.pid, signal.SIGSTOP)
    try:
        first = shop.purchase("ann", "first", (0, 2))
        await shop.sent(1)
        second = shop.purchase("bob", "second")
        await shop.sent(2)
        queued = shop.purchase("cat", "queued")
        await shop.clock.advance(299)
        assert not first.done() and not second.done() and not queued.done()
        await shop.clock.advance(1)
        assert [(await buy).outcome for buy in (first, second, queued)] == [
            Outcome.PENDING,
            Outcome.PENDING,
            Outcome.UNAVAILABLE,  # it never left the queue
        ]
        assert shop.late == []
        newcomer = shop.purchase("dan", "newcomer")  # nobody has a deadline left but this one
        await shop.clock.advance(299)
        assert not newcomer.done()
        await shop.clock.advance(1)
        assert (await newcomer).outcome is Outcome.UNAVAILABLE
    finally:
        os.kill(own_store.pid, signal.SIGCONT)
    for command_id, user_id, lines in (("first", "ann", (0, 2)), ("second", "bob", (0, 1))):
        again = await shop.purchase(user_id, command_id, lines)
        assert (again.outcome, again.replayed) == (Outcome.RESERVED, True)
    assert not (await shop.purchase("cat", "queued")).replayed
    await until(lambda: len(shop.late) >= 2)
    assert sorted(shop.late) == [("first", Outcome.RESERVED), ("second", Outcome.RESERVED)]
    assert max(view.seq for view in shop.views) == (await shop.ledger.view("s1")).seq == 5
    assert fold(await shop.feed()).available == [10 - 1 - 2 - 1 - 1]


async def test_a_call_that_comes_too_late_does_nothing(own_store: EmbeddedValkey) -> None:
    """On the real clock: the purchase may act for 300 ms, and the store sleeps through them."""
    client, clock = call_client(own_store.url), WallClock()
    ledger = ValkeyLedger(client, clock, act_within_ms=300)
    now_ms = clock.now_ms()
    spec = SaleSpec("s1", (SaleItem("i0", 5),), 0, now_ms, now_ms + 60_000, 30_000)
    await ledger.open(spec, command_id="open-1")
    await ledger.expire("s1")  # all it must know of the server is known
    late: list[Outcome] = []
    gatherer = Gatherer(
        ledger,
        clock,
        on_view=lambda view: None,
        settled=lambda sale_id, asked, verdict: late.append(verdict.outcome),
        deadline_ms=10,
    )
    os.kill(own_store.pid, signal.SIGSTOP)
    try:
        verdict = await gatherer.purchase("s1", order("ann", "c"))
        assert verdict.outcome is Outcome.PENDING
        await asyncio.sleep(0.4)
    finally:
        os.kill(own_store.pid, signal.SIGCONT)
    assert await ledger.lookup("s1", "ann", "c") is None
    await until(lambda: bool(late))
    assert late == [Outcome.UNAVAILABLE]
    assert (await ledger.view("s1")).seq == 1
    await gatherer.aclose()
    await client.aclose()


async def test_a_dead_store_is_unavailable_not_pending(own_store: EmbeddedValkey, own_shop: Shop) -> None:
    shop = own_shop
    await shop.purchase("warm", "c")
    own_store.kill()
    for _ in range(3):
        await shop.client.connection_pool.disconnect()
        assert (await shop.purchase("ann", "c")).outcome is Outcome.UNAVAILABLE
    assert shop.late == []


async def test_closing_answers_everybody(shop: Shop) -> None:
    await shop.open(shop.spec((10,)))
    shop.ledger.gate.clear()
    first = shop.purchase("a", "c")
    await shop.sent(1)
    second = shop.purchase("b", "c")
    await shop.sent(2)
    queued = shop.purchase("q", "c")
    await shop.clock.settle()
    await shop.gatherer.aclose()
    assert [(await buy).outcome for buy in (first, second, queued)] == [
        Outcome.PENDING,
        Outcome.PENDING,
        Outcome.UNAVAILABLE,
    ]
    assert (await shop.purchase("late", "c")).outcome is Outcome.UNAVAILABLE
    assert shop.clock.sleepers == 0


async def test_an_idle_sale_leaves_nothing_behind(shop: Shop) -> None:
    await shop.open(shop.spec((10,)))
    for number in range(3):
        await shop.purchase(f"u{number}", "c")
        await shop.clock.advance(1_000)
    assert shop.gatherer._lanes == {} and shop.clock.sleepers == 0


async def test_a_rush_through_three_processes(valkey: object, valkey_url: str, clock: ManualClock) -> None:
    """Three gatherers as three processes would have them; a fifth of all commands come twice."""
    shops = [Shop(clock, valkey_url) for _ in range(3)]
    await shops[0].open(shops[0].spec((150, 150), limit=2))
    draw = random.Random(7)
    asked = [(f"u{draw.randrange(250)}", f"c{number}", (draw.randrange(2), 1)) for number in range(800)]
    asked += draw.sample(asked, 160)
    draw.shuffle(asked)

    async def one(user_id: str, command_id: str, line: tuple[int, int]) -> tuple[str, str, Verdict]:
        await asyncio.sleep(draw.random() * 0.1)
        return user_id, command_id, await draw.choice(shops).purchase(user_id, command_id, line)

    answers = await asyncio.gather(*(one(*order_) for order_ in asked))
    rows = await read_feed(shops[0].client, "s1", rows_max=10_000)
    folded = fold(rows)
    outcomes = Counter(verdict.outcome for _, _, verdict in answers)
    assert outcomes[Outcome.RESERVED] and outcomes[Outcome.SOLD_OUT] and outcomes[Outcome.LIMIT_REACHED]
    granted = {
        (user_id, command_id): verdict.reservation.reservation_id
        for user_id, command_id, verdict in answers
        if verdict.reservation is not None
    }
    assert len(set(granted.values())) == len(granted) == len(folded.state)
    for user_id, command_id, verdict in answers:
        if verdict.reservation is not None:
            assert verdict.reservation.reservation_id == granted[user_id, command_id]
    assert folded.available == [0, 0] and sum(folded.held) == 300
    for shop in shops:
        await shop.aclose()
