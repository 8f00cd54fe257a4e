"""The rows of a sale's feed, typed. ``FEED.md`` is the format; this reads it.

Pure: bytes in, rows out. A row that isn't as the document says raises ``ValueError``, since the feed is
proof or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import msgspec

from liveserver.stock.port import ReservationState, SaleItem, SaleSpec
from liveserver.stock.transitions import STATE


class Ref(msgspec.Struct, frozen=True, order=True):
    """A reservation as the feed names it."""

    user_id: str
    place: int


class Granted(msgspec.Struct, frozen=True):
    """One order of a ``reserve`` row."""

    ref: Ref
    command_id: str
    lines: tuple[tuple[int, int], ...]  # (item number, quantity), rising


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Covers the seqs ``first..last``."""

    epoch: int
    first: int
    last: int
    at_ms: int


class Opened(Row, frozen=True, kw_only=True):
    spec: SaleSpec
    command_id: str


class Reserved(Row, frozen=True, kw_only=True):
    due_ms: int
    orders: tuple[Granted, ...]


class Waited(Row, frozen=True, kw_only=True):
    """Orders that took a place in line."""

    orders: tuple[Granted, ...]


class Served(Row, frozen=True, kw_only=True):
    """Heads of their lines: held from now on."""

    due_ms: int
    refs: tuple[Ref, ...]


class Skipped(Row, frozen=True, kw_only=True):
    """Heads of their lines whose users have reached the limit meanwhile."""

    refs: tuple[Ref, ...]


class Confirmed(Row, frozen=True, kw_only=True):
    ref: Ref
    command_id: str


class Released(Row, frozen=True, kw_only=True):
    ref: Ref
    command_id: str


class ConfirmedLate(Row, frozen=True, kw_only=True):
    """Paid after its hold had ended, and there was enough: the units are taken anew."""

    ref: Ref
    command_id: str


class RefundDue(Row, frozen=True, kw_only=True):
    """Paid after its hold had ended, and the units can't be had: no counter changes."""

    ref: Ref
    command_id: str


class Returned(Row, frozen=True, kw_only=True):
    """``limit_back`` False: the units still count against their user's limit."""

    ref: Ref
    command_id: str
    limit_back: bool


class Expired(Row, frozen=True, kw_only=True):
    refs: tuple[Ref, ...]


class Adjusted(Row, frozen=True, kw_only=True):
    item: int
    delta: int
    actor: str
    reason: str
    command_id: str


class Closed(Row, frozen=True, kw_only=True):
    """``actor`` is empty when the clock closed the sale."""

    actor: str
    command_id: str


class Paused(Row, frozen=True, kw_only=True):
    actor: str
    command_id: str


class Resumed(Row, frozen=True, kw_only=True):
    actor: str
    command_id: str


class Frozen(Row, frozen=True, kw_only=True):
    reason: str  # behind, restarted, ordered
    seen: str  # "epoch-seq" some process had seen
    actor: str  # empty, unless it was ordered; so the command
    command_id: str


class Restored(msgspec.Struct, frozen=True):
    """A reservation that a rebuild writes down, in the state it is in from then on."""

    ref: Ref
    command_id: str
    lines: tuple[tuple[int, int], ...]
    state: ReservationState
    due_ms: int


class Rebuilding(Row, frozen=True, kw_only=True):
    """A rebuild begins, and with it an epoch. ``since``: the epoch in which the sale was first opened.
    ``base``: places below it may have been told to somebody nobody knows of, and are given out no more."""

    since: int
    base: int
    actor: str
    command_id: str


class Recovered(Row, frozen=True, kw_only=True):
    """Reservations the feed didn't have. ``due_ms``: of those held; 0: none is. ``limit_back``: as of a
    return."""

    due_ms: int
    limit_back: bool
    orders: tuple[Restored, ...]


class Corrected(Row, frozen=True, kw_only=True):
    """Reservations the feed had, in another state."""

    due_ms: int
    limit_back: bool
    orders: tuple[Restored, ...]


class Reopened(Row, frozen=True, kw_only=True):
    """The rebuild is done, and the sale is frozen no more."""

    actor: str
    command_id: str


RebuildRow = Rebuilding | Recovered | Corrected | Reopened

AnyRow = (
    Opened
    | Reserved
    | Waited
    | Served
    | Skipped
    | Confirmed
    | Released
    | Expired
    | ConfirmedLate
    | RefundDue
    | Returned
    | Adjusted
    | Paused
    | Resumed
    | Closed
    | Frozen
    | RebuildRow
)

_Order = type[Paused] | type[Resumed] | type[Closed]
_ORDERS: dict[str, _Order] = {"pause": Paused, "resume": Resumed, "close": Closed}
_Plain = type[Confirmed] | type[Released] | type[ConfirmedLate] | type[RefundDue]
_PLAIN: dict[str, _Plain] = {
    "confirm": Confirmed,
    "release": Released,
    "confirm_late": ConfirmedLate,
    "refund_due": RefundDue,
}


class _At(TypedDict):
    """Which seqs a row covers, and when: the fields of every ``Row``."""

    epoch: int
    first: int
    last: int
    at_ms: int


def parse_row(sale_id: str, entry_id: bytes, fields: Mapping[bytes, bytes]) -> AnyRow:
    try:
        return _parse(sale_id, entry_id, {key.decode(): value.decode() for key, value in fields.items()})
    except (KeyError, ValueError) as error:
        raise ValueError(f"entry {entry_id!r} is no row of a feed: {error!r}") from error


def _parse(sale_id: str, entry_id: bytes, field: dict[str, str]) -> AnyRow:
    epoch, last = map(int, entry_id.split(b"-"))
    kind = field["kind"]
    at = _At(epoch=epoch, first=int(field["first"]), last=last, at_ms=int(field["at"]))
    match kind:
        case "open":
            spec = SaleSpec(
                sale_id=sale_id,
                items=parse_items(field["items"]),
                limit_per_user=int(field["limit"]),
                opens_at_ms=int(field["opens"]),
                closes_at_ms=int(field["closes"]),
                hold_ms=int(field["hold"]),
                waitlist=int(field.get("waitlist", "0")),
                spread_ms=int(field.get("spread", "0")),
                ships_at_ms=int(field.get("ships", "0")),
            )
            return Opened(**at, spec=spec, command_id=field["command"])
        case "reserve":
            orders = tuple(map(_granted, field["orders"].split("\n")))
            return Reserved(**at, due_ms=int(field["due"]), orders=orders)
        case "confirm" | "release" | "confirm_late" | "refund_due":
            ref, command = _ref(field["reservation"]), field["command"]
            shape = _PLAIN[kind]
            return shape(**at, ref=ref, command_id=command)
        case "return":
            ref, command = _ref(field["reservation"]), field["command"]
            back = {"back": True, "kept": False}[field["limit"]]
            return Returned(**at, ref=ref, command_id=command, limit_back=back)
        case "wait":
            orders = tuple(map(_granted, field["orders"].split("\n")))
            return Waited(**at, orders=orders)
        case "serve":
            return Served(**at, due_ms=int(field["due"]), refs=_refs(field))
        case "skip" | "expire":
            listed = Skipped if kind == "skip" else Expired
            return listed(**at, refs=_refs(field))
        case "adjust":
            return Adjusted(
                **at,
                item=int(field["item"]),
                delta=int(field["delta"]),
                actor=field["actor"],
                reason=field["reason"],
                command_id=field["command"],
            )
        case "pause" | "resume" | "close":
            actor, command = field["actor"], field["command"]
            order = _ORDERS[kind]
            return order(**at, actor=actor, command_id=command)
        case "freeze":
            return Frozen(
                **at,
                reason=field["reason"],
                seen=field["seen"],
                actor=field["actor"],
                command_id=field["command"],
            )
        case "rebuild":
            return Rebuilding(
                **at,
                since=int(field["since"]),
                base=int(field["base"]),
                actor=field["actor"],
                command_id=field["command"],
            )
        case "recover" | "correct":
            put_back = Recovered if kind == "recover" else Corrected
            return put_back(
                **at,
                due_ms=int(field["due"]),
                limit_back={"back": True, "kept": False}[field["limit"]],
                orders=tuple(map(_restored, field["orders"].split("\n"))),
            )
        case "reopen":
            actor, command = field["actor"], field["command"]
            return Reopened(**at, actor=actor, command_id=command)
        case _:
            raise ValueError(f"unknown kind {kind!r}")


def parse_items(text: str) -> tuple[SaleItem, ...]:
    pairs = (part.split("=") for part in text.split(" "))
    return tuple(SaleItem(item_id, int(stock)) for item_id, stock in pairs)


def parse_lines(text: str) -> tuple[tuple[int, int], ...]:
    pairs = (part.split("=") for part in text.split(","))
    return tuple((int(item), int(quantity)) for item, quantity in pairs)


def _ref(text: str) -> Ref:
    user_id, place = text.split(" ")
    return Ref(user_id, int(place))


def _refs(field: dict[str, str]) -> tuple[Ref, ...]:
    return tuple(map(_ref, field["reservations"].split("\n")))


def _granted(text: str) -> Granted:
    user_id, place, command_id, lines = text.split(" ")
    return Granted(Ref(user_id, int(place)), command_id, parse_lines(lines))


def _restored(text: str) -> Restored:
    user_id, place, command_id, lines, state = text.split(" ")
    ref = Ref(user_id, int(place))
    return Restored(ref, command_id, parse_lines(lines), STATE[state[0]], int(state[1:]))
