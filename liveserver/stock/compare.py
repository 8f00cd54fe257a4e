"""The keys beside the feed, held against what the feed folds to. Pure.

Each function takes the fold and something as it is written in the store, of the same instant, and yields what
doesn't agree. ``where`` names the key and the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from liveserver.stock.fold import LINE_SPAN, Call, Fold, Law, due_member, packed_buyer
from liveserver.stock.packed import pack_items
from liveserver.stock.port import ReservationState, SaleStatus

_MEMBER = re.compile(r"(\d+)-(\d+)")


class Finding(msgspec.Struct, frozen=True):
    """Something that breaks a law, and which."""

    where: str
    law: Law
    text: str


def counters(fold: Fold, meta: Mapping[str, str]) -> Iterator[Finding]:
    kept = {"a": fold.available, "h": fold.held, "c": fold.confirmed, "d": fold.adjusted}
    for letter, by_item in kept.items():
        for item, units in enumerate(by_item):
            yield from _equal(f"meta {letter}{item}", Law.COUNTERS, meta.get(f"{letter}{item}"), str(units))


def terms(fold: Fold, meta: Mapping[str, str]) -> Iterator[Finding]:
    spec = fold.spec
    if spec is None:
        return
    expected = {
        "limit": str(spec.limit_per_user),
        "hold": str(spec.hold_ms),
        "opens": str(spec.opens_at_ms),
        "closes": str(spec.closes_at_ms),
        "n": str(len(spec.items)),
        "items": pack_items(spec.items),
    }
    for field, text in expected.items():
        yield from _equal(f"meta {field}", Law.TERMS, meta.get(field), text)
    later = {"waitlist": spec.waitlist, "spread": spec.spread_ms, "ships": spec.ships_at_ms}
    for field, amount in later.items():  # an older sale has none of them
        yield from _equal(f"meta {field}", Law.TERMS, meta.get(field, "0"), str(amount))


def status(fold: Fold, meta: Mapping[str, str]) -> Iterator[Finding]:
    """A frozen one that is closed says closed; what the clock makes of an open one is not kept."""
    if fold.closed:
        expected = SaleStatus.CLOSED
    elif fold.frozen:
        expected = SaleStatus.FROZEN
    else:
        expected = SaleStatus.PAUSED if fold.paused else SaleStatus.OPEN
    yield from _equal("meta status", Law.STATUS, meta.get("status"), expected.value)
    kept = {"frozen": int(fold.frozen), "rebuilding": int(fold.rebuilding), "base": fold.base}
    for field, number in kept.items():
        yield from _equal(f"meta {field}", Law.STATUS, meta.get(field, "0"), str(number))


def buyers(fold: Fold, page: Mapping[str, str]) -> Iterator[Finding]:
    for user_id, value in page.items():
        buyer = fold.buyers.get(user_id)
        if buyer is None:
            yield Finding(f"buyers {user_id}", Law.BUYER, f"is {value!r}, and never bought by the feed")
        else:
            yield from _equal(f"buyers {user_id}", Law.BUYER, value, packed_buyer(buyer))


def due(fold: Fold, page: Mapping[str, str]) -> Iterator[Finding]:
    for member, score in page.items():
        named = _MEMBER.fullmatch(member)
        call = fold.calls.get((int(named[1]), int(named[2]))) if named else None
        if call is None:
            yield Finding(f"due {member}", Law.DUE_INDEX, "names no row that granted anything")
        elif float(score) != call.due_ms:
            yield Finding(f"due {member}", Law.DUE_INDEX, f"is {score}, by the feed {call.due_ms}")


def due_members(fold: Fold) -> set[str]:
    """Those that must be in the index: of every call with a hold that has not ended."""
    return {due_member(*at) for at, call in fold.calls.items() if _holds_something(fold, call)}


def _holds_something(fold: Fold, call: Call) -> bool:
    return any(fold.record(ref).state is ReservationState.HELD for ref in call.refs)


def line(fold: Fold, page: Mapping[str, str]) -> Iterator[Finding]:
    places = line_members(fold)
    for member, score in page.items():
        expected = places.get(member)
        if expected is None:
            yield Finding(f"line {member}", Law.LINE_INDEX, "does not wait, by the feed")
        elif float(score) != expected:
            yield Finding(f"line {member}", Law.LINE_INDEX, f"is {score}, by the feed {expected}")


def line_members(fold: Fold) -> dict[str, int]:
    """Every place in line with its score."""
    return {
        f"{ref.user_id} {ref.place}": item * LINE_SPAN + seq
        for item, places in enumerate(fold.line)
        for ref, seq in places.items()
    }


def _equal(where: str, law: Law, written: str | None, expected: str) -> Iterator[Finding]:
    if written != expected:
        yield Finding(where, law, f"is {written!r}, by the feed {expected!r}")
