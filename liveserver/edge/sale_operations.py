"""The REST of sales: opened on a shelf, shown to pages, steered, brought into rooms, and all of them
stopped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from liveserver.edge.api import SALES_PAGE_MAX, FreezeAll, FreezeAllState, RestApi, SalePage, SalePlaces
from liveserver.edge.operations import (
    CURSOR_CHARS_MAX,
    SERVICE,
    SHOP,
    Call,
    Operation,
    Parameter,
    command_of,
    id_of,
    page_limit,
)
from protocol import commands
from protocol.errors import CommandError
from protocol.limits import REASON_CHARS_MAX
from protocol.replies import Done
from protocol.types import Role, SaleView

PAGE_KEPT_S = 1  # how long a shared cache may answer for us
_STEERED = ("unknown_sale", "frozen", "conflict")


def _verb(tag: str) -> Callable[[RestApi, Call], Awaitable[Done]]:
    async def handle(api: RestApi, call: Call) -> Done:
        if "room" not in call.path and "room" in call.body:
            raise CommandError("unknown_field", "the sale is in the path, no room is named", field="room")
        return await api.carry_out(call.identity, command_of(tag, call))

    return handle


async def _sale(api: RestApi, call: Call) -> SaleView:
    return await api.sale(call.identity, id_of(call.path, "saleId"))


async def _sales(api: RestApi, call: Call) -> SalePage:
    after = call.query.get("after", "")
    if after:
        id_of(call.query, "after")
    return await api.sales(call.identity, after, page_limit(call, SALES_PAGE_MAX, SALES_PAGE_MAX))


async def _places(api: RestApi, call: Call) -> SalePlaces:
    return await api.places(call.identity, id_of(call.path, "saleId"))


async def _freeze_all(api: RestApi, call: Call) -> FreezeAllState:
    reason = call.body.get("reason", "")
    for name in call.body:
        if name != "reason":
            raise CommandError("unknown_field", "no such field", field=name[:64])
    if not isinstance(reason, str) or len(reason) > REASON_CHARS_MAX or "\n" in reason:
        raise CommandError(
            "invalid_field", f"one line, at most {REASON_CHARS_MAX} characters", field="reason"
        )
    return await api.freeze_all(call.identity, reason, call.key)


async def _freeze_all_state(api: RestApi, call: Call) -> FreezeAllState:
    return await api.freeze_all_state()


async def _lift_freeze_all(api: RestApi, call: Call) -> FreezeAllState:
    return await api.lift_freeze_all()


def sale_headers(view: Struct) -> dict[str, str]:
    """A page may be kept a second, and asked for by whoever has its ``ETag``: the clock alone turns a
    scheduled sale into an open one, so its status is part of it."""
    assert isinstance(view, SaleView)
    shared = {"Cache-Control": f"public, max-age={PAGE_KEPT_S}", "Access-Control-Allow-Origin": "*"}
    private = {"Cache-Control": "private, no-cache"}
    return {"ETag": f'"{view.epoch}-{view.seq}-{view.status}"', **(shared if view.on_shelf else private)}


def _steering(verb: str, summary: str, *, body: type | None = None, codes: tuple[str, ...] = ()) -> Operation:
    tag = "adjustStock" if verb == "adjust" else f"{verb}Sale"
    return Operation(
        "POST",
        f"/v1/sales/{{saleId}}/{verb}",
        tag,
        summary,
        SHOP,
        Done,
        _verb(tag),
        body=body,
        codes=(*_STEERED, *codes),
    )


SALE_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/v1/sales",
        "openShelfSale",
        "Open a sale outside any room",
        SERVICE,
        Done,
        _verb("openShelfSale"),
        body=commands.OpenShelfSale,
        codes=("sale_conflict", "all_frozen"),
    ),
    Operation(
        "GET",
        "/v1/sales",
        "listSales",
        "Every sale of the store, by its id",
        SERVICE,
        SalePage,
        _sales,
        query=(
            Parameter(
                "after",
                False,
                {"type": "string", "maxLength": CURSOR_CHARS_MAX, "default": ""},
                "the sale id to go on behind; empty: from the start",
            ),
            Parameter(
                "limit",
                False,
                {"type": "integer", "minimum": 1, "maximum": SALES_PAGE_MAX, "default": SALES_PAGE_MAX},
                "sales in one page",
            ),
        ),
    ),
    Operation(
        "GET",
        "/v1/sales/{saleId}",
        "getSale",
        "A sale as a page shows it, true at one (epoch, seq)",
        frozenset(Role),
        SaleView,
        _sale,
        public=True,
        headers=sale_headers,
        codes=("unknown_sale",),
    ),
    Operation(
        "GET",
        "/v1/sales/{saleId}/places",
        "getSalePlaces",
        "The rooms a sale is in, and whether it is on a shelf",
        SHOP,
        SalePlaces,
        _places,
        codes=("unknown_sale",),
    ),
    _steering("pause", "Nothing is sold until it is resumed; what is held may be paid", codes=("closed",)),
    _steering("resume", "The sale goes on", codes=("closed", "all_frozen")),
    _steering("close", "Nothing is sold any more; what is held may be paid until it is due"),
    _steering("freeze", "Nothing is sold or confirmed from here on, and each holder is told"),
    _steering(
        "adjust",
        "Restock, or take unsold units away",
        body=commands.AdjustStock,
        codes=("closed", "unknown_item", "below_held", "too_many_adjusts"),
    ),
    Operation(
        "POST",
        "/v1/rooms/{room}/sales/{saleId}/attach",
        "attachSale",
        "Sell a sale that was opened elsewhere in this room too",
        SHOP,
        Done,
        _verb("attachSale"),
        body=commands.AttachSale,
        codes=(
            "unknown_sale",
            "unknown_listing",
            "unknown_item",
            "sale_conflict",
            "sale_running",
            "sale_rooms_full",
            "closed",
            "room_ended",
            "all_frozen",
        ),
    ),
    Operation(
        "POST",
        "/v1/rooms/{room}/sales/{saleId}/detach",
        "detachSale",
        "This room doesn't sell it any more; elsewhere it goes on",
        SHOP,
        Done,
        _verb("detachSale"),
        codes=("unknown_sale",),
    ),
    Operation(
        "POST",
        "/v1/freeze-all",
        "freezeAll",
        "Freeze every sale, and let none open, resume or be attached until it is lifted",
        SERVICE,
        FreezeAllState,
        _freeze_all,
        body=FreezeAll,
        body_required=False,
    ),
    Operation(
        "GET",
        "/v1/freeze-all",
        "getFreezeAll",
        "Is every sale frozen, and how far has it got?",
        SERVICE,
        FreezeAllState,
        _freeze_all_state,
    ),
    Operation(
        "DELETE",
        "/v1/freeze-all",
        "liftFreezeAll",
        "Sales open again. Those that were frozen stay frozen",
        SERVICE,
        FreezeAllState,
        _lift_freeze_all,
    ),
)
