"""The order service's orders, as it hands them over: what ``ledger export --orders`` writes. Pure.

JSON lines or CSV. Needed of each: ``sale_id``, ``reservation_id``, ``user_id``, ``command_id``, ``state`` and
``lines``; times, epoch and seq where they are known.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from liveserver.stock.export import OrderLine
from liveserver.stock.port import Line, ReservationState


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
    """``lines`` of the file ``name``, as ``open(…, newline="")`` gives them. Raises ``OrderFileError``."""
    given = iter(lines)
    first = next(given, "")
    if first.startswith("{"):
        yield from _json(name, [first], given)
    elif first.strip():
        yield from _csv(name, first, given)


def _json(name: str, first: Sequence[str], rest: Iterator[str]) -> Iterator[OrderLine]:
    decoder = msgspec.json.Decoder(_Order)
    number = 0
    for lines in (first, rest):
        for line in lines:
            number += 1
            if not line.strip():
                continue
            try:
                yield _order(decoder.decode(line))
            except msgspec.MsgspecError as error:
                raise OrderFileError(f"{name}, line {number}: {error}") from None


def _csv(name: str, header: str, rest: Iterator[str]) -> Iterator[OrderLine]:
    reader = csv.DictReader(rest, fieldnames=next(csv.reader([header])))
    for row in reader:
        cells: dict[str, Any] = {field: cell for field, cell in row.items() if cell not in (None, "")}
        try:
            cells["lines"] = [_line(text) for text in str(cells.get("lines", "")).split()]
            yield _order(msgspec.convert(cells, _Order, strict=False))
        except (msgspec.ValidationError, ValueError) as error:
            raise OrderFileError(f"{name}, line {reader.line_num + 1}: {error}") from None


def _line(text: str) -> Line:
    item_id, _, quantity = text.partition("=")
    if not quantity.isdigit():
        raise ValueError(f"lines are item=quantity joined by a space, not {text!r}")
    return Line(item_id, int(quantity))


def _order(read: _Order) -> OrderLine:
    return OrderLine(**msgspec.structs.asdict(read))
