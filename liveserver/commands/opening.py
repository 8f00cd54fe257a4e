"""What opening a sale means for the ledger, in a room or on the shelf."""

from __future__ import annotations

from collections.abc import Sequence

from liveserver.stock.checks import check_spec
from liveserver.stock.port import SaleItem, SaleSpec, StockView, UnknownSaleError
from protocol.commands import OpenSale, OpenShelfSale
from protocol.errors import CommandError
from protocol.types import Item, ItemDraft

from .ports import Context
from .reservations import ledger_errors


async def there(context: Context, sale_id: str) -> StockView | None:
    try:
        return await context.stock.ledger.view(sale_id)
    except UnknownSaleError:
        return None


def terms_of(
    context: Context,
    command: OpenSale | OpenShelfSale,
    items: Sequence[Item | ItemDraft],
    found: StockView | None,
) -> SaleSpec:
    """A sale that is there keeps its times: else the same command sent later would be another one. Raises
    ``CommandError`` for terms no sale can have."""
    if found is not None:
        opens_at_ms, closes_at_ms = found.opens_at_ms, found.closes_at_ms
    else:
        opens_at_ms = context.clock.now_ms() + command.opens_in_ms
        closes_at_ms = opens_at_ms + command.duration_ms
    if 0 < command.ships_at_ms <= closes_at_ms:
        raise CommandError("invalid_field", "a presale ships after its close", field="shipsAtMs")
    terms = SaleSpec(
        sale_id=command.sale_id,
        items=tuple(SaleItem(item.item_id, item.stock) for item in items),
        limit_per_user=command.limit_per_user,
        opens_at_ms=opens_at_ms,
        closes_at_ms=closes_at_ms,
        hold_ms=command.hold_ms,
        waitlist=command.waitlist,
        spread_ms=command.spread_ms,
        ships_at_ms=command.ships_at_ms,
    )
    with ledger_errors(out_of_range=_at_fault(command)):
        check_spec(terms)
    return terms


async def open_in_ledger(context: Context, command: OpenSale | OpenShelfSale, terms: SaleSpec) -> StockView:
    with ledger_errors(out_of_range=_at_fault(command)):
        view = await context.stock.ledger.open(terms, command_id=command.id)
    await context.kill_switch.check_opened(command.sale_id)
    return view


def _at_fault(command: OpenSale | OpenShelfSale) -> str:
    return "listingId" if isinstance(command, OpenSale) else "listing.items"
