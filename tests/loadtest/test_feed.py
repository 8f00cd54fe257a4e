"""The fold of a sale's feed: each law on the smallest feed that breaks it, and the published example."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.verdict.case import Entry
from loadtest.verdict.feed import LAWS, Sale, fold

EPOCH = 1_767_000_000_000
OPENED: dict[str, Any] = {
    "kind": "open", "items": "red=3 blue=1", "limit": "2", "hold": "60000", "command": "o1",
    "opens": str(EPOCH), "closes": str(EPOCH + 3_600_000),
}  # fmt: skip


def row(last: int, at_ms: int = 0, *, first: int | None = None, epoch: int = EPOCH, **fields: str) -> Entry:
    texts = {"first": str(last if first is None else first), "at": str(EPOCH + at_ms), **fields}
    return Entry(epoch, last, {name: text.encode() for name, text in texts.items()})


def reserve(last: int, *orders: str, at_ms: int = 1_000) -> Entry:
    due = str(EPOCH + at_ms + 60_000)
    first = last - len(orders) + 1
    return row(last, at_ms, first=first, kind="reserve", due=due, orders="\n".join(orders))


def folded(*entries: Entry) -> Sale:
    return fold("s1", [row(1, **OPENED), *entries])


def test_the_published_example() -> None:
    sale = folded(
        reserve(3, "ann 0 c1 0=2", "bob 0 b-77 0=1,1=1"),
        row(4, 9_000, kind="confirm", reservation="ann 0", command="pay-1"),
        row(5, 62_000, kind="expire", reservations="bob 0"),
        row(6, 70_000, kind="adjust", item="0", delta="-1", actor="eve", reason="broken", command="a1"),
        row(7, 3_600_400, kind="close", actor="", command=""),
    )
    assert not any(sale.problems.values()), sale.problems
    assert sale.available == {"red": 0, "blue": 1}
    assert sale.held == {"red": 0, "blue": 0} and sale.confirmed == {"red": 2, "blue": 0}
    assert sale.available_at(EPOCH, 2) == {"red": 1, "blue": 1}, "inside a row"
    assert sale.available_at(EPOCH, 3) == {"red": 0, "blue": 0}
    assert sale.available_at(EPOCH - 1, 3) is None and sale.available_at(EPOCH, 8) is None
    assert sale.available_at(EPOCH + 1, 7) is not None, "a new epoch begins where the last one stood"
    assert (sale.seq, sale.seen_seq, sale.closed) == (7, 7, True)
    grant = sale.grant_of("s1~bob~0")
    assert grant is not None and grant.state == "expired" and grant.lines == {"red": 1, "blue": 1}
    assert sale.grant_of("s2~bob~0") is None and sale.grant_of("s1~bob~x") is None


def test_late_payments_and_returns() -> None:
    """Worked out by hand from the published description."""
    sale = folded(
        reserve(4, "ann 0 c1 0=2", "bob 0 c1 0=1", "cat 0 c1 1=1"),
        row(5, 5_000, kind="confirm", reservation="ann 0", command="p1"),
        row(6, 5_000, kind="release", reservation="bob 0", command="r1"),
        row(7, 62_000, kind="expire", reservations="cat 0"),
        row(8, 63_000, kind="confirm_late", reservation="cat 0", command="p2"),
        row(9, 64_000, kind="return", reservation="ann 0", command="b1", limit="kept"),
        row(10, 65_000, kind="return", reservation="cat 0", command="b2", limit="back"),
        row(11, 66_000, kind="close", actor="eve", command="x"),
        row(12, 67_000, kind="refund_due", reservation="bob 0", command="p3"),
    )
    assert not any(sale.problems.values()), sale.problems
    assert sale.available == {"red": 3, "blue": 1} and sale.confirmed == {"red": 0, "blue": 0}
    assert sale.available_at(EPOCH, 8) == {"red": 1, "blue": 0}
    assert sale.available_at(EPOCH, 9) == {"red": 3, "blue": 0}
    assert sale.units_by_user == {"ann": 2, "bob": 0, "cat": 0}
    states = {user: held.state for (user, _), held in sale.reservations.items()}
    assert states == {"ann": "returned", "bob": "refund_due", "cat": "returned"}


WITH_LINE = {**OPENED, "waitlist": "2"}
EMPTY = reserve(2, "zoe 0 c1 1=1")


def waits(last: int, *orders: str, at_ms: int = 1_000) -> Entry:
    return row(last, at_ms, first=last - len(orders) + 1, kind="wait", orders="\n".join(orders))


def serves(last: int, *refs: str, kind: str = "serve", at_ms: int = 2_000) -> Entry:
    due = {"due": str(EPOCH + at_ms + 60_000)} if kind == "serve" else {}
    fields: dict[str, Any] = {"first": last - len(refs) + 1, "reservations": "\n".join(refs), **due}
    return row(last, at_ms, kind=kind, **fields)


def test_a_line_is_served_in_turn() -> None:
    """Worked out by hand from the published description."""
    sale = fold(
        "s1",
        [
            row(1, **WITH_LINE),
            EMPTY,
            waits(4, "ann 0 c1 1=1", "bob 0 c1 1=1"),
            row(5, 1_500, kind="release", reservation="ann 0", command="r1"),
            waits(6, "cat 0 c1 1=1"),
            row(7, 2_000, kind="release", reservation="zoe 0", command="r2"),
            serves(8, "bob 0"),
            row(9, 62_000, kind="expire", reservations="bob 0"),
            serves(10, "cat 0", kind="skip", at_ms=62_000),
        ],
    )
    assert not any(sale.problems.values()), sale.problems
    assert sale.available == {"red": 3, "blue": 1} and sale.line == {"red": [], "blue": []}
    assert sale.waited_at[6] == {"blue"} and sale.waited_at[10] == frozenset()
    assert sale.units_by_user == {"zoe": 0, "bob": 0}
    states = {user: held.state for (user, _), held in sale.reservations.items()}
    assert states == {"zoe": "released", "ann": "released", "bob": "expired", "cat": "released"}


FREED = row(5, 2_000, kind="release", reservation="zoe 0", command="r2")
TWO = waits(4, "ann 0 c1 1=1", "bob 0 c1 1=1")


@pytest.mark.parametrize(
    ("law", "entries"),
    [
        ("line", [EMPTY, TWO, FREED, serves(6, "bob 0")]),  # overtaken
        ("line", [EMPTY, TWO, FREED, reserve(6, "dan 0 c1 1=1")]),
        ("line", [EMPTY, TWO, waits(5, "dan 0 c1 1=1")]),  # beyond the places
        ("line", [waits(2, "ann 0 c1 1=1")]),  # and it is there
        ("line", [EMPTY, waits(3, "ann 0 c1 0=2")]),
        ("balance", [EMPTY, TWO, serves(5, "ann 0")]),
        ("once", [EMPTY, TWO, FREED, serves(7, "ann 0", "ann 0")]),
        ("once", [EMPTY, TWO, waits(5, "ann 1 c1 1=1")]),
        ("window", [EMPTY, TWO, FREED, row(6, kind="close", actor="", command=""), serves(7, "ann 0")]),
    ],
)
def test_each_law_of_the_line_is_seen_broken(law: str, entries: list[Entry]) -> None:
    assert fold("s1", [row(1, **WITH_LINE), *entries]).problems[law]


def test_a_pause_ends() -> None:
    sale = folded(
        row(2, kind="pause", actor="eve", command="x"),
        row(3, kind="resume", actor="eve", command="y"),
        reserve(4, "ann 0 c1 0=1"),
    )
    assert not any(sale.problems.values()), sale.problems
    assert (sale.seen_seq, sale.paused) == (4, False)


def late(last: int, kind: str = "confirm_late", at_ms: int = 63_000, limit: str | None = None) -> Entry:
    more: dict[str, Any] = {} if limit is None else {"limit": limit}
    return row(last, at_ms, kind=kind, reservation="ann 0", command="p", **more)


GRANTED = reserve(2, "ann 0 c1 0=1")
EXPIRED = row(3, 62_000, kind="expire", reservations="ann 0")
PAID = row(3, 2_000, kind="confirm", reservation="ann 0", command="p")
PAID_NEXT = row(4, 2_000, kind="confirm", reservation="ann 0", command="p")
BY_EVE: dict[str, Any] = {"actor": "eve", "command": "x"}
TAKEN = reserve(4, "bob 0 c1 1=1", at_ms=62_500)
TWO_MORE = reserve(4, "ann 1 c2 0=2", at_ms=62_500)
CLOSED = row(4, kind="close", actor="eve", command="x")
BROKEN: list[tuple[str, str, list[Entry]]] = [
    ("a row is missing", "join", [reserve(3, "ann 0 c1 0=1")]),
    ("a row ends elsewhere", "join", [row(3, kind="close", actor="", command="", first=2)]),
    ("the epoch falls", "join", [row(2, epoch=EPOCH - 1, kind="close", actor="", command="")]),
    ("more than there is", "balance", [reserve(3, "ann 0 c1 1=1", "bob 0 c1 1=1")]),
    ("after the close", "window", [row(2, kind="close", actor="", command=""), reserve(3, "ann 0 c1 0=1")]),
    ("before the opening", "window", [reserve(2, "ann 0 c1 0=1", at_ms=-5)]),
    ("while frozen", "window", [row(2, kind="freeze", reason="x", seen=""), reserve(3, "ann 0 c1 0=1")]),
    ("while paused", "window", [row(2, kind="pause", **BY_EVE), reserve(3, "ann 0 c1 0=1")]),
    ("paid while frozen", "window", [GRANTED, row(3, kind="freeze", reason="ordered"), PAID_NEXT]),
    ("expired too early", "window", [GRANTED, row(3, 2_000, kind="expire", reservations="ann 0")]),
    ("paid too late", "window", [GRANTED, row(3, 99_000, kind="confirm", reservation="ann 0", command="p")]),
    ("opened twice", "once", [row(2, **OPENED)]),
    ("one place twice", "once", [GRANTED, reserve(3, "ann 0 c2 0=1")]),
    ("one command twice", "once", [GRANTED, reserve(3, "ann 1 c1 0=1")]),
    ("an end of nothing", "once", [row(2, kind="release", reservation="bob 0", command="r")]),
    ("paid late while held", "once", [GRANTED, late(3, at_ms=2_000)]),
    ("a refund of what is held", "once", [GRANTED, late(3, "refund_due", 2_000)]),
    ("a return of what is held", "once", [GRANTED, late(3, "return", 2_000, limit="back")]),
    ("paid late, and nothing there", "balance", [reserve(2, "ann 0 c1 1=1"), EXPIRED, TAKEN, late(5)]),
    ("paid late after the close", "window", [GRANTED, EXPIRED, CLOSED, late(5)]),
    ("paid late over the limit", "limit", [reserve(2, "ann 0 c1 0=1"), EXPIRED, TWO_MORE, late(5)]),
    ("a return of no known sort", "format", [GRANTED, PAID, late(4, "return", limit="")]),
    ("over the limit", "limit", [reserve(2, "ann 0 c1 0=3")]),
    ("an unknown kind", "format", [row(2, kind="bonus")]),
    ("a torn row", "format", [row(2, kind="reserve", due="1", orders="ann 0 c1")]),
]


def test_a_rebuilt_sale_is_said_to_be_one() -> None:
    """Each of its rows, once, and nothing else: what follows is folded as ever."""
    newer = EPOCH + 9
    sale = folded(
        row(2, kind="freeze", reason="behind", seen=f"{EPOCH}-4", actor="", command=""),
        row(3, kind="rebuild", epoch=newer, since="0", base="64", actor="eve", command="r"),
        row(
            5,
            kind="recover",
            epoch=newer,
            first=4,
            due="0",
            limit="back",
            orders="ann 0 c1 0=1 c0\nbob 0 c1 1=1 c0",
        ),
        row(6, kind="correct", epoch=newer, due="0", limit="back", orders="ann 0 c1 0=1 r0"),
        row(7, kind="reopen", epoch=newer, actor="eve", command="r"),
        row(8, epoch=newer, kind="reserve", at_ms=1_000, due=str(EPOCH + 61_000), orders="cat 64 c1 0=1"),
    )
    said = sale.problems.pop("format")
    kinds = ("rebuild", "recover", "correct", "reopen")
    assert len(said) == 4
    for kind, text in zip(kinds, said, strict=True):
        assert f" is a {kind}: a rebuilt sale is proved by `liveserver ledger verify`, and not here" in text
    assert not any(sale.problems.values()), sale.problems
    assert (sale.epoch, sale.seq, sale.frozen) == (newer, 8, False)
    assert sale.available_at(newer, 5) == sale.available_at(EPOCH, 2) == {"red": 3, "blue": 1}


@pytest.mark.parametrize(("law", "entries"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_each_law_is_seen_broken(law: str, entries: list[Entry]) -> None:
    assert law in LAWS
    assert folded(*entries).problems[law]
