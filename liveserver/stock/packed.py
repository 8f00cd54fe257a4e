"""The packed texts the scripts keep and answer, as values. Pure; ``FEED.md`` has the format.

order        command lines                          c1 0=2
record       command lines <state><due>             c1 0=2 h1767000061500
told         user place record                      ann 0 c1 0=2 h1767000061500
buyer value  units;record;record;                   2;c1 0=2 h1767000061500;
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from liveserver.stock.checks import Lines
from liveserver.stock.ids import reservation_id
from liveserver.stock.port import Line, Reservation, SaleItem, SaleSpec
from liveserver.stock.rows import parse_items, parse_lines
from liveserver.stock.transitions import STATE


class SaleFacts(msgspec.Struct, frozen=True):
    """What never changes of a sale within an epoch."""

    sale_id: str
    epoch: int
    items: tuple[SaleItem, ...]
    number_of: dict[str, int]  # item id -> item number
    limit_per_user: int
    hold_ms: int
    opens_at_ms: int
    closes_at_ms: int
    waitlist: int = 0
    spread_ms: int = 0
    ships_at_ms: int = 0

    @classmethod
    def from_reply(cls, sale_id: str, epoch: int, static: Sequence[bytes]) -> SaleFacts:
        limit, hold, opens, closes = map(int, static[:4])
        items = parse_items(static[4].decode())
        later = [int(text or 0) for text in static[5:]]  # an older sale has none: waitlist, spread, ships
        return cls.of(SaleSpec(sale_id, items, limit, opens, closes, hold, *later), epoch)

    @classmethod
    def of(cls, spec: SaleSpec, epoch: int) -> SaleFacts:
        numbers = {item.item_id: number for number, item in enumerate(spec.items)}
        times = spec.hold_ms, spec.opens_at_ms, spec.closes_at_ms
        later = spec.waitlist, spec.spread_ms, spec.ships_at_ms
        return cls(spec.sale_id, epoch, spec.items, numbers, spec.limit_per_user, *times, *later)

    def spec(self) -> SaleSpec:
        return SaleSpec(
            sale_id=self.sale_id,
            items=self.items,
            limit_per_user=self.limit_per_user,
            opens_at_ms=self.opens_at_ms,
            closes_at_ms=self.closes_at_ms,
            hold_ms=self.hold_ms,
            waitlist=self.waitlist,
            spread_ms=self.spread_ms,
            ships_at_ms=self.ships_at_ms,
        )

    def named(self, lines: Lines) -> tuple[Line, ...]:
        return tuple(Line(self.items[number].item_id, quantity) for number, quantity in lines)


def pack_items(items: Sequence[SaleItem]) -> str:
    return " ".join(f"{item.item_id}={item.stock}" for item in items)


def pack_order(command_id: str, lines: Lines) -> str:
    return f"{command_id} {_pack_lines(lines)}"


@lru_cache(maxsize=1_024)  # nearly all orders of a rush have the same few
def _pack_lines(lines: Lines) -> str:
    return ",".join(f"{number}={quantity}" for number, quantity in lines)


def parse_record(facts: SaleFacts, user_id: str, place: int, record: str) -> Reservation:
    command_id, lines, state_and_due = record.split(" ")
    return Reservation(
        reservation_id=reservation_id(facts.sale_id, user_id, place),
        sale_id=facts.sale_id,
        user_id=user_id,
        command_id=command_id,
        lines=facts.named(parse_lines(lines)),
        state=STATE[state_and_due[0]],
        expires_at_ms=int(state_and_due[1:]),
    )


def parse_told(facts: SaleFacts, told: bytes) -> Reservation:
    user_id, place, record = told.decode().split(" ", 2)
    return parse_record(facts, user_id, int(place), record)


def parse_value(facts: SaleFacts, user_id: str, value: bytes) -> list[Reservation]:
    """In place order; places of which nothing is known (``FEED.md``) are passed over."""
    records = value.decode().split(";")[1:-1]
    return [parse_record(facts, user_id, place, record) for place, record in enumerate(records) if record]
