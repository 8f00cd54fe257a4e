"""The ledger's port: what the rest of the program may ask of the stock counter.

A *sale* is one aggregate: 1 to 32 items under one ``(epoch, seq)``. Every change of a counter or of a
reservation raises ``seq`` by one within an ``epoch``; what a reply says of stock is true at exactly the
``(epoch, seq)`` it carries. ``model.py`` is the executable specification, ``ledger.py`` the real thing;
one contract suite holds for both.

Amounts are integers below 2**53, ids are strings matching ``protocol.types.ID_PATTERN``, times are
milliseconds of the store's own clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec


class Outcome(StrEnum):
    """The closed set a purchase can answer (``pending`` and ``unavailable`` come from the adapter)."""

    RESERVED = "reserved"
    WAITING = "waiting"  # in line for a unit that comes back
    SOLD_OUT = "sold_out"
    LIMIT_REACHED = "limit_reached"
    NOT_STARTED = "not_started"
    PAUSED = "paused"
    FROZEN = "frozen"
    CLOSED = "closed"
    CONFLICT = "conflict"  # the same command id with other parameters
    UNAVAILABLE = "unavailable"  # certainly not executed
    PENDING = "pending"  # unknown: it may have run


class Durability(StrEnum):
    """What a grant had reached before it was answered; FAULTS.md says what each outlives."""

    MEMORY = "memory"  # of one server
    FSYNCED = "fsynced"  # its disk
    REPLICATED = "replicated"  # the memory of as many replicas as were asked for


class ReservationState(StrEnum):
    WAITING = "waiting"  # in line; it holds nothing, and ``expires_at_ms`` is 0
    HELD = "held"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    EXPIRED = "expired"
    REFUND_DUE = "refund_due"  # paid too late, and the units can't be had
    RETURNED = "returned"


class SaleStatus(StrEnum):
    """What the sale says of itself. ``sold_out`` is not a status: it is ``available == 0``.

    ``scheduled`` turns into ``open`` by the clock alone, at the same seq. ``closed`` is always written: the
    first call at or after ``closes_at_ms``, whichever it is, makes it a fact with a seq of its own, so a
    view that says ``closed`` has its row in the feed."""

    SCHEDULED = "scheduled"
    OPEN = "open"
    PAUSED = "paused"
    FROZEN = "frozen"
    CLOSED = "closed"


class SaleItem(msgspec.Struct, frozen=True):
    item_id: str
    stock: int  # units at opening, >= 0


class SaleSpec(msgspec.Struct, frozen=True):
    """What ``open`` is asked for. Opening the same sale id again with an equal spec is a no-op that
    answers the present view; with another spec it raises ``SaleConflictError``."""

    sale_id: str
    items: tuple[SaleItem, ...]  # 1 to 32
    limit_per_user: int  # units held + confirmed per user over the whole sale; 0 means no limit
    opens_at_ms: int  # before it: not_started
    closes_at_ms: int  # mandatory; from it on: closed
    hold_ms: int  # how long a reservation is held before it expires
    waitlist: int = 0  # places in line, over all items; 0: nobody waits
    spread_ms: int = 0  # automatic clients draw their moment inside this window after opening
    ships_at_ms: int = 0  # a presale: its goods ship from then on, after the close; 0: at once


class Line(msgspec.Struct, frozen=True):
    item_id: str
    quantity: int  # 1..MAX_QUANTITY; lines naming the same item are summed first


class Order(msgspec.Struct, frozen=True):
    """One purchase. (sale, user, command id) takes effect at most once."""

    user_id: str
    command_id: str
    lines: tuple[Line, ...]


class StockView(msgspec.Struct, frozen=True):
    """The counters at one ``(epoch, seq)``. Later views have a greater ``(epoch, seq)``."""

    sale_id: str
    epoch: int
    seq: int
    status: SaleStatus
    available: dict[str, int]  # item id -> units anybody may still take
    opens_at_ms: int
    closes_at_ms: int
    held: dict[str, int] = {}
    confirmed: dict[str, int] = {}
    initial: dict[str, int] = {}
    adjusted: dict[str, int] = {}  # item id -> sum of all adjusts
    waitlist: int = 0  # the sale's places in line


class Reservation(msgspec.Struct, frozen=True):
    """Units held for a user. ``reservation_id`` is opaque to everyone but ``stock/ids.py``."""

    reservation_id: str
    sale_id: str
    user_id: str
    command_id: str
    lines: tuple[Line, ...]
    state: ReservationState
    expires_at_ms: int


class Verdict(msgspec.Struct, frozen=True):
    """The answer to one order. ``epoch`` and ``seq`` name the instant it was true at; for ``sold_out``
    the feed folded up to there shows too little for this order."""

    outcome: Outcome
    epoch: int = 0
    seq: int = 0
    reservation: Reservation | None = None
    ahead: int = 0  # of ``waiting``: how many stand before it in the line of its item
    replayed: bool = False  # this command id had been granted before; nothing was done now
    durability: Durability | None = None  # of a grant, as its call proved; refusals have none


class Change(msgspec.Struct, frozen=True):
    """The answer to confirm, release and return: the reservation as it now is, and whether this very
    call changed it (a repeated confirm answers ``changed=False`` and the same reservation)."""

    reservation: Reservation
    changed: bool
    view: StockView


class Swept(msgspec.Struct, frozen=True):
    """The answer to one bounded sweep."""

    expired: list[Reservation]
    view: StockView
    more: bool  # something is due still: sweep again


class Froze(msgspec.Struct, frozen=True):
    """The answer to ``freeze``: whether this very call froze the sale."""

    changed: bool
    view: StockView


class LedgerError(Exception):
    """Base of what the ledger refuses; ``code`` is the stable wire code."""

    code = "ledger_error"


class UnknownSaleError(LedgerError):
    code = "unknown_sale"


class UnknownItemError(LedgerError):
    """Nothing of the call was done. ``orders`` are the places, in the batch, of the orders at fault."""

    code = "unknown_item"

    def __init__(self, text: str, orders: tuple[int, ...] = ()) -> None:
        super().__init__(text)
        self.orders = orders


class OutOfRangeError(LedgerError):
    """The request itself is wrong: a malformed id, a quantity or an amount outside its limits. ``orders``:
    which of a call's orders are at fault, by place."""

    code = "out_of_range"

    def __init__(self, text: str, orders: tuple[int, ...] = ()) -> None:
        super().__init__(text)
        self.orders = orders


class UnknownReservationError(LedgerError):
    code = "unknown_reservation"


class WrongStateError(LedgerError):
    """The transition table has no such edge (releasing what is paid, say)."""

    code = "wrong_state"

    def __init__(self, reservation: Reservation) -> None:
        super().__init__(f"the reservation is {reservation.state}")
        self.reservation = reservation


class SaleConflictError(LedgerError):
    code = "sale_conflict"


class SaleClosedError(LedgerError):
    """Adjusting, pausing and resuming are refused after the close."""

    code = "closed"


class SaleFrozenError(LedgerError):
    """Nothing is confirmed, paused or resumed while the sale is frozen."""

    code = "frozen"


class TooManyAdjustsError(LedgerError):
    """A sale takes ``limits.ADJUSTS_MAX`` adjusts, pauses and resumes: their command ids are remembered as
    long as it lives."""

    code = "too_many_adjusts"


class BelowHeldError(LedgerError):
    """An adjust would take units away that are held or sold."""

    code = "below_held"


class LedgerUnavailableError(LedgerError):
    """Certainly not executed: refused before anything ran."""

    code = "unavailable"


class LedgerPendingError(LedgerError):
    """No answer in time: it may or may not have run. Ask again with the same command id."""

    code = "pending"


class Ledger(Protocol):
    """Every coroutine may be cancelled: the call may then have run or not, and nothing else is harmed
    (the connection it used is dropped). Repeating it with the same command id tells the truth."""

    async def open(self, spec: SaleSpec, *, command_id: str) -> StockView: ...

    def learn(self, view: StockView) -> None:
        """A view that reached this process by another way (the relay, a room's event). A store that is
        found behind what anybody here has seen lost something: it freezes the sale."""
        ...

    async def reserve(self, sale_id: str, orders: Sequence[Order]) -> tuple[list[Verdict], StockView]:
        """A batch (1 to ``limits.BATCH_MAX``) means exactly what its orders one by one mean, in this order.

        First of all the call expires what is due, as one ``expire`` does. Each order is then asked, in this
        order: is its command id known (its reservation as it now is, or ``conflict``); is the sale open; the
        user's limit; the stock. While anybody waits for an item, nobody else is granted it; where the sale
        has a waitlist, an order of one unit takes the last place in line then; else it is ``sold_out``.

        Raises ``UnknownItemError`` or ``OutOfRangeError`` before anything is done. A refusal of the whole
        call that certainly changed nothing is ``LedgerUnavailableError``; no answer is
        ``LedgerPendingError``."""
        ...

    async def confirm(self, reservation_id: str, *, command_id: str) -> Change:
        """It was paid. The reservation is ``confirmed`` then, or ``refund_due``: its hold had ended, and the
        units are gone, or the limit is reached, or the sale is closed or frozen. That is final, and whoever
        took the money gives it back. A hold past its due expires first, as by ``expire``. Of what is still
        held in a frozen sale it raises ``SaleFrozenError``: when it is due, a payment becomes a refund."""
        ...

    async def release(self, reservation_id: str, *, command_id: str, user_id: str | None = None) -> Change:
        """``user_id`` given: only that user's reservation, a stranger's is unknown to him."""
        ...

    async def return_order(self, reservation_id: str, *, command_id: str, limit_back: bool) -> Change:
        """What was confirmed comes back: its units are available again, also in a sale that is over. With
        ``limit_back`` its user may buy as many again; what the first return said holds."""
        ...

    async def expire(self, sale_id: str) -> Swept:
        """One bounded sweep: what was due is expired and its units are available again."""
        ...

    async def adjust(
        self, sale_id: str, item_id: str, delta: int, *, actor: str, reason: str, command_id: str
    ) -> StockView: ...

    async def pause(self, sale_id: str, *, actor: str, command_id: str) -> StockView:
        """Nothing is reserved until ``resume``. Holds keep their promise, and their time runs on. Each
        command takes effect once: repeated after a later one, it changes nothing."""
        ...

    async def resume(self, sale_id: str, *, actor: str, command_id: str) -> StockView: ...

    async def freeze(self, sale_id: str, *, actor: str, command_id: str) -> Froze:
        """Buyer protection, the switch that kills a sale: nothing is reserved or confirmed from here on, not
        even what is held. That may still be given back, or expires. Idempotent."""
        ...

    async def held(self, sale_id: str) -> list[Reservation]:
        """At most ``limits.HELD_MAX`` reservations that are held. Complete in a sale that grants nothing
        meanwhile (a frozen one); else it may miss what changes while it is read."""
        ...

    async def close(self, sale_id: str, *, actor: str, command_id: str) -> StockView:
        """Nothing is sold from here on. Idempotent. Holds keep their promise: they may be confirmed until
        they are due, then expire as ever; so a closed sale ends with held = 0."""
        ...

    async def view(self, sale_id: str) -> StockView: ...

    async def terms(self, sale_id: str) -> SaleSpec:
        """What the sale was opened with."""
        ...

    async def lookup(self, sale_id: str, user_id: str, command_id: str) -> Reservation | None: ...

    async def reservation(self, reservation_id: str) -> Reservation: ...

    async def reservations_of(self, sale_id: str, user_id: str) -> list[Reservation]: ...

    async def reservations_of_each(self, sale_id: str, user_ids: Sequence[str]) -> list[list[Reservation]]:
        """Of at most ``limits.LOOKUP_USERS_MAX`` users, in their order, as of one instant."""
        ...
