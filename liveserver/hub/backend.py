"""What the REST API asks for, on the same handlers and ledger as the sockets: ``edge.api.RestApi``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from liveserver.commands import confirm, critical, open_sale, release, return_order
from liveserver.commands.ports import Context
from liveserver.commands.purchase import RETRY_MS, outcome_of
from liveserver.commands.reservations import held, ledger_errors
from liveserver.commands.reservations import stock as wire_stock
from liveserver.commands.session import Session
from liveserver.core.identity import Identity
from liveserver.core.limits import SessionRates
from liveserver.core.rate import SessionLimits
from liveserver.edge.api import ORDERS_PAGE_MAX, OrderPage, OrderRow, PurchaseOrder
from liveserver.stock.feed import read_feed
from liveserver.stock.port import (
    Line,
    Order,
    Outcome,
    ReservationState,
    UnknownReservationError,
    Verdict,
)
from protocol.commands import Confirm, OpenSale, PublishListing, Release, Return
from protocol.errors import CommandError
from protocol.replies import Done, PurchaseOutcome, ReservationChanged
from protocol.types import HeldReservation, ListingDraft, Role, Stock

from .order_rows import Changed, changes_of
from .store_errors import store_errors

PLACE_DIGITS_MAX = 18  # of an epoch or seq; what the feed's ids can hold


class Backend:
    """One caller, one short session: no connection, no rate of its own."""

    def __init__(self, context: Context, *, feed_client: Redis, unready: Callable[[], list[str]]) -> None:
        self._context = context
        self._feed_client = feed_client
        self._unready = unready

    def ready(self) -> list[str]:
        return self._unready()

    async def publish_listing(
        self, identity: Identity, room: str, listing: ListingDraft, command_id: str
    ) -> Done:
        command = PublishListing(id=command_id, room=room, listing=listing)
        return await critical.handle(self._context, _caller(identity), command)

    async def open_sale(self, identity: Identity, command: OpenSale) -> Done:
        return await open_sale.handle(self._context, _caller(identity), command)

    async def purchase(
        self, identity: Identity, sale_id: str, order: PurchaseOrder, command_id: str
    ) -> PurchaseOutcome:
        lines = tuple(Line(line.item_id, line.quantity) for line in order.lines)
        wanted = Order(user_id=order.user_id, command_id=command_id, lines=lines)
        with ledger_errors():
            asked = self._context.stock.purchase(sale_id, wanted, attempt=order.attempt)
            verdict = asked if isinstance(asked, Verdict) else await asked
        if verdict.outcome in (Outcome.PENDING, Outcome.UNAVAILABLE):
            raise CommandError(verdict.outcome.value, retry_ms=RETRY_MS[verdict.outcome])
        return outcome_of(self._context, sale_id, command_id, verdict)

    async def confirm(self, identity: Identity, reservation_id: str, command_id: str) -> HeldReservation:
        command = Confirm(id=command_id, reservation_id=reservation_id)
        return await _reservation(confirm.handle(self._context, _caller(identity), command))

    async def release(self, identity: Identity, reservation_id: str, command_id: str) -> HeldReservation:
        command = Release(id=command_id, reservation_id=reservation_id)
        return await _reservation(release.handle(self._context, _caller(identity), command))

    async def return_order(
        self, identity: Identity, reservation_id: str, command_id: str, limit_back: bool
    ) -> HeldReservation:
        command = Return(id=command_id, reservation_id=reservation_id, limit_back=limit_back)
        return await _reservation(return_order.handle(self._context, _caller(identity), command))

    async def reservation(self, identity: Identity, reservation_id: str) -> HeldReservation:
        with ledger_errors():
            return held(await self._context.stock.ledger.reservation(reservation_id))

    async def lookup(
        self, identity: Identity, sale_id: str, user_id: str, command_id: str
    ) -> HeldReservation:
        with ledger_errors():
            found = await self._context.stock.ledger.lookup(sale_id, user_id, command_id)
            if found is None:
                raise UnknownReservationError("this purchase granted nothing")
        return held(found)

    async def stock(self, identity: Identity, sale_id: str) -> Stock:
        await self._may_see(identity, sale_id)
        with ledger_errors():
            return wire_stock(await self._context.stock.ledger.view(sale_id))

    async def orders(self, identity: Identity, sale_id: str, after: str, limit: int) -> OrderPage:
        await self._may_see(identity, sale_id)
        place = _place(after)
        with store_errors(reading=True):
            rows = await read_feed(
                self._feed_client, sale_id, after=place, rows_max=min(limit, ORDERS_PAGE_MAX) + 1
            )
        if not rows and not after:
            with ledger_errors():
                await self._context.stock.ledger.view(sale_id)  # an unknown sale is said to be one
        changes = [change for row in rows for change in changes_of(sale_id, row) if change.place > place]
        page = [await self._order(change) for change in changes[:limit]]
        if page:
            last = page[-1].cursor
        elif rows:
            last = f"{rows[-1].epoch}-{rows[-1].last}"
        else:
            last = after
        return OrderPage(orders=page, next=last)

    async def _order(self, change: Changed) -> OrderRow:
        """The feed names a reservation; what it is of, the ledger knows."""
        with ledger_errors():
            now = held(await self._context.stock.ledger.reservation(change.reservation_id))
        epoch, seq = change.place
        return OrderRow(
            cursor=f"{epoch}-{seq}",
            at_ms=change.at_ms,
            user_id=change.user_id,
            reservation=_as_of(now, change.state),
        )

    async def _may_see(self, identity: Identity, sale_id: str) -> None:
        """A streamer's token is for rooms: he sees the sales that were opened in them."""
        if identity.role is Role.SERVICE or "*" in identity.rooms:
            return
        for room in identity.rooms:
            live = await self._context.rooms.open(room)
            if sale_id in live.view.sales:
                return
        raise CommandError("unknown_sale", field="saleId")


def _caller(identity: Identity) -> Session:
    session = Session("rest", SessionLimits(SessionRates()), lambda _: None)
    session.identity = identity
    return session


async def _reservation(answer: Awaitable[ReservationChanged]) -> HeldReservation:
    return (await answer).reservation


def _as_of(now: HeldReservation, state: ReservationState) -> HeldReservation:
    return HeldReservation(
        reservation_id=now.reservation_id,
        sale_id=now.sale_id,
        command_id=now.command_id,
        state=state.value,
        lines=now.lines,
        expires_at_ms=now.expires_at_ms,
    )


def _place(after: str) -> tuple[int, int]:
    if not after:
        return 0, 0
    epoch, _, seq = after.partition("-")
    if not all(text.isascii() and text.isdigit() and len(text) <= PLACE_DIGITS_MAX for text in (epoch, seq)):
        raise CommandError("invalid_field", "a cursor is the `next` of an earlier page", field="after")
    return int(epoch), int(seq)
