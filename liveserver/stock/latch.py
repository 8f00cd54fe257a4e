"""The sold-out latch: most of a rush comes when nothing is left, and need not ask the store to hear so.

Pure; time is an argument. It keeps the newest view of each sale, and an item that this view shows at 0 is
latched. An order that wants a latched item is sold out at that view's ``(epoch, seq)``: the feed folded up
to there has none of it, whatever else the order wants.

What holds: an older view changes nothing; any newer one decides anew, so a unit that came back unlatches;
only an open sale is latched, until its own clock closes it; every ``PROBE_MS`` one order of the sale goes
to the store instead, and brings the news of other processes home; without news for ``STALE_MS`` (a store
that is away) nothing is answered here. It doesn't know command ids: whoever asks sends only first attempts
here, since an attempt that is repeated may have been granted.

        view at a newer (epoch, seq)                        the same (epoch, seq) again
  open, some item at 0  -> latched, fresh                   fresh
  anything else         -> not latched
"""

from __future__ import annotations

from typing import Final

import msgspec

from liveserver.stock import limits
from liveserver.stock.port import Order, SaleStatus, StockView

PROBE_MS: Final = 500
STALE_MS: Final = 2 * PROBE_MS  # one probe may be lost


class _Known(msgspec.Struct):
    """Of one sale: its newest view, when it was last confirmed, and when the next order goes through."""

    view: StockView
    fresh_until_ms: int
    probe_at_ms: int


class SoldOutLatch:
    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def learn(self, view: StockView, now_ms: int) -> None:
        """Any view of any reply, in whichever order they come."""
        known = self._known.get(view.sale_id)
        if known is not None and (view.epoch, view.seq) < (known.view.epoch, known.view.seq):
            return
        if known is None and len(self._known) >= limits.SALES_SEEN_MAX:
            del self._known[next(iter(self._known))]
        self._known[view.sale_id] = _Known(view, now_ms + STALE_MS, now_ms + PROBE_MS)

    def sold_out(self, sale_id: str, order: Order, now_ms: int) -> tuple[int, int] | None:
        """The ``(epoch, seq)`` at which this order is sold out; None: ask the store. Only for a first
        attempt."""
        known = self._known.get(sale_id)
        if known is None or not _wants_what_is_gone(known.view, order):
            return None
        if now_ms >= min(known.fresh_until_ms, known.view.closes_at_ms):
            return None
        if now_ms >= known.probe_at_ms:
            known.probe_at_ms = now_ms + PROBE_MS
            return None
        return known.view.epoch, known.view.seq

    def forget(self, sale_id: str) -> None:
        self._known.pop(sale_id, None)


def _wants_what_is_gone(view: StockView, order: Order) -> bool:
    """One of its items is at 0, nobody may wait for it, and it names no item the sale hasn't (the store says
    what is wrong then)."""
    if view.status is not SaleStatus.OPEN or view.waitlist:
        return False
    left = [view.available.get(line.item_id) for line in order.lines]
    return None not in left and 0 in left
