"""When a client that booked buys: inside the server's window, drawn once, and never before the opening."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from protocol.client.booking import Booking
from protocol.examples import SALE
from protocol.limits import SPREAD_MS_MAX

draws = st.floats(0, 1, exclude_max=True)


@given(draw=draws, spread_ms=st.integers(0, SPREAD_MS_MAX), early_ms=st.integers(0, 10**7))
def test_the_moment_falls_inside_the_window(draw: float, spread_ms: int, early_ms: int) -> None:
    sale = msgspec.structs.replace(SALE, spread_ms=spread_ms)
    booking = Booking(lambda: draw)
    wait_ms = booking.wait_ms(sale, sale.opens_at_ms - early_ms)
    assert wait_ms is not None
    moment = sale.opens_at_ms - early_ms + wait_ms
    assert sale.opens_at_ms <= round(moment, 3) <= sale.opens_at_ms + spread_ms
    assert booking.wait_ms(sale, sale.opens_at_ms + spread_ms) == 0


def test_a_thousand_clients_fill_the_window_evenly() -> None:
    sale = msgspec.structs.replace(SALE, spread_ms=1_000)
    moments = [Booking(lambda n=n: n / 1_000).moment_ms(sale) for n in range(1_000)]  # type: ignore[misc]
    per_tenth = [
        sum(sale.opens_at_ms + 100 * k <= one < sale.opens_at_ms + 100 * (k + 1) for one in moments)
        for k in range(10)
    ]
    assert per_tenth == [100] * 10


def test_it_is_drawn_once_however_often_one_looks() -> None:
    left = [0.9, 0.1, 0.1]
    booking = Booking(lambda: left.pop(0))
    moments = {booking.moment_ms(SALE) for _ in range(3)}
    assert moments == {SALE.opens_at_ms + 0.9 * SALE.spread_ms}


def test_what_is_over_is_not_waited_for() -> None:
    booking = Booking(lambda: 0.5)
    closed = msgspec.structs.replace(SALE, stock=msgspec.structs.replace(SALE.stock, status="closed"))
    assert booking.wait_ms(closed, SALE.opens_at_ms - 1) is None
    assert booking.wait_ms(msgspec.structs.replace(SALE, detached=True), SALE.opens_at_ms - 1) is None
    assert booking.wait_ms(SALE, SALE.closes_at_ms) is None


def test_an_opening_that_moves_is_followed() -> None:
    booking = Booking(lambda: 0.5)
    later = msgspec.structs.replace(SALE, opens_at_ms=SALE.opens_at_ms + 60_000)
    assert booking.wait_ms(later, SALE.opens_at_ms) == 60_000 + 0.5 * SALE.spread_ms
