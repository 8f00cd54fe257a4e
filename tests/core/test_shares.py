"""The budget's shares: never more than there is, and fair."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from liveserver.core.shares import MEASURE_MS_MIN, Demand, share

from .make import NOW_MS, many

BUDGET = 30_000
rates = st.integers(0, 10_000_000)


@many
@given(st.integers(0, 100_000_000), st.lists(rates, min_size=1, max_size=60))
def test_shares_add_up_to_the_budget_at_most(budget: int, demands: list[int]) -> None:
    shares = [share(budget, own, sum(demands), len(demands)) for own in demands]
    assert sum(shares) <= budget
    assert sum(shares) > budget - 3 * len(demands), "and what is left over is what rounding leaves"
    assert min(shares) >= 0


@many
@given(st.lists(rates, min_size=2, max_size=20))
def test_who_asks_for_more_gets_no_less(demands: list[int]) -> None:
    shares = [share(BUDGET, own, sum(demands), len(demands)) for own in sorted(demands)]
    assert shares == sorted(shares)


@many
@given(st.lists(rates, min_size=1, max_size=20))
def test_nobody_gets_less_than_he_asks_for_while_it_is_enough_and_nobody_nothing(demands: list[int]) -> None:
    floor = BUDGET // (4 * len(demands))
    whole = sum(demands)
    for own in demands:
        mine = share(BUDGET, own, whole, len(demands))
        assert mine >= floor
        if whole <= BUDGET - floor * len(demands):
            assert mine >= own


def test_one_process_has_it_all() -> None:
    for own in (0, 5_000, 10_000_000):
        assert share(BUDGET, own, own, 1) == BUDGET


def test_a_flood_at_one_leaves_the_others_a_word() -> None:
    assert [share(BUDGET, own, 1_000_000, 3) for own in (1_000_000, 0, 0)] == [25_000, 2_500, 2_500]


def test_sums_older_than_ones_own_demand() -> None:
    """The store knew nothing of us yet, or of anybody."""
    assert share(BUDGET, 50_000, 0, 0) == BUDGET


def test_demand_is_a_rate() -> None:
    demand = Demand(NOW_MS)
    demand.add(20)
    assert demand.per_s(NOW_MS + 2_000) == 10_000


def test_a_lull_halves_demand_and_a_wave_raises_it_at_once() -> None:
    demand = Demand(NOW_MS)
    demand.add(40)
    told = [demand.per_s(NOW_MS + second * 1_000) for second in (1, 2, 3)]
    demand.add(100)
    assert [*told, demand.per_s(NOW_MS + 4_000)] == [40_000, 20_000, 10_000, 100_000]


def test_asking_twice_changes_nothing() -> None:
    demand = Demand(NOW_MS)
    demand.add(10)
    first = demand.per_s(NOW_MS + 1_000)
    demand.add(10)
    assert demand.per_s(NOW_MS + 1_000 + MEASURE_MS_MIN - 1) == first, "too soon: the ten are not lost"
    assert demand.per_s(NOW_MS + 2_000) == 10_000
