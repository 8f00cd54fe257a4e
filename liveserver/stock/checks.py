"""What is wrong with a request before any ledger is asked. Pure.

Ids are packed with separators that no id contains, so nothing malformed may pass here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from liveserver.stock import limits
from liveserver.stock.ids import is_id
from liveserver.stock.port import Order, OutOfRangeError, SaleSpec, UnknownItemError

Lines = tuple[tuple[int, int], ...]
"""(item number, quantity), rising, each item once: the one form of an order's lines."""


def check_id(text: str, what: str) -> None:
    _demand(is_id(text), what)


def check_spec(spec: SaleSpec) -> None:
    check_id(spec.sale_id, "sale id")
    _demand(1 <= len(spec.items) <= limits.ITEMS_MAX, "number of items")
    _demand(len({item.item_id for item in spec.items}) == len(spec.items), "the same item twice")
    for item in spec.items:
        check_id(item.item_id, "item id")
        _demand(0 <= item.stock <= limits.UNITS_MAX, "stock")
    _demand(0 <= spec.limit_per_user <= limits.UNITS_MAX, "limit per user")
    _demand(1 <= spec.hold_ms <= limits.HOLD_MS_MAX, "hold")
    _demand(0 <= spec.waitlist <= limits.WAITLIST_MAX, "waitlist")
    _demand(0 <= spec.opens_at_ms < spec.closes_at_ms <= limits.TIME_MS_MAX, "window")
    _demand(0 <= spec.spread_ms <= limits.SPREAD_MS_MAX, "spread")
    presale = spec.closes_at_ms < spec.ships_at_ms <= limits.TIME_MS_MAX
    _demand(spec.ships_at_ms == 0 or presale, "ships")


def check_order(order: Order) -> None:
    _demand(is_id(order.user_id), "user id")
    _demand(is_id(order.command_id), "command id")
    _demand(1 <= len(order.lines) <= limits.LINES_MAX, "number of lines")
    for line in order.lines:
        _demand(1 <= line.quantity <= limits.MAX_QUANTITY, "quantity")


def check_batch(orders: Sequence[Order]) -> None:
    """Raises ``OutOfRangeError`` naming every order at fault, and what is wrong with the first."""
    _demand(1 <= len(orders) <= limits.BATCH_MAX, "number of orders")
    faults: list[tuple[int, str]] = []
    for place, order in enumerate(orders):
        try:
            check_order(order)
        except OutOfRangeError as error:
            faults.append((place, str(error)))
    if faults:
        raise OutOfRangeError(faults[0][1], tuple(place for place, _ in faults))


def check_adjust(delta: int, actor: str, reason: str, command_id: str) -> None:
    check_id(actor, "actor")
    check_id(command_id, "command id")
    _demand(delta != 0 and abs(delta) <= limits.UNITS_MAX, "delta")
    _demand(len(reason) <= limits.REASON_CHARS_MAX, "reason")


def numbered_lines(order: Order, number_of: Mapping[str, int]) -> Lines | None:
    """Lines naming the same item are summed first. None: it names an item the sale hasn't."""
    if len(order.lines) == 1:  # nearly every order
        line = order.lines[0]
        number = number_of.get(line.item_id)
        return None if number is None else ((number, line.quantity),)
    wanted: dict[int, int] = {}
    for line in order.lines:
        number = number_of.get(line.item_id)
        if number is None:
            return None
        wanted[number] = wanted.get(number, 0) + line.quantity
    return tuple(sorted(wanted.items()))


def numbered_batch(orders: Sequence[Order], number_of: Mapping[str, int]) -> list[Lines]:
    """Raises ``UnknownItemError`` naming every order at fault."""
    numbered = [numbered_lines(order, number_of) for order in orders]
    strangers = tuple(place for place, lines in enumerate(numbered) if lines is None)
    if strangers:
        raise UnknownItemError("an order names an item that isn't in the sale", strangers)
    return [lines for lines in numbered if lines is not None]


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise OutOfRangeError(f"{what} is out of range")
