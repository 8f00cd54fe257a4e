"""Where rows go: the port, and what an order service can answer to one row. Pure."""

from __future__ import annotations

from typing import Protocol

import msgspec

from liveserver.orders.rows import OrderRow


class Taken(msgspec.Struct, frozen=True):
    """It has this row."""


class Refused(msgspec.Struct, frozen=True):
    """It will never take this row."""

    why: str


class Failed(msgspec.Struct, frozen=True):
    """It may take it later; perhaps it has it already. ``quiet_ms``: it asks to be left alone so long."""

    why: str
    quiet_ms: int = 0


Answer = Taken | Refused | Failed


class Sink(Protocol):
    async def deliver(self, row: OrderRow) -> Answer:
        """Never raises but when cancelled; then the row may have been taken. Answers within its own time."""
        ...
