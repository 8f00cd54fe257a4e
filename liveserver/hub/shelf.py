"""Sales as pages outside any room see them (商品卡): what this process knew within the last second.

However many ask, a sale is looked up once a second at most, a sale nobody knows as well; in between, every
reply of the ledger that passes through this process brings it up to date.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from liveserver.commands.reservations import ledger_errors
from liveserver.core.clock import Clock
from liveserver.stock.port import Ledger, SaleSpec, StockView, UnknownSaleError
from liveserver.store.port import Place
from protocol.errors import CommandError
from protocol.types import SaleView

from .places import KnownPlaces

LOOK_EVERY_MS = 1_000
SALES_MAX = 1_000  # known at a time; the one looked up longest ago goes
LOOKS_AT_ONCE = 8
STRANGERS_PER_S_MAX = 200  # first looks: so that made-up ids don't cost the store more than this


class Seen(msgspec.Struct):
    """``view`` is None where there is no such sale."""

    at_ms: int
    view: StockView | None = None
    terms: SaleSpec | None = None
    card: Place | None = None


class Shelf:
    """``on_look`` hears which sales are looked at, so that they are swept."""

    def __init__(
        self, ledger: Ledger, places: KnownPlaces, clock: Clock, *, on_look: Callable[[str], None]
    ) -> None:
        self._ledger = ledger
        self._places = places
        self._clock = clock
        self._on_look = on_look
        self._seen: dict[str, Seen] = {}
        self._looking: dict[str, asyncio.Task[Seen]] = {}
        self._at_once = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._strangers = (0, 0)  # the second, first looks in it

    async def sells(self, sale_id: str) -> bool:
        """See ``commands.ports.Shelf``. ``CommandError`` unavailable if the store is away."""
        seen = await self._look(sale_id)
        return seen.view is not None and seen.card is not None

    async def view(self, sale_id: str, *, trusted: bool = False) -> SaleView | None:
        """None: no such sale. ``CommandError`` unavailable if the store is away, or if too many ask for sales
        that weren't looked at lately; ``trusted`` ones are not counted."""
        seen = await self._look(sale_id, trusted=trusted)
        if seen.view is None or seen.terms is None:
            return None
        return sale_view(seen.view, seen.terms, seen.card)

    def observe(self, view: StockView) -> None:
        """A reply of the ledger: newer than what is known, it is what the next one sees."""
        seen = self._seen.get(view.sale_id)
        if seen is None:
            return
        if seen.view is None:
            del self._seen[view.sale_id]  # it has been opened
        elif _position(view) > _position(seen.view):
            seen.view = view

    async def _look(self, sale_id: str, *, trusted: bool = False) -> Seen:
        seen = self._seen.get(sale_id)
        if seen is not None and self._clock.now_ms() - seen.at_ms < LOOK_EVERY_MS:
            return seen
        looking = self._looking.get(sale_id)
        if looking is None:
            if seen is None and not trusted:
                self._admit_a_stranger()
            looking = asyncio.create_task(self._ask(sale_id), name=f"look {sale_id}")
            self._looking[sale_id] = looking
            looking.add_done_callback(lambda _: self._looking.pop(sale_id, None))
        return await asyncio.shield(looking)

    def _admit_a_stranger(self) -> None:
        second = self._clock.now_ms() // 1_000
        count = self._strangers[1] + 1 if self._strangers[0] == second else 1
        self._strangers = second, count
        if count > STRANGERS_PER_S_MAX:
            raise CommandError("unavailable", "too many sales are asked for", retry_ms=1_000)

    async def _ask(self, sale_id: str) -> Seen:
        async with self._at_once:
            seen = Seen(self._clock.now_ms())
            try:
                with ledger_errors():
                    seen.view = await self._ledger.view(sale_id)
                    seen.terms = await self._ledger.terms(sale_id)
            except CommandError as error:
                if not isinstance(error.__cause__, UnknownSaleError):
                    raise
            else:
                seen.card = await self._places.shelf(sale_id)
        before = self._seen.pop(sale_id, None)
        if before is not None and before.view is not None and seen.view is not None:
            seen.view = max(seen.view, before.view, key=_position)  # what was heard while we asked
        self._seen[sale_id] = seen
        if len(self._seen) > SALES_MAX:
            del self._seen[next(iter(self._seen))]
        if seen.card is not None:
            self._on_look(sale_id)
        return seen


def _position(view: StockView) -> tuple[int, int]:
    return view.epoch, view.seq


def sale_view(view: StockView, terms: SaleSpec, card: Place | None) -> SaleView:
    listing = None if card is None else card.listing
    return SaleView(
        sale_id=view.sale_id,
        epoch=view.epoch,
        seq=view.seq,
        status=view.status.value,
        available=view.available,
        on_shelf=listing is not None,
        title=listing.title if listing else "",
        line=listing.line if listing else "",
        photo=listing.photo if listing else "",
        items=listing.items if listing else [],
        limit_per_user=terms.limit_per_user,
        opens_at_ms=terms.opens_at_ms,
        closes_at_ms=terms.closes_at_ms,
        hold_ms=terms.hold_ms,
        spread_ms=terms.spread_ms,
        ships_at_ms=terms.ships_at_ms,
        waitlist=terms.waitlist,
    )
