"""The plan keeps the night's promises for every seed, length and size."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.audience import plan
from loadtest.audience.scenes import SCENES

NIGHTS = st.tuples(
    st.floats(plan.SECONDS_MIN, 600, allow_nan=False), st.integers(10, 600), st.integers(0, 2**32)
)


@given(NIGHTS)
@settings(max_examples=100, deadline=None)
def test_every_share_is_met(night: tuple[float, int, int]) -> None:
    seconds, viewers, seed = night
    made = plan.make(seconds, viewers, seed)
    assert len(made.sales) >= 2
    for sale in made.sales:
        assert all(stock >= 1 for stock in sale.stock)
        assert sale.units_asked >= 5 * sale.units_offered or sale.units_offered <= len(sale.items)
        repeated = sum(order.repeat != "" for order in sale.orders)
        assert repeated >= 0.10 * len(sale.orders)
        for order in sale.orders:
            assert sale.opens_s <= order.at_s < sale.closes_s
            assert made.arrivals_s[order.viewer] < order.at_s
    assert any(sale.restock_s is not None for sale in made.sales)
    assert len({cut.viewer for cut in made.cuts}) >= 0.05 * viewers
    assert len({stall.viewer for stall in made.stalls}) >= 0.02 * viewers
    assert not {cut.viewer for cut in made.cuts} & {stall.viewer for stall in made.stalls}
    assert len(made.arrivals_s) == viewers
    assert {scene.name for scene in made.scenes} == set(SCENES)
    assert len({sale.sale_id for sale in made.all_sales}) == len(made.all_sales)
    for scene in made.scenes:
        assert len(set(scene.cast)) == plan.SCENE_CAST
        for viewer in scene.cast:
            assert made.arrivals_s[viewer] < scene.sale.opens_s < scene.sale.closes_s
    assert made.cast.isdisjoint({cut.viewer for cut in made.cuts} | {stall.viewer for stall in made.stalls})
    assert plan.NEVER_PAYS_EVERY <= 20  # one in twenty is five in a hundred


def test_units_of_who_never_pays_can_sell_again() -> None:
    """A hold taken at the opening runs out while orders still come."""
    for sale in plan.make(20, 300, 1).sales:
        out_s = sale.opens_s + plan.SPREAD_S + sale.hold_ms / 1000 + 1  # and a sweep's second
        assert sum(order.at_s > out_s for order in sale.orders) >= 10


def test_the_seed_decides() -> None:
    assert plan.make(20, 50, 5) == plan.make(20, 50, 5)
    assert plan.make(20, 50, 5) != plan.make(20, 50, 6)


@pytest.mark.parametrize(("seconds", "viewers"), [(4.9, 100), (20, 9)])
def test_a_night_too_small_is_refused(seconds: float, viewers: int) -> None:
    with pytest.raises(ValueError, match="at least"):
        plan.make(seconds, viewers, 1)
