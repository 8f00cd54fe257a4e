"""What many clients asked of one sale at once, and what each was told: the history a checker judges.

Pure. Times are of one monotonic clock, in any unit. An operation without an ``end`` is *unknown*: nobody
knows whether it ran, it may also run later. One that was answered ``NOTHING_RAN`` certainly did nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from liveserver.stock.checks import numbered_lines
from liveserver.stock.ids import reservation_id
from liveserver.stock.port import (
    Change,
    Ledger,
    LedgerError,
    Line,
    Order,
    Reservation,
    StockView,
    Swept,
    Verdict,
    WrongStateError,
)
from liveserver.stock.rows import (
    Adjusted,
    AnyRow,
    Closed,
    Confirmed,
    ConfirmedLate,
    Expired,
    Paused,
    RefundDue,
    Released,
    Reserved,
    Resumed,
    Returned,
    Served,
    Skipped,
    Waited,
)

NOTHING_RAN: Final = "certainly not executed"


class Kind(StrEnum):
    PURCHASE = "purchase"
    CONFIRM = "confirm"
    RELEASE = "release"
    RETURN = "return"
    ADJUST = "adjust"
    PAUSE = "pause"
    RESUME = "resume"
    CLOSE = "close"
    EXPIRE = "expire"
    VIEW = "view"
    LOOKUP = "lookup"
    RESERVATIONS = "reservations"


class Asked(msgspec.Struct, frozen=True):
    kind: Kind
    sale_id: str = "s1"
    user_id: str = ""
    command_id: str = ""
    place: int = 0  # of the reservation to be ended
    lines: tuple[Line, ...] = ()
    item_id: str = ""
    delta: int = 0
    limit_back: bool = False

    def of(self, ledger: Ledger) -> Awaitable[object]:
        """Asks any ledger, the model or the real one, for just this."""
        command_id, named = self.command_id, reservation_id(self.sale_id, self.user_id, self.place)
        match self.kind:
            case Kind.PURCHASE:
                return _first(ledger, self.sale_id, self.order)
            case Kind.CONFIRM:
                return ledger.confirm(named, command_id=command_id)
            case Kind.RELEASE:
                return ledger.release(named, command_id=command_id, user_id=self.user_id)
            case Kind.RETURN:
                return ledger.return_order(named, command_id=command_id, limit_back=self.limit_back)
            case Kind.ADJUST:
                return ledger.adjust(
                    self.sale_id, self.item_id, self.delta, actor="eve", reason="", command_id=command_id
                )
            case Kind.PAUSE:
                return ledger.pause(self.sale_id, actor="eve", command_id=command_id)
            case Kind.RESUME:
                return ledger.resume(self.sale_id, actor="eve", command_id=command_id)
            case Kind.CLOSE:
                return ledger.close(self.sale_id, actor="eve", command_id=command_id)
            case Kind.EXPIRE:
                return ledger.expire(self.sale_id)
            case Kind.VIEW:
                return ledger.view(self.sale_id)
            case Kind.LOOKUP:
                return ledger.lookup(self.sale_id, self.user_id, command_id)
            case Kind.RESERVATIONS:
                return ledger.reservations_of(self.sale_id, self.user_id)

    @property
    def order(self) -> Order:
        return Order(self.user_id, self.command_id, self.lines)


async def _first(ledger: Ledger, sale_id: str, order: Order) -> Verdict:
    verdicts, _ = await ledger.reserve(sale_id, [order])
    return verdicts[0]


class Refused(msgspec.Struct, frozen=True):
    """An error of the ledger, as something to compare."""

    code: str
    reservation: Reservation | None = None

    @classmethod
    def of(cls, error: LedgerError) -> Refused:
        return cls(error.code, error.reservation if isinstance(error, WrongStateError) else None)


Answer = object
"""What the port answers: Verdict, Change, StockView, Swept, a reservation or several, or ``Refused``."""


class Op(msgspec.Struct):
    """One operation. ``latched`` was answered by its process alone, from a view it had learnt."""

    number: int
    asked: Asked
    start: int
    end: int | None = None
    answer: Answer = None
    process: int = 0
    latched: bool = False

    @property
    def known(self) -> bool:
        return self.end is not None

    def __str__(self) -> str:
        return f"operation {self.number} ({self.asked.kind})"


def position(answer: Answer) -> int | None:
    """The seq at which the answer says it is true. None: it doesn't say."""
    match answer:
        case Verdict():
            return answer.seq
        case Change() | Swept():
            return answer.view.seq
        case StockView():
            return answer.seq
        case _:
            return None


UNASKED: Final = (Expired, Served, Skipped)  # by the clock, and by whoever freed a unit

Claim = tuple[object, ...]
"""What a change of the feed and the operation that made it have in common, and nobody else has."""


def claim_of(asked: Asked, number_of: Mapping[str, int]) -> Claim | None:
    match asked.kind:
        case Kind.PURCHASE:
            return asked.kind, asked.user_id, asked.command_id, numbered_lines(asked.order, number_of)
        case Kind.CONFIRM | Kind.RELEASE:
            return asked.kind, asked.user_id, asked.place, asked.command_id
        case Kind.RETURN:
            return asked.kind, asked.user_id, asked.place, asked.command_id, asked.limit_back
        case Kind.ADJUST:
            return asked.kind, asked.command_id, number_of[asked.item_id], asked.delta
        case Kind.PAUSE | Kind.RESUME | Kind.CLOSE:
            return asked.kind, asked.command_id
        case _:
            return None


def claim_on(row: AnyRow) -> Claim | None:
    """Of a row of one change. None: nobody asked for it (``UNASKED``)."""
    match row:
        case Reserved() | Waited():
            (one,) = row.orders
            return Kind.PURCHASE, one.ref.user_id, one.command_id, one.lines
        case Confirmed() | ConfirmedLate() | RefundDue():
            return Kind.CONFIRM, row.ref.user_id, row.ref.place, row.command_id
        case Released():
            return Kind.RELEASE, row.ref.user_id, row.ref.place, row.command_id
        case Returned():
            return Kind.RETURN, row.ref.user_id, row.ref.place, row.command_id, row.limit_back
        case Adjusted():
            return Kind.ADJUST, row.command_id, row.item, row.delta
        case Paused():
            return Kind.PAUSE, row.command_id
        case Resumed():
            return Kind.RESUME, row.command_id
        case Closed():
            return Kind.CLOSE, row.command_id
        case _:
            return None


def changes(row: AnyRow) -> list[AnyRow]:
    """A row of several orders as rows of one order each."""
    if not isinstance(row, Reserved | Waited):
        return [row]
    return [
        msgspec.structs.replace(row, first=row.first + k, last=row.first + k, orders=(one,))
        for k, one in enumerate(row.orders)
    ]
