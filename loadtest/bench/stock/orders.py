"""Orders to measure with: distinct users and commands, ids of 20 bytes, from a seed."""

from __future__ import annotations

import random
from typing import Final

from liveserver.stock.port import Line, Order

CALL_ORDERS: Final = 100
_LINES: Final = (Line("i0", 1),)
_SPREAD: Final = 0x9E3779B97F4A7C15  # odd, so that multiplying by it modulo 2**64 meets no number twice
_MASK: Final = 2**64 - 1


class Orders:
    """Never the same user or command twice; ids don't rise, as real ones don't."""

    def __init__(self, seed: int) -> None:
        self._next = 0
        self._salt = random.Random(seed).getrandbits(64)

    def batch(self, count: int = CALL_ORDERS) -> list[Order]:
        first, self._next = self._next, self._next + count
        return [self._order(number) for number in range(first, first + count)]

    def batches(self, orders: int) -> list[list[Order]]:
        return [self.batch() for _ in range(max(1, orders // CALL_ORDERS))]

    def _order(self, number: int) -> Order:
        mixed = (number * _SPREAD + self._salt) & _MASK
        return Order(f"usr-{mixed:016x}", f"cmd-{mixed ^ self._salt:016x}", _LINES)
