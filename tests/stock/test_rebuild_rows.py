"""The rows of a rebuild: what they fold to, each law on the smallest feed that breaks it, and their texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from liveserver.orders.rows import order_rows
from liveserver.stock.fold import BrokenLawError, Fold, Law, fold, packed_buyer
from liveserver.stock.packed import SaleFacts, parse_value
from liveserver.stock.port import ReservationState
from liveserver.stock.rows import (
    AnyRow,
    Confirmed,
    Corrected,
    Paused,
    Rebuilding,
    Recovered,
    Ref,
    Released,
    Reopened,
    Restored,
    parse_row,
)
from tests.stock.test_rebuild import Shop, bought, done

S = ReservationState
FROZEN_SALE = Shop([3], 2, 0)
bought(FROZEN_SALE, "ann")
done(FROZEN_SALE.ledger.freeze("s1", actor="eve", command_id="f"))
ANN = Restored(Ref("ann", 0), "c1", ((0, 1),), S.CONFIRMED, 5)
BOB = Restored(Ref("bob", 0), "c1", ((0, 1),), S.HELD, 9)
Made = tuple[type[Any], int, dict[str, Any]]  # a row: its shape, its changes, its fields


def begin(**other: Any) -> Made:
    return Rebuilding, 1, {"since": 1, "base": 0, "actor": "eve", "command_id": "r", **other}


def recover(*orders: Restored, **other: Any) -> Made:
    return Recovered, len(orders), {"due_ms": 0, "limit_back": True, "orders": orders, **other}


def correct(*orders: Restored, **other: Any) -> Made:
    return Corrected, len(orders), {"due_ms": 0, "limit_back": True, "orders": orders, **other}


def but(order: Restored, **other: Any) -> Restored:
    changed: Restored = msgspec.structs.replace(order, **other)
    return changed


RELEASE: Made = (Released, 1, {"ref": Ref("ann", 0), "command_id": "r"})
REOPEN: Made = (Reopened, 1, {"actor": "eve", "command_id": "r"})
CONFIRM: Made = (Confirmed, 1, {"ref": Ref("ann", 0), "command_id": "p"})
PAUSE: Made = (Paused, 1, {"actor": "eve", "command_id": "x"})


def folded(made: Sequence[Made], *, feed: Sequence[AnyRow] | None = None) -> Fold:
    end = fold(FROZEN_SALE.feed if feed is None else feed)
    for shape, changes, fields in made:
        epoch = end.epoch + 1 if shape is Rebuilding else end.epoch
        first, last = end.seq + 1, end.seq + changes
        end.take(shape(**{"epoch": epoch, "first": first, "last": last, "at_ms": end.at_ms, **fields}))
    return end


def test_a_rebuild_is_folded() -> None:
    end = folded(
        [
            begin(base=64),
            correct(ANN),
            recover(BOB, due_ms=9),
            recover(but(BOB, ref=Ref("cat", 1), state=S.EXPIRED)),
        ]
    )
    assert (end.available, end.held, end.confirmed) == ([1], [1], [1])
    assert end.rebuilding and end.frozen and (end.base, end.since) == (64, 1)
    assert packed_buyer(end.buyers["cat"]) == "0;;c1 0=1 x9;"
    end = folded([begin(), correct(ANN), REOPEN])
    assert not end.rebuilding and not end.frozen
    late = Restored(Ref("ann", 1), "c2", ((0, 3),), S.RETURNED, 5)
    assert folded([begin(), recover(late, limit_back=False)]).buyers["ann"].units == 4  # beyond his limit
    assert folded([begin(), recover(late)]).buyers["ann"].units == 1


@pytest.mark.parametrize(
    ("made", "law"),
    [
        ([begin(epoch=FROZEN_SALE.feed[0].epoch)], Law.GAPLESS),
        ([(Released, 1, {**RELEASE[2], "epoch": FROZEN_SALE.feed[0].epoch + 1})], Law.GAPLESS),
        ([begin(), begin(base=64), begin()], Law.PLACE),
        ([recover(BOB, due_ms=9)], Law.REBUILD),
        ([correct(ANN)], Law.REBUILD),
        ([REOPEN], Law.REBUILD),
        ([begin(), REOPEN, begin()], Law.REBUILD),
        ([begin(), RELEASE], Law.REBUILD),
        ([begin(), CONFIRM], Law.REBUILD),
        ([begin(), correct(but(ANN, command_id="c9"))], Law.REBUILD),
        ([begin(), correct(but(ANN, lines=((0, 2),)))], Law.REBUILD),
        ([begin(), correct(BOB, due_ms=9)], Law.PLACE),
        ([begin(), recover(but(BOB, ref=Ref("ann", 0), command_id="c2"), due_ms=9)], Law.PLACE),
        ([begin(), recover(but(BOB, ref=Ref("ann", 1)), due_ms=9)], Law.COMMAND_ONCE),
        ([begin(), recover(but(BOB, lines=((0, 3),)), due_ms=9)], Law.NEGATIVE),
        ([begin(), recover(but(BOB, lines=((1, 1),)), due_ms=9)], Law.ITEM),
        ([begin(), recover(BOB, due_ms=8)], Law.DUE),
        ([begin(), recover(BOB)], Law.DUE),
        ([begin(), recover(but(BOB, state=S.EXPIRED), due_ms=9)], Law.DUE),
        ([begin(), (Recovered, 2, recover(BOB, due_ms=9)[2])], Law.GAPLESS),
        ([PAUSE], Law.WINDOW),
    ],
)  # fmt: skip
def test_each_law_of_a_rebuild(made: list[Made], law: Law) -> None:
    folded(made[:-1])
    with pytest.raises(BrokenLawError) as broken:
        folded(made)
    assert broken.value.law is law


def test_the_rows_of_a_rebuild_are_read_from_their_texts() -> None:
    def read(kind: str, **fields: object) -> AnyRow:
        texts = {"kind": kind, "first": 7, "at": 5, **fields}
        return parse_row("s1", b"3-7", {name.encode(): str(text).encode() for name, text in texts.items()})

    row: dict[str, Any] = {"epoch": 3, "first": 7, "last": 7, "at_ms": 5}
    who: dict[str, Any] = {"actor": "eve", "command_id": "r"}
    assert read("rebuild", since=1, base=64, actor="eve", command="r") == Rebuilding(
        since=1, base=64, **row, **who
    )
    assert read("reopen", actor="eve", command="r") == Reopened(**row, **who)
    told: dict[str, Any] = {"due": 9, "limit": "kept", "orders": "bob 0 c1 0=1 h9"}
    assert read("recover", **told) == Recovered(due_ms=9, limit_back=False, orders=(BOB,), **row)
    assert read("correct", **told) == Corrected(due_ms=9, limit_back=False, orders=(BOB,), **row)
    with pytest.raises(ValueError, match="no row"):
        read("recover", **{**told, "limit": "perhaps"})


def test_an_order_service_gets_each_reservation_as_it_now_is() -> None:
    """By its id, also where the places below it are nobody's."""
    facts = SaleFacts.of(FROZEN_SALE.spec, 3)
    cat = but(BOB, ref=Ref("cat", 64))
    row = Recovered(epoch=3, first=7, last=8, at_ms=5, due_ms=9, limit_back=True, orders=(ANN, cat))
    bought_by = {
        "ann": parse_value(facts, "ann", b"1;c1 0=1 c5;"),
        "cat": parse_value(facts, "cat", b"1;" + b";" * 64 + b"c1 0=1 h9;"),
    }
    told = [
        (one.reservation_id, one.kind, one.expires_at_ms, one.by_command_id)
        for one in order_rows(facts, row, bought_by)
    ]
    assert told == [("s1~ann~0", "confirmed", 0, ""), ("s1~cat~64", "held", 9, "")]
