"""Expires what is due, each second, in every sale this process holds.

Every process sweeps for itself: the script makes it harmless that several do, and none is needed. The
views it brings home also heal displays that missed a relayed one, and a sale found frozen is told in the log,
once: nothing is sold until somebody does something about it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import structlog

from liveserver.core.clock import Clock
from liveserver.stock.port import Ledger, LedgerError, Reservation, SaleStatus, StockView, UnknownSaleError

PERIOD_MS: Final = 1_000
FROZEN_MAX: Final = 10_000  # sales of which we know that they were told
ROUNDS_MAX: Final = 50  # sweeps of one sale in one beat: at least 5,000 orders

log = structlog.get_logger(__name__)


class Sweeper:
    """``sales`` names the sales held now. ``on_expired`` gets the reservations a sweep ended, ``on_view``
    every view. Both must not raise."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        sales: Callable[[], Collection[str]],
        *,
        on_expired: Callable[[list[Reservation]], None],
        on_view: Callable[[StockView], None],
        period_ms: int = PERIOD_MS,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._sales = sales
        self._on_expired = on_expired
        self._on_view = on_view
        self._period_ms = period_ms
        self._frozen: dict[str, None] = {}

    async def run(self) -> None:
        """Until cancelled, which is safe at any point: what is due stays due."""
        while True:
            await self.beat()
            await self._clock.sleep_ms(self._period_ms)

    async def beat(self) -> None:
        """One beat. A sale whose store is away is left for the next one."""
        await self.sweep(self._sales())

    async def sweep(self, sales: Collection[str]) -> None:
        """These, now. Never raises but when cancelled."""
        for sale_id in tuple(sales):
            try:
                await self._sweep(sale_id)
            except UnknownSaleError:
                pass  # announced, and not opened (yet)
            except LedgerError as error:
                log.warning("a sale could not be swept", sale=sale_id, why=error.code)
            except Exception:
                log.exception("a sale could not be swept, in a way nobody foresaw", sale=sale_id)

    async def _sweep(self, sale_id: str) -> None:
        for _ in range(ROUNDS_MAX):
            swept = await self._ledger.expire(sale_id)
            if swept.expired:
                self._on_expired(swept.expired)
            self._on_view(swept.view)
            self._tell_frozen(swept.view)
            if not swept.more:
                return

    def _tell_frozen(self, view: StockView) -> None:
        if view.status is not SaleStatus.FROZEN:
            self._frozen.pop(view.sale_id, None)
        elif view.sale_id not in self._frozen:
            remedy = f"liveserver ledger rebuild {view.sale_id} --dry-run"
            log.error("a sale is frozen: nothing of it is sold", sale=view.sale_id, tells_why=remedy)
            self._frozen[view.sale_id] = None
            if len(self._frozen) > FROZEN_MAX:
                del self._frozen[next(iter(self._frozen))]
