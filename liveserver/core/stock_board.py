"""The newest stock of each sale of a room, and which of them the next tick must tell.

The greater ``(epoch, seq)`` wins, always; an older one changes nothing. Of a closed sale the last word is
kept for a while, so that a late one can't bring it back; the longest closed are forgotten.
"""

from __future__ import annotations

from protocol.types import Stock

from .limits import BOARD_CLOSED_SALES_MAX


class StockBoard:
    def __init__(self, closed_max: int = BOARD_CLOSED_SALES_MAX) -> None:
        self._closed_max = closed_max
        self._newest: dict[str, Stock] = {}
        self._closed: dict[str, None] = {}  # sale ids, the longest closed first
        self._changed: dict[str, None] = {}  # sale ids, since the last take
        self._superseded = 0

    def offer(self, stock: Stock) -> bool:
        """Whether it is newer than what was known, and will be told."""
        known = self._newest.get(stock.sale_id)
        if known is not None and (stock.epoch, stock.seq) <= (known.epoch, known.seq):
            return False
        self._newest[stock.sale_id] = stock
        if stock.sale_id in self._changed:
            self._superseded += 1
        self._changed[stock.sale_id] = None
        self._note_closing(stock)
        return True

    def take(self) -> tuple[list[Stock], int]:
        """What changed since the last take, one per sale, and how many offers it superseded: offers that
        were newer, since the last take = len(list) + superseded."""
        changed = [self._newest[sale_id] for sale_id in self._changed]
        superseded = self._superseded
        self._changed.clear()
        self._superseded = 0
        return changed, superseded

    def all(self) -> list[Stock]:
        return list(self._newest.values())

    def _note_closing(self, stock: Stock) -> None:
        if stock.status != "closed":  # for good: a closed sale never opens again
            return
        self._closed.setdefault(stock.sale_id)
        if len(self._closed) > self._closed_max:
            self._forget(next(iter(self._closed)))

    def _forget(self, sale_id: str) -> None:
        del self._closed[sale_id]
        del self._newest[sale_id]
        if sale_id in self._changed:
            del self._changed[sale_id]
            self._superseded += 1  # it was newer, and will not be told
