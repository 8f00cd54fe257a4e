"""What the handlers need of the world around them. The hub and the stock layer provide it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, NamedTuple, Protocol

from liveserver.core.clock import Clock
from liveserver.core.identity import Identity
from liveserver.core.room import Room
from liveserver.stock.port import Ledger, Order, Reservation, StockView, Verdict
from liveserver.store.port import Place
from protocol.commands import Join
from protocol.events import Event
from protocol.replies import Reply
from protocol.types import Danmaku, Gift

from .session import Session

Decide = Callable[[Room], Event | None]
NoticeKind = Literal[
    "reservationExpired",
    "reservationReleased",
    "reservationConfirmed",
    "reservationRefundDue",
    "reservationReturned",
    "reservationFrozen",
    "reservationServed",
    "reservationSkipped",
]


class Said:
    """Instead of a reply: it was said already, where it had to be in order with what came behind it."""


SAID: Final = Said()


class LiveRoom(Protocol):
    """A room as this process holds it."""

    @property
    def view(self) -> Room:
        """The projection, up to date as far as this process knows."""
        ...

    def is_buyer(self, user_id: str) -> bool:
        """Has this process granted this user units of a sale of this room?"""
        ...

    def offer_danmaku(self, danmaku: Danmaku, priority: int, ticket: tuple[Session, str]) -> None:
        """Its receipt follows at the tick."""
        ...

    def offer_gift(self, gift: Gift) -> None: ...

    def add_likes(self, taps: int) -> None: ...

    async def publish(
        self,
        command_id: str,
        decide: Decide,
        stream_time_ms: int | None = None,
        *,
        makes: Callable[[Event], bool] | None = None,
    ) -> tuple[int, int, bool]:
        """Append what ``decide`` makes of the room as it then is, and broadcast it. ``decide`` is called
        again whenever another process was faster; None from it means it is so already. Returns
        (epoch, offset, duplicate). Where the event of this id is still in the log and ``makes`` denies it,
        ``CommandError`` conflict: the id was another command's. Cancelled or timed out, it may have happened:
        the same command id again tells the truth."""
        ...

    async def catch_up(self) -> bool:
        """Read what the store has by now. True: there was something new. ``CommandError`` unavailable."""
        ...

    async def check_id(self, command_id: str, makes: Callable[[Event], bool]) -> None:
        """``CommandError`` conflict as of ``publish``, for who does something else before he publishes."""
        ...

    async def announce_sale(self, sale_id: str) -> None: ...

    async def is_announced(self, sale_id: str) -> bool: ...

    def observe(self, view: StockView) -> bool:
        """What a reply of the ledger said of a sale of this room. True: the room has heard of it."""
        ...


class Rooms(Protocol):
    async def open(self, room: str) -> LiveRoom:
        """The room, loaded. Held while sessions are in it or somebody works on it."""
        ...

    def held(self, room: str) -> LiveRoom | None: ...

    def join(self, session: Session, command: Join) -> Awaitable[None] | Said:
        """Adds the session, says the reply and writes what it has missed, in one turn of the loop: in this
        one, if nothing has to be looked up for it."""
        ...

    def leave(self, session: Session, room: str) -> None: ...

    def notify_muted(self, room: str, user_id: str, until_ms: int) -> None: ...


class Stock(Protocol):
    @property
    def ledger(self) -> Ledger: ...

    def purchase(self, sale_id: str, order: Order, *, attempt: int) -> Verdict | asyncio.Future[Verdict]:
        """At once if it is known to be sold out, else gathered with the orders of this moment. The future
        never raises for the ledger's troubles, but ``LedgerError`` for an unknown sale or item.
        ``attempt`` 0: this command id was never sent before."""
        ...

    def observe(self, view: StockView) -> None:
        """Tell every room of the sale what a reply of the ledger said."""
        ...

    def notify(self, kind: NoticeKind, reservation: Reservation) -> None:
        """Tell the owner, wherever connected, what became of a reservation. At most once."""
        ...


class Places(Protocol):
    """Where a sale is shown: its rooms, and the shelf (``store.port.SHELF``). ``CommandError`` if the store
    is away."""

    async def put(self, sale_id: str, place: str, shown: Place, *, closes_at_ms: int) -> None:
        """``CommandError`` sale_rooms_full beyond ``protocol.limits.ROOMS_PER_SALE_MAX``."""
        ...

    async def of(self, sale_id: str) -> dict[str, Place]: ...


class Shelf(Protocol):
    """Sales that are sold outside any room."""

    async def sells(self, sale_id: str) -> bool:
        """As this process knew it within the last second."""
        ...


class KillSwitch(Protocol):
    """While it is on, no sale opens, resumes or is attached, and every one is frozen."""

    async def check(self) -> None:
        """Asks the store. ``CommandError`` all_frozen if it is on."""
        ...

    async def check_opened(self, sale_id: str) -> None:
        """Asks once more, the sale being open: if it is on now, the sale is frozen, and all_frozen raised."""
        ...


class Context(Protocol):
    @property
    def clock(self) -> Clock: ...

    @property
    def rooms(self) -> Rooms: ...

    @property
    def stock(self) -> Stock: ...

    @property
    def places(self) -> Places: ...

    @property
    def shelf(self) -> Shelf: ...

    @property
    def kill_switch(self) -> KillSwitch: ...

    @property
    def process(self) -> str: ...

    @property
    def keepalive_ms(self) -> int: ...

    def verify(self, token: str) -> Identity:
        """Raises ``CommandError`` with bad_token or token_expired."""
        ...

    def admit(self, session: Session, identity: Identity) -> None:
        """The session is this identity's from now on."""
        ...

    def blocked_word(self, text: str) -> str | None: ...

    def danmaku_id(self) -> str:
        """A new id, short, unique over processes and restarts."""
        ...


class Later(NamedTuple):
    """A reply that needs no task: once ``asked`` is done, ``reply`` makes it of that. It may raise
    ``CommandError``, as handlers do."""

    asked: asyncio.Future[Any]
    reply: Callable[[asyncio.Future[Any]], Reply]


async def decided(asked: Verdict | asyncio.Future[Verdict]) -> Verdict:
    """What ``Stock.purchase`` answered, once it is known: for whoever has a task of his own to wait in.
    Raises ``LedgerError``. Cancelled: an order not yet sent is withdrawn, a sent one may take effect."""
    return asked if isinstance(asked, Verdict) else await asked


Answer = Later | Awaitable[Reply | None] | Reply | Said | None
