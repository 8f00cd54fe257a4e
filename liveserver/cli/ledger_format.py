"""Feed entries and orders as text: CSV or JSON lines. Pure.

A feed entry is written as it is kept, every field a text, so what was exported can be parsed and folded again
(``FEED.md``). CSV has a column for each field we know; what else an entry has is JSON in the last one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from liveserver.stock.export import OrderLine, entry_line
from liveserver.stock.feed import Entry


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"


FEED_FIELDS = (
    *("kind", "first", "at", "items", "limit", "hold", "opens", "closes", "command", "due", "orders"),
    *("reservation", "reservations", "item", "delta", "actor", "reason", "seen"),
    *("waitlist", "spread", "ships", "since", "base"),
)
FEED_COLUMNS = ("sale_id", "id", *FEED_FIELDS, "other")
ORDER_COLUMNS = OrderLine.__struct_fields__


def feed_line(form: Format) -> Callable[[str, Entry], str]:
    return _feed_csv if form is Format.CSV else entry_line


def order_line(form: Format) -> Callable[[OrderLine], str]:
    return _order_csv if form is Format.CSV else _order_json


def header(form: Format, columns: Sequence[str]) -> str:
    return _csv(columns) if form is Format.CSV else ""


def _feed_csv(sale_id: str, entry: Entry) -> str:
    entry_id, fields = _texts(entry)
    other = {field: text for field, text in fields.items() if field not in FEED_FIELDS}
    known = [fields.get(field, "") for field in FEED_FIELDS]
    return _csv([sale_id, entry_id, *known, msgspec.json.encode(other).decode() if other else ""])


def _order_json(order: OrderLine) -> str:
    return msgspec.json.encode(order).decode() + "\n"


def _order_csv(order: OrderLine) -> str:
    """``lines`` as ``item=units``, joined by a space: no id contains one."""
    cells = msgspec.structs.asdict(order)
    cells["lines"] = " ".join(f"{line.item_id}={line.quantity}" for line in order.lines)
    return _csv([str(cells[column]) for column in ORDER_COLUMNS])


def _texts(entry: Entry) -> tuple[str, dict[str, str]]:
    entry_id, fields = entry
    return entry_id.decode(), {field.decode(): text.decode() for field, text in fields.items()}


def _csv(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()
