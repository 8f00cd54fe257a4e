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
from protocol.commands import Command, OpenSale
from protocol.limits import LINES_PER_ORDER_MAX
from protocol.replies import Done, PurchaseOutcome
from protocol.shape import Shape, StrictShape
from protocol.types import HeldReservation, Id, ListingDraft, OrderLine, SaleView

ORDERS_PAGE_MAX = 500
SALES_PAGE_MAX = 100


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


class SalePage(Shape):
    """``next`` is the ``after`` to go on with; empty: these were the last."""

    sales: list[SaleView]
    next: str = ""


class SalePlace(Shape):
    room: Id
    listing_id: Id
    home: bool = False  # it was opened in this room, which steers it
    selling: bool = True  # false: detached


class SalePlaces(Shape):
    rooms: list[SalePlace]
    on_shelf: bool = False


class FreezeAll(Shape):
    """``reason``: one line, told to whoever is refused by it."""

    reason: str = ""


class FreezeAllState(Shape):
    """The switch. ``done``: a pass over all sales found none left to freeze, and every holder was told."""

    on: bool
    at_ms: int = 0
    actor: str = ""
    reason: str = ""
    done: bool = False
    frozen: int = 0  # sales, so far
    failed: list[str] = []  # of the last pass: the sale and why; they are tried again


class RestApi(Protocol):
    def ready(self) -> list[str]:
        """Why this process should get no traffic now; empty: it may."""
        ...

    def leaving_ms(self) -> int:
        """0: commands are taken. Else this process ends and takes no new ones: the milliseconds after which
        to try again, here or wherever the address then leads."""
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
        """As it now is; releasing twice is the same as once. A streamer may, if the sale was opened in a room
        of his; else ``unknown_reservation``, as for one that isn't."""
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

    async def carry_out(self, identity: Identity, command: Command) -> Done:
        """A command of a sale, as a socket would say it; its id is the request's key."""
        ...

    async def sale(self, identity: Identity, sale_id: str) -> SaleView:
        """Of a shelf's sale everybody may ask, of another whoever may see it. As known within a second."""
        ...

    async def sales(self, identity: Identity, after: str, limit: int) -> SalePage: ...

    async def places(self, identity: Identity, sale_id: str) -> SalePlaces: ...

    async def freeze_all(self, identity: Identity, reason: str, command_id: str) -> FreezeAllState:
        """The switch is on when this answers; the sales follow, and ``freeze_all_state`` says how far."""
        ...

    async def freeze_all_state(self) -> FreezeAllState: ...

    async def lift_freeze_all(self) -> FreezeAllState: ...

    async def orders(self, identity: Identity, sale_id: str, after: str, limit: int) -> OrderPage:
        """Rows behind the cursor ``after`` (empty: from the start), at most ``limit`` of them."""
        ...
