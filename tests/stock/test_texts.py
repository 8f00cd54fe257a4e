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
LUA = files("liveserver.stock") / "lua"
SCRIPTS = sorted(entry.name.removesuffix(".lua") for entry in LUA.iterdir() if entry.is_file())
PARTS = sorted(entry.name.removesuffix(".lua") for entry in (LUA / "parts").iterdir())
LUA_LINES_MAX = 120  # a page
LUA_WORDS = re.compile(
    "and|break|do|else|elseif|end|false|for|function|if|in|local|nil|not|or|repeat|return|then|true|until|while"
    "|KEYS|ARGV|redis|string|math|table|tonumber|pairs|ipairs|unpack"
)
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


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_says_what_it_takes_answers_costs_and_mirrors(name: str) -> None:
    text = (LUA / f"{name}.lua").read_text("utf-8")
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


def code_of(lua: str) -> str:
    """Without comments and texts."""
    return re.sub(r"'[^'\n]*'|--.*|^#!.*", "", lua)


def listed(lists: list[str]) -> set[str]:
    return set(", ".join(lists).split(", "))


def defined(lua: str) -> set[str]:
    """What a part names for whatever comes behind it."""
    code = code_of(lua)
    functions = re.findall(r"^local function (\w+)", code, re.MULTILINE)
    return listed(functions + re.findall(r"^local (?!function)([\w, ]+?) *(?:=|$)", code, re.MULTILINE))


def used(lua: str) -> set[str]:
    """The words of a file that are neither fields nor its own."""
    code = code_of(lua)
    own = re.findall(r"\blocal (?!function)(\w+(?:, \w+)*)", code) + re.findall(r"\bfunction (\w+)", code)
    own += re.findall(r"\bfunction *\w*\(([\w, ]*)", code) + re.findall(r"\bfor ([\w, ]+?) (?:=|in)", code)
    return set(re.findall(r"(?<![\w.])[A-Za-z_]\w*\b(?! = )", code)) - listed(own)


PART_OF = {  # name -> the part that defines it
    name: part
    for script in SCRIPTS
    for part, text in scripts.parts_of(script).items()
    for name in defined(text)
}


ORDER = tuple(dict.fromkeys(PART_OF.values()))


def needs(lua: str) -> set[str]:
    return {PART_OF[name] for name in used(lua) if name in PART_OF}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_made_of_the_parts_it_needs_and_no_others(name: str) -> None:
    """What is missing would be found only by the call that comes across it."""
    before, needed = set[str](), {"limits"}
    for part, text in [*scripts.parts_of(name).items(), ("", (LUA / f"{name}.lua").read_text("utf-8"))]:
        unknown = used(text) - PART_OF.keys()
        assert not [word for word in unknown if not LUA_WORDS.fullmatch(word)], part
        assert needs(text) <= before, part
        needed |= needs(text)
        before.add(part)
    assert needed == before - {""}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_says_what_it_needs_and_some_script_has_it(name: str) -> None:
    text = (LUA / "parts" / f"{name}.lua").read_text("utf-8")
    said = re.findall(r"^-- Needs (.+)\.$", text[: text.index("\n\n")], re.MULTILINE)
    assert said == ([] if name == "keys" else [", ".join(part for part in ORDER if part in needs(text))])
    assert name in PART_OF.values()


@pytest.mark.parametrize("name", [*SCRIPTS, *(f"parts/{name}" for name in PARTS)])
def test_a_lua_file_is_a_page(name: str) -> None:
    assert len((LUA / f"{name}.lua").read_text("utf-8").splitlines()) <= LUA_LINES_MAX


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
