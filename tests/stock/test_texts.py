"""The texts that must stay true: the packed formats, the table as Lua, the scripts' headers, FEED.md."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from liveserver.stock import ids, model, rows, scripts, transitions
from liveserver.stock.fold import Fold, fold
from liveserver.stock.ids import parse_reservation_id, reservation_id
from liveserver.stock.port import ReservationState, SaleItem, SaleSpec, UnknownReservationError
from liveserver.stock.rows import Closed, Confirmed, Expired, Granted, Opened, Ref, Reserved
from protocol.types import ID_PATTERN

FEED_MD = (files("liveserver.stock") / "FEED.md").read_text("utf-8")
LUA_FILES = sorted(entry.name for entry in (files("liveserver.stock") / "lua").iterdir())
some_id = st.from_regex(ID_PATTERN, fullmatch=True).filter(lambda text: not text.endswith("\n"))


@given(some_id, some_id, st.integers(0, 63))
def test_a_reservation_id_names_one_reservation(sale_id: str, user_id: str, place: int) -> None:
    text = reservation_id(sale_id, user_id, place)
    assert parse_reservation_id(text) == (sale_id, user_id, place)
    assert len(text) <= 256 and ids.SEPARATOR not in sale_id + user_id


@given(st.text(max_size=40) | st.from_regex(r"[a-z]{1,3}~[a-z ]{0,3}~[0-9٣]{0,5}", fullmatch=True))
def test_whatever_is_read_as_a_reservation_id_was_written_as_one(text: str) -> None:
    try:
        ref = parse_reservation_id(text)
    except UnknownReservationError:
        return
    assert reservation_id(*ref) == text


def test_every_state_has_its_own_letter() -> None:
    assert set(transitions.LETTER) == set(ReservationState)
    assert len(set(transitions.LETTER.values())) == len(ReservationState)
    assert all(
        f"`{letter}` {state.value.replace('_', ' ')}" in FEED_MD.replace("\n", " ")
        for state, letter in transitions.LETTER.items()
    )


async def test_the_lua_table_is_the_table(valkey: Redis) -> None:
    """Asks a real Lua for every pair of an end and a state."""
    ask = transitions.LUA + "\nreturn {NEXT[ARGV[1]][ARGV[2]] or '', COUNTED[ARGV[2]] or ''}"
    for end, row in transitions.TRANSITIONS.items():
        for state, letter in transitions.LETTER.items():
            after = transitions.LETTER[row[state]] if state in row else ""
            expected = [after, transitions.COUNTED.get(state, "")]
            assert await valkey.eval(ask, 0, end, letter) == [text.encode() for text in expected]


@pytest.mark.parametrize("name", [name for name in LUA_FILES if name != "common.lua"])
def test_a_script_says_what_it_takes_answers_costs_and_mirrors(name: str) -> None:
    text = (files("liveserver.stock") / "lua" / name).read_text("utf-8")
    header = text[: text.index("\n\n")]
    assert header.startswith("#!lua") and "\n-- KEYS" in header and "\n-- Answers" in header
    assert "\n-- O(" in header
    mirrored = re.findall(
        r"(Model\w+|Fold)?\.(\w+)", header[header.index("Mirrors") : header.index("-- KEYS")]
    )
    assert mirrored
    owner = "ModelSale"
    for named, method in mirrored:
        owner = named or owner
        mirror = Fold if owner == "Fold" else getattr(model, owner)
        assert hasattr(mirror, method), f"{owner}.{method}"


def test_a_sale_lives_in_one_slot() -> None:
    keys = scripts.keys_of("s:1")
    assert len(set(keys)) == len(keys) == 6
    assert {key[: key.index("}") + 1] for key in keys} == {"{sale:s:1}"}
    assert scripts.feed_key("s:1") == "{sale:s:1}:feed"
    for key in keys:
        assert f"`{key.replace('s:1', 'ID')}`" in FEED_MD


def example_rows() -> list[rows.AnyRow]:
    """FEED.md's example, read from its own text."""
    block = FEED_MD[FEED_MD.index("XRANGE") :].split("```")[0].splitlines()[1:]
    entries: list[str] = []
    for line in block:
        entries.append(line) if not line.startswith(" ") else entries.append(
            f"{entries.pop()} {line.strip()}"
        )
    parsed = []
    for entry in entries:
        entry_id, rest = entry.split(" ", 1)
        pairs = re.findall(r'(\w+) +("[^"]*"|\S+)', rest)
        fields = {key: value.strip('"').replace("\\n", "\n") for key, value in pairs}
        encoded = {key.encode(): value.encode() for key, value in fields.items()}
        parsed.append(rows.parse_row("s1", entry_id.encode(), encoded))
    return parsed


def test_the_example_in_the_document_is_a_feed_that_holds_every_law() -> None:
    parsed = example_rows()
    epoch = 1767000000000
    items = (SaleItem("red", 3), SaleItem("blue", 1))
    spec = SaleSpec("s1", items, 2, epoch, epoch + 3_600_000, 60_000, spread_ms=1_000)
    ann, bob = Ref("ann", 0), Ref("bob", 0)
    opened, reserved = parsed[0], parsed[1]
    assert isinstance(opened, Opened) and opened.spec == spec
    assert isinstance(reserved, Reserved)
    assert reserved.orders == (Granted(ann, "c1", ((0, 2),)), Granted(bob, "b-77", ((0, 1), (1, 1))))
    assert isinstance(parsed[2], Confirmed) and parsed[2].ref == ann
    assert isinstance(parsed[3], Expired) and parsed[3].refs == (bob,)
    assert isinstance(parsed[5], Closed) and parsed[5].actor == ""
    folded = fold(parsed)
    assert (folded.available, folded.held, folded.confirmed) == ([0, 1], [0, 0], [2, 0])


@pytest.mark.parametrize(
    "entry",
    [
        (b"1-1", {b"kind": b"gift", b"first": b"1", b"at": b"1"}),
        (b"1-1", {b"kind": b"confirm", b"first": b"1", b"at": b"1", b"command": b"c"}),
        (b"1-1", {b"kind": b"expire", b"first": b"1", b"at": b"1", b"reservations": b"ann"}),
        (b"x", {b"kind": b"close", b"first": b"1", b"at": b"1", b"actor": b"", b"command": b""}),
    ],
)
def test_what_is_no_row_is_no_row(entry: tuple[bytes, dict[bytes, bytes]]) -> None:
    with pytest.raises(ValueError, match="is no row"):
        rows.parse_row("s1", *entry)
