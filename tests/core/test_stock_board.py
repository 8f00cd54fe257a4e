from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from liveserver.core.stock_board import StockBoard

from .make import many, stock


def test_the_greater_pair_wins() -> None:
    board = StockBoard()
    assert board.offer(stock("s", 5, 3))
    assert not board.offer(stock("s", 5, 9))
    assert not board.offer(stock("s", 4, 9))
    assert board.offer(stock("s", 1, 2, epoch=2))
    assert not board.offer(stock("s", 99, 9, epoch=1))
    assert board.all() == [stock("s", 1, 2, epoch=2)]


def test_what_changed_is_told_once_at_its_newest() -> None:
    board = StockBoard()
    for seq in (1, 2, 3):
        board.offer(stock("s", seq, seq))
    board.offer(stock("t", 1, 4))
    board.offer(stock("s", 2, 9))  # older: no update at all
    assert board.take() == ([stock("s", 3, 3), stock("t", 1, 4)], 2)
    assert board.take() == ([], 0)
    board.offer(stock("t", 2, 5))
    assert board.take() == ([stock("t", 2, 5)], 0)
    assert board.all() == [stock("s", 3, 3), stock("t", 2, 5)]


def test_the_longest_closed_are_forgotten_and_running_ones_never() -> None:
    board = StockBoard(closed_max=2)
    board.offer(stock("running", 1))
    board.take()
    for number in range(4):
        board.offer(stock(f"s{number}", 1))
        board.offer(stock(f"s{number}", 2, 0, status="closed"))
        board.offer(stock(f"s{number}", 3, 1, status="closed"))  # a hold expired after close
    assert [view.sale_id for view in board.all()] == ["running", "s2", "s3"]


offers = st.lists(
    st.one_of(
        st.none(),
        st.builds(
            lambda sale_id, epoch, seq, status: stock(sale_id, seq, seq, epoch=epoch, status=status),
            st.sampled_from(["s", "t", "u"]),
            st.integers(1, 2),
            st.integers(1, 9),
            st.sampled_from(["open", "closed"]),
        ),
    )
)


@many
@given(offers, st.integers(0, 2))
def test_every_newer_one_is_told_or_superseded(steps: list[object], closed_max: int) -> None:
    """None is a take."""
    board = StockBoard(closed_max)
    newer = told = superseded = 0
    for step in [*steps, None]:
        if step is None:
            changed, over = board.take()
            assert len({view.sale_id for view in changed}) == len(changed)
            told, superseded = told + len(changed), superseded + over
            assert newer == told + superseded
        else:
            newer += board.offer(step)  # type: ignore[arg-type]
        assert sum(view.status == "closed" for view in board.all()) <= closed_max
