"""The order service's orders, as it hands them over: what ``ledger export --orders`` writes. Pure.

JSON lines or CSV. Needed of each: ``sale_id``, ``reservation_id``, ``user_id``, ``command_id``, ``state`` and
``lines``; times, epoch and seq where they are known.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final

import msgspec

from liveserver.stock.export import OrderLine
from liveserver.stock.port import Line, ReservationState

NEEDED: Final = ("sale_id", "reservation_id", "user_id", "command_id", "state", "lines")


class OrderFileError(Exception):
    """Names the line and what is wrong with it."""


class _Order(msgspec.Struct):
    sale_id: str
    reservation_id: str
    user_id: str
    command_id: str
    state: ReservationState
    lines: tuple[Line, ...]
    reserved_at_ms: int = 0
    expires_at_ms: int = 0
    epoch: int = 0
    seq: int = 0


def read_orders(name: str, lines: Iterable[str]) -> Iterator[OrderLine]:
    """``lines`` of the file ``name``, as ``open(…, newline="")`` gives them; an empty file has no orders.
    Raises ``OrderFileError``, for a file that is something else too."""
    given = enumerate(lines, start=1)
    number, first = next(((number, line) for number, line in given if line.strip()), (0, ""))
    rest = (line for _, line in given)
    if first.startswith("{"):
        yield from _json(name, number, first, rest)
    elif first:
        yield from _csv(name, number, first, rest)


def _json(name: str, number: int, first: str, rest: Iterator[str]) -> Iterator[OrderLine]:
    decoder = msgspec.json.Decoder(_Order)
    for at, line in enumerate(chain([first], rest), start=number):
        if not line.strip():
            continue
        try:
            yield _order(decoder.decode(line))
        except msgspec.MsgspecError as error:
            raise OrderFileError(f"{name}, line {at}: {error}") from None


def _csv(name: str, number: int, header: str, rest: Iterator[str]) -> Iterator[OrderLine]:
    columns = _columns(name, number, header)
    reader = csv.DictReader(rest, fieldnames=columns)
    rows = iter(reader)
    while True:
        try:
            row = next(rows, None)
            if row is None:
                return
            cells: dict[str, Any] = {field: cell for field, cell in row.items() if cell not in (None, "")}
            cells["lines"] = [_line(text) for text in str(cells.get("lines", "")).split()]
            order = _order(msgspec.convert(cells, _Order, strict=False))
        except csv.Error as error:  # the line it stopped at is not counted yet
            raise OrderFileError(f"{name}, line {number + reader.line_num + 1}: {error}") from None
        except (msgspec.ValidationError, ValueError) as error:
            raise OrderFileError(f"{name}, line {number + reader.line_num}: {error}") from None
        yield order


def _columns(name: str, number: int, header: str) -> list[str]:
    """Without these names at its head, a file of anything would be taken for one without orders."""
    columns = next(csv.reader([header]))
    missing = [column for column in NEEDED if column not in columns]
    if missing:
        raise OrderFileError(
            f"{name}, line {number}: neither JSON lines nor a CSV of orders: its first line must name the "
            f"columns, and {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing. "
            "`ledger export --orders` writes such files"
        )
    return columns


def _line(text: str) -> Line:
    item_id, _, quantity = text.partition("=")
    if not quantity.isdigit():
        raise ValueError(f"lines are item=quantity joined by a space, not {text!r}")
    return Line(item_id, int(quantity))


def _order(read: _Order) -> OrderLine:
    return OrderLine(**msgspec.structs.asdict(read))
