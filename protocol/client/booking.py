"""An automatic purchase at a sale's opening: when is its moment? Without I/O.

Everybody who booked would buy in the same millisecond; so the server gives a window (``spreadMs``), and each
client draws its moment in it, once. Redrawing at every look would pull all of them to the window's beginning.
"""

from __future__ import annotations

from collections.abc import Callable

from ..types import Sale


class Booking:
    __slots__ = ("_share",)

    def __init__(self, random: Callable[[], float]) -> None:
        """``random`` draws from [0, 1)."""
        self._share = random()

    def moment_ms(self, sale: Sale) -> float:
        """When to buy, in the server's time."""
        return sale.opens_at_ms + self._share * sale.spread_ms

    def wait_ms(self, sale: Sale, server_ms: float) -> float | None:
        """Milliseconds until then; 0: now; None: never, it is over. Ask again with the sale as it then is."""
        if sale.detached or sale.stock.status == "closed" or server_ms >= sale.closes_at_ms:
            return None
        return max(0.0, self.moment_ms(sale) - server_ms)
