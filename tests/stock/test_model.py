"""The specification itself: what a batch means, and that its own feed proves its laws."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from liveserver.stock.fold import fold
from liveserver.stock.model import ModelSale
from liveserver.stock.port import Order, SaleItem, SaleSpec
from liveserver.stock.rows import AnyRow
from tests.stock.conftest import order

HOLD_MS = 1_000
OPENED_MS = 1_767_000_000_000

lines = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 2)), min_size=1, max_size=3)
orders = st.builds(
    lambda user, command, wanted: order(f"u{user}", f"c{command}", *wanted),
    st.integers(0, 3),
    st.integers(0, 3),
    lines,
)
calls = st.lists(st.tuples(st.lists(orders, min_size=1, max_size=8), st.integers(0, 600)), max_size=6)


def new_sale(stock: tuple[int, int], limit: int) -> ModelSale:
    items = (SaleItem("i0", stock[0]), SaleItem("i1", stock[1]))
    spec = SaleSpec("s1", items, limit, OPENED_MS, OPENED_MS + 3_600_000, HOLD_MS)
    return ModelSale(spec, OPENED_MS, "open-1")


@settings(max_examples=300, deadline=None)
@given(st.tuples(st.integers(0, 9), st.integers(0, 9)), st.integers(0, 5), calls)
def test_a_batch_means_its_orders_one_by_one(
    stock: tuple[int, int], limit: int, batches: list[tuple[list[Order], int]]
) -> None:
    together, alone = new_sale(stock, limit), new_sale(stock, limit)
    now_ms = OPENED_MS
    for batch, wait_ms in batches:
        verdicts, expired = together.reserve(now_ms, batch)
        singles = [alone.reserve(now_ms, [one]) for one in batch]
        assert verdicts == [single[0][0] for single in singles]
        assert expired == [ref for single in singles for ref in single[1]]
        now_ms += wait_ms
    assert together.view(now_ms) == alone.view(now_ms)
    assert together.buyers == alone.buyers
    assert without_rows(together.feed) == without_rows(alone.feed)


def without_rows(feed: list[AnyRow]) -> tuple[object, ...]:
    """What is the same however many changes a row carries."""
    end = fold(feed)
    return end.seq, end.available, end.held, end.confirmed, end.adjusted, end.buyers
