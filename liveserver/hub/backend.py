"""What the REST API asks for, on the same handlers and ledger as the sockets: ``edge.api.RestApi``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace
from redis.asyncio import Redis

from liveserver.commands import (
    adjust_stock,
    attach_sale,
    close_sale,
    confirm,
    critical,
    detach_sale,
    freeze_sale,
    open_sale,
    open_shelf_sale,
    pause_sale,
    release,
    resume_sale,
    return_order,
)
from liveserver.commands.ports import Context, decided
from liveserver.commands.purchase import RETRY_MS, outcome_of
from liveserver.commands.reservations import held, ledger_errors
from liveserver.commands.sales import may_place
from liveserver.commands.session import Session
from liveserver.core.identity import Identity
from liveserver.core.limits import SessionRates
from liveserver.core.rate import SessionLimits
from liveserver.edge.api import (
    ORDERS_PAGE_MAX,
    FreezeAllState,
    OrderPage,
    OrderRow,
    PurchaseOrder,
    SalePage,
    SalePlace,
    SalePlaces,
)
from liveserver.stock.feed import read_feed
from liveserver.stock.port import (
    Line,
    Order,
    Outcome,
    ReservationState,
    UnknownReservationError,
)
from liveserver.stock.sales import find_sales
from liveserver.store.port import SHELF
from protocol import commands
from protocol.commands import Command, Confirm, OpenSale, PublishListing, Release, Return
from protocol.errors import CommandError
from protocol.replies import Done, PurchaseOutcome, ReservationChanged
from protocol.types import HeldReservation, ListingDraft, Role, SaleView

from .kill_switch import KillSwitch
from .order_rows import Changed, changes_of
from .shelf import Shelf
from .store_errors import store_errors

PLACE_DIGITS_MAX = 18  # of an epoch or seq; what the feed's ids can hold


CARRIED_OUT: dict[type, Callable[[Context, Session, Any], Awaitable[Done]]] = {
    commands.OpenShelfSale: open_shelf_sale.handle,
    commands.AttachSale: attach_sale.handle,
    commands.DetachSale: detach_sale.handle,
    commands.AdjustStock: adjust_stock.handle,
    commands.PauseSale: pause_sale.handle,
    commands.ResumeSale: resume_sale.handle,
    commands.FreezeSale: freeze_sale.handle,
    commands.CloseSale: close_sale.handle,
}


class Backend:
    """One caller, one short session: no connection, no rate of its own."""

    def __init__(
        self,
        context: Context,
        *,
        feed_client: Redis,
        unready: Callable[[], list[str]],
        leaving_ms: Callable[[], int],
        shelf: Shelf,
        kill_switch: KillSwitch,
    ) -> None:
        self._context = context
        self._feed_client = feed_client
        self._unready = unready
        self._leaving_ms = leaving_ms
        self._shelf = shelf
        self._kill_switch = kill_switch

    def ready(self) -> list[str]:
        return self._unready()

    def leaving_ms(self) -> int:
        return self._leaving_ms()

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
            verdict = await decided(self._context.stock.purchase(sale_id, wanted, attempt=order.attempt))
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

    async def carry_out(self, identity: Identity, command: Command) -> Done:
        return await CARRIED_OUT[type(command)](self._context, _caller(identity), command)

    async def sale(self, identity: Identity, sale_id: str) -> SaleView:
        trusted = identity.role in (Role.SERVICE, Role.STREAMER)
        view = await self._shelf.view(sale_id, trusted=trusted)
        if view is not None and view.on_shelf:
            return view
        if view is None or not trusted:
            raise CommandError("unknown_sale", field="saleId")
        await self._may_see(identity, sale_id)
        return await self._named(view)

    async def sales(self, identity: Identity, after: str, limit: int) -> SalePage:
        with store_errors(reading=True):
            sale_ids = [sale_id for sale_id in await find_sales(self._feed_client) if sale_id > after]
        views = [await self._shelf.view(sale_id, trusted=True) for sale_id in sale_ids[:limit]]
        following = sale_ids[limit - 1] if len(sale_ids) > limit else ""
        named = [await self._named(view) for view in views if view is not None]
        return SalePage(sales=named, next=following)

    async def _named(self, view: SaleView) -> SaleView:
        """One on no shelf, by the listing of a room: its own, where it has been opened in one."""
        if view.on_shelf:
            return view
        places = await self._context.places.of(view.sale_id)
        shown = min(places.items(), key=lambda one: (not one[1].home, one[0]), default=None)
        if shown is None:
            return view
        listing = shown[1].listing
        return replace(view, title=listing.title, line=listing.line, photo=listing.photo, items=listing.items)

    async def places(self, identity: Identity, sale_id: str) -> SalePlaces:
        places = await self._context.places.of(sale_id)
        if not may_place(identity, places):
            raise CommandError("unknown_sale", field="saleId")
        if not places:
            with ledger_errors():
                await self._context.stock.ledger.view(sale_id)  # an unknown sale is said to be one
        rooms = [
            SalePlace(room=room, listing_id=at.listing.listing_id, home=at.home, selling=at.selling)
            for room, at in sorted(places.items())
            if room != SHELF
        ]
        return SalePlaces(rooms=rooms, on_shelf=SHELF in places)

    async def freeze_all(self, identity: Identity, reason: str, command_id: str) -> FreezeAllState:
        await self._kill_switch.throw(identity.user_id, reason, command_id)
        return await self.freeze_all_state()

    async def freeze_all_state(self) -> FreezeAllState:
        thrown = await self._kill_switch.read()
        if thrown is None:
            return FreezeAllState(on=False)
        return FreezeAllState(
            on=True,
            at_ms=thrown.at_ms,
            actor=thrown.actor,
            reason=thrown.reason,
            done=thrown.done,
            frozen=thrown.frozen,
            failed=list(thrown.failed),
        )

    async def lift_freeze_all(self) -> FreezeAllState:
        await self._kill_switch.lift()
        return await self.freeze_all_state()

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
        """A streamer's token is for rooms: he sees the sales that were opened in them, not those
        they only sell."""
        if identity.role is Role.SERVICE or "*" in identity.rooms:
            return
        for room in identity.rooms:
            live = await self._context.rooms.open(room)
            sale = live.view.sales.get(sale_id)
            if sale is not None and not sale.guest:
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
        expires_at_ms=0 if state is ReservationState.WAITING else now.expires_at_ms,  # of its later hold
    )


def _place(after: str) -> tuple[int, int]:
    if not after:
        return 0, 0
    epoch, _, seq = after.partition("-")
    if not all(text.isascii() and text.isdigit() and len(text) <= PLACE_DIGITS_MAX for text in (epoch, seq)):
        raise CommandError("invalid_field", "a cursor is the `next` of an earlier page", field="after")
    return int(epoch), int(seq)
