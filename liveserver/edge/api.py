"""What HTTP asks of the program behind it. ``app`` implements this on the ledger and the rooms.

Every method may raise ``protocol.errors.CommandError``; its code decides the HTTP status (``problem.py``).
Roles, rooms of a token, ids and bodies are checked before a method is called, with one exception that only
the implementation can know: a streamer may see and open sales of his own rooms alone (``forbidden`` or
``unknown_sale`` for others). A cancelled call may have run: the same key again tells the truth.
"""

from __future__ import annotations

from typing import Annotated, Protocol

from msgspec import Meta

from liveserver.core.identity import Identity
from protocol.commands import OpenSale
from protocol.limits import LINES_PER_ORDER_MAX
from protocol.replies import Done, PurchaseOutcome
from protocol.shape import Shape, StrictShape
from protocol.types import HeldReservation, Id, ListingDraft, OrderLine, Stock

ORDERS_PAGE_MAX = 500


class OrderRow(Shape):
    """One change of one reservation, as the sale's feed has it."""

    cursor: str  # its place in the feed: ``after`` of the page behind it
    at_ms: int
    user_id: Id
    reservation: HeldReservation  # as it was after this change


class OrderPage(Shape):
    """Rows in the feed's order. ``next`` is the ``after`` to go on with; where nothing is new it is the one
    that was given."""

    orders: list[OrderRow]
    next: str


class PurchaseOrder(StrictShape):
    """A purchase that a shop's backend makes for one of its users. ``attempt`` as in ``purchase``."""

    user_id: Id
    lines: Annotated[list[OrderLine], Meta(min_length=1, max_length=LINES_PER_ORDER_MAX)]
    attempt: Annotated[int, Meta(ge=0, le=1_000)] = 0


class RestApi(Protocol):
    def ready(self) -> list[str]:
        """Why this process should get no traffic now; empty: it may."""
        ...

    async def publish_listing(
        self, identity: Identity, room: str, listing: ListingDraft, command_id: str
    ) -> Done: ...

    async def open_sale(self, identity: Identity, command: OpenSale) -> Done:
        """``command.id`` is the request's key, ``command.room`` its room."""
        ...

    async def purchase(
        self, identity: Identity, sale_id: str, order: PurchaseOrder, command_id: str
    ) -> PurchaseOutcome:
        """Every outcome but ``pending`` and ``unavailable``, which are raised."""
        ...

    async def confirm(self, identity: Identity, reservation_id: str, command_id: str) -> HeldReservation:
        """As it now is: ``confirmed``, or ``refund_due`` for what was paid too late; confirming twice is the
        same as once."""
        ...

    async def release(self, identity: Identity, reservation_id: str, command_id: str) -> HeldReservation:
        """As it now is; releasing twice is the same as once."""
        ...

    async def return_order(
        self, identity: Identity, reservation_id: str, command_id: str, limit_back: bool
    ) -> HeldReservation:
        """As it now is; returning twice is the same as once."""
        ...

    async def reservation(self, identity: Identity, reservation_id: str) -> HeldReservation: ...

    async def lookup(
        self, identity: Identity, sale_id: str, user_id: str, command_id: str
    ) -> HeldReservation:
        """What became of a purchase whose answer was lost; ``unknown_reservation``: it granted nothing."""
        ...

    async def stock(self, identity: Identity, sale_id: str) -> Stock: ...

    async def orders(self, identity: Identity, sale_id: str, after: str, limit: int) -> OrderPage:
        """Rows behind the cursor ``after`` (empty: from the start), at most ``limit`` of them."""
        ...
