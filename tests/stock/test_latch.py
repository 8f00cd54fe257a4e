"""The sold-out latch: what it may answer, and what it must leave to the store."""

from __future__ import annotations

import random

import msgspec
import pytest

from liveserver.stock import limits
from liveserver.stock.latch import PROBE_MS, STALE_MS, SoldOutLatch
from liveserver.stock.port import SaleStatus, StockView
from tests.stock.conftest import order

NOW = 1_000_000
CLOSES = NOW + 60_000


def view(
    seq: int, *left: int, epoch: int = 7, status: SaleStatus = SaleStatus.OPEN, sale_id: str = "s1"
) -> StockView:
    available = {f"i{number}": units for number, units in enumerate(left)}
    return StockView(sale_id, epoch, seq, status, available, opens_at_ms=0, closes_at_ms=CLOSES)


@pytest.fixture
def latch() -> SoldOutLatch:
    return SoldOutLatch()


def test_it_answers_at_zero_with_the_instant_of_the_view_that_said_so(latch: SoldOutLatch) -> None:
    assert latch.sold_out("s1", order("ann", "c1"), NOW) is None
    latch.learn(view(4, 1), NOW)
    assert latch.sold_out("s1", order("ann", "c1"), NOW) is None
    latch.learn(view(5, 0), NOW)
    assert latch.sold_out("s1", order("ann", "c1"), NOW) == (7, 5)


def test_too_few_is_not_none_at_all(latch: SoldOutLatch) -> None:
    """Five wanted, three left: the store says so, since a call before it may free two more."""
    latch.learn(view(5, 3), NOW)
    assert latch.sold_out("s1", order("ann", "c1", (0, 5)), NOW) is None


def test_of_several_items_one_at_zero_is_enough(latch: SoldOutLatch) -> None:
    latch.learn(view(5, 3, 0), NOW)
    assert latch.sold_out("s1", order("ann", "c1", (0, 1)), NOW) is None
    assert latch.sold_out("s1", order("ann", "c1", (1, 1)), NOW) == (7, 5)
    assert latch.sold_out("s1", order("ann", "c1", (0, 1), (1, 1)), NOW) == (7, 5)


def test_an_order_of_an_unknown_item_is_for_the_store_to_refuse(latch: SoldOutLatch) -> None:
    latch.learn(view(5, 0), NOW)
    assert latch.sold_out("s1", order("ann", "c1", (0, 1), (9, 1)), NOW) is None
    assert latch.sold_out("s2", order("ann", "c1"), NOW) is None


def test_a_sale_with_a_line_is_not_latched(latch: SoldOutLatch) -> None:
    """Who comes too late there may take a place in line, and only the store knows whether one is left."""
    latch.learn(msgspec.structs.replace(view(5, 0), waitlist=1), NOW)
    assert latch.sold_out("s1", order("ann", "c1"), NOW) is None


def test_a_newer_view_clears_it_and_an_older_one_does_nothing(latch: SoldOutLatch) -> None:
    latch.learn(view(5, 0), NOW)
    latch.learn(view(4, 9), NOW)  # overtaken on its way
    assert latch.sold_out("s1", order("ann", "c1"), NOW) == (7, 5)
    latch.learn(view(6, 1), NOW)
    assert latch.sold_out("s1", order("ann", "c1"), NOW) is None
    latch.learn(view(5, 0), NOW)  # an older one never sets it
    assert latch.sold_out("s1", order("ann", "c1"), NOW) is None
    latch.learn(view(1, 0, epoch=8), NOW)  # a new epoch is newer, whatever its seq
    assert latch.sold_out("s1", order("ann", "c1"), NOW) == (8, 1)


@pytest.mark.parametrize("status", [status for status in SaleStatus if status is not SaleStatus.OPEN])
def test_only_an_open_sale_is_latched(latch: SoldOutLatch, status: SaleStatus) -> None:
    latch.learn(view(5, 0), NOW)
    latch.learn(view(6, 0, status=status), NOW)
    assert latch.sold_out("s1", order("ann", "c1"), NOW) is None


def test_the_clock_that_closes_the_sale_ends_it(latch: SoldOutLatch) -> None:
    latch.learn(view(5, 0), CLOSES - 1)
    assert latch.sold_out("s1", order("ann", "c1"), CLOSES - 1) == (7, 5)
    assert latch.sold_out("s1", order("ann", "c1"), CLOSES) is None


def test_one_order_each_half_second_asks_the_store(latch: SoldOutLatch) -> None:
    latch.learn(view(5, 0), NOW)
    through = [
        now_ms
        for now_ms in range(NOW, NOW + STALE_MS, 50)
        for _ in range(3)
        if latch.sold_out("s1", order("ann", "c1"), now_ms) is None
    ]
    assert through == [NOW + PROBE_MS]


def test_without_news_it_falls_silent(latch: SoldOutLatch) -> None:
    latch.learn(view(5, 0), NOW)
    assert latch.sold_out("s1", order("ann", "c1"), NOW + STALE_MS) is None
    assert latch.sold_out("s1", order("ann", "c1"), NOW + STALE_MS) is None
    latch.learn(view(5, 0), NOW + STALE_MS)  # the same word again: it is still so
    assert latch.sold_out("s1", order("ann", "c1"), NOW + STALE_MS) == (7, 5)


def test_it_remembers_so_many_sales(latch: SoldOutLatch) -> None:
    for number in range(limits.SALES_SEEN_MAX + 1):
        latch.learn(view(5, 0, sale_id=f"s{number}"), NOW)
    assert latch.sold_out("s0", order("ann", "c1"), NOW) is None
    assert latch.sold_out("s1", order("ann", "c1"), NOW) == (7, 5)
    latch.forget("s1")
    assert latch.sold_out("s1", order("ann", "c1"), NOW) is None


@pytest.mark.parametrize("seed", range(20))
def test_views_in_any_order_never_make_it_lie(seed: int) -> None:
    """What it says is true at the instant it names, and that is the newest it has heard of."""
    rng = random.Random(seed)
    truth = {seq: view(seq, *(rng.choice([0, 0, 1, 3]) for _ in range(3))) for seq in range(1, 60)}
    coming = [truth[max(1, turn // 4 + rng.randint(-5, 5))] for turn in range(200)]  # some overtake
    latch, heard, answered = SoldOutLatch(), 0, 0
    for now_ms, one in enumerate(coming, NOW):
        latch.learn(one, now_ms)
        heard = max(heard, one.seq)
        wanted = order("ann", "c1", *((number, 1) for number in rng.sample(range(3), rng.randint(1, 3))))
        at = latch.sold_out("s1", wanted, now_ms)
        left = truth[heard].available
        short = any(left[line.item_id] == 0 for line in wanted.lines)
        assert at == ((7, heard) if short else None)
        answered += at is not None
    assert answered > 20, seed
