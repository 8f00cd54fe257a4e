"""The reference and the vectors say what the code says, and say all of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import msgspec
import pytest

from liveserver.core import limits as server_limits
from liveserver.stock.port import Outcome, ReservationState
from protocol import commands, events, limits
from protocol.codec import JSON, MSGPACK, Downward
from protocol.commands import Command
from protocol.errors import CODES
from protocol.events import Event
from protocol.examples import COMMANDS as COMMAND_EXAMPLES
from protocol.examples import EVENTS, FRAMES, MESSAGES
from protocol.frames import Frame
from protocol.golden import GOLDEN, files
from protocol.lanes import COMMANDS, DOWNWARD
from protocol.outcomes import OUTCOMES, RESERVATION_STATES
from protocol.reference import BLOCKS, README, render
from protocol.replies import Reply
from protocol.scenarios import SCENARIOS

from . import roles_table

VECTORS = json.loads((GOLDEN / "messages.json").read_text(encoding="utf-8"))


def test_the_reference_is_what_the_code_says() -> None:
    text = README.read_text(encoding="utf-8")
    assert render(text, BLOCKS | roles_table.BLOCKS) == text, "run: python -m protocol.reference"


def test_every_block_has_its_place() -> None:
    places = re.findall(r"<!-- generated: ([\w-]+) -->", README.read_text(encoding="utf-8"))
    assert sorted(places) == sorted([*BLOCKS, *roles_table.BLOCKS])


def test_every_code_close_and_message_stands_in_it() -> None:
    text = README.read_text(encoding="utf-8")
    for shape in [*Command.__args__, *Reply.__args__, *Event.__args__]:
        assert f"### `{shape.__struct_config__.tag}`" in text
    for code in [*CODES, *OUTCOMES, *RESERVATION_STATES]:
        assert f"| `{code}` |" in text


def test_every_example_in_it_is_a_message() -> None:
    """What a reader copies works: each JSON block decodes as a command, a reply, a frame or an event."""
    blocks = re.findall(r"```json\n(.*?)\n```", README.read_text(encoding="utf-8"), re.S)
    assert len(blocks) > 60
    event_tags = {shape.__struct_config__.tag for shape in Event.__args__}
    command_tags = {shape.__struct_config__.tag for shape in Command.__args__}
    for block in blocks:
        tag = json.loads(block)["type"]
        if tag in command_tags:
            JSON.decode_command(block.encode())
        elif tag in event_tags:
            msgspec.json.decode(block, type=Event)
        else:
            JSON.decode_downward(block.encode())


def test_the_outcomes_are_the_ledgers() -> None:
    assert list(OUTCOMES) == [str(each) for each in Outcome]
    assert list(RESERVATION_STATES) == [str(each) for each in ReservationState]


def test_rooms_and_mirrors_forget_closed_sales_alike() -> None:
    assert server_limits.CLOSED_SALES_MAX == limits.CLOSED_SALES_MAX


def test_every_message_type_has_its_contract() -> None:
    assert set(COMMANDS) == set(Command.__args__)
    parts = {shape for shape in DOWNWARD if shape.__module__ == "protocol.frames"}
    assert set(DOWNWARD) - parts == (set(Downward.__args__) | set(Event.__args__)) - {Frame}
    assert {contract.reply for contract in COMMANDS.values()} <= set(Reply.__args__)


# -- golden vectors ------------------------------------------------------------------------------------


def test_the_vectors_are_those_of_this_code() -> None:
    for name, contents in files().items():
        committed = (GOLDEN / name).read_text(encoding="utf-8")
        assert committed == contents, "a shape changed; if on purpose: python -m protocol.golden"


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_a_vector_is_right_in_both_codecs(vector: dict[str, str]) -> None:
    message = MESSAGES[vector["name"]]
    is_command = isinstance(message, commands.CommandBase)
    wire = {JSON: vector["json"].encode(), MSGPACK: bytes.fromhex(vector["msgpackHex"])}
    for codec, payload in wire.items():
        decoded = codec.decode_command(payload) if is_command else codec.decode_downward(payload)
        assert decoded == message
        assert type(decoded) is type(message)
        assert codec.encode(message) == payload
    assert json.loads(vector["json"]) == vector["message"]


def test_every_message_type_and_event_has_a_vector() -> None:
    shown = {type(message) for message in MESSAGES.values()}
    assert shown == set(Command.__args__) | set(Downward.__args__)
    assert {type(event) for event in EVENTS.values()} == set(Event.__args__)
    framed = {type(each.event) for frame in FRAMES.values() for each in frame.critical}
    assert framed == set(Event.__args__)
    assert {type(command) for command in COMMAND_EXAMPLES.values()} == set(Command.__args__)


def test_every_field_has_a_vector_that_carries_it() -> None:
    """A field no vector carries could change its name unseen."""

    def walk(value: object, seen: set[tuple[type, str]]) -> None:
        if isinstance(value, msgspec.Struct):
            plain = msgspec.to_builtins(value)
            for field in msgspec.structs.fields(value):
                if isinstance(plain, list) or field.encode_name in plain:
                    seen.add((type(value), field.name))
                walk(getattr(value, field.name), seen)
        elif isinstance(value, list):
            for each in value:
                walk(each, seen)

    seen: set[tuple[type, str]] = set()
    for message in MESSAGES.values():
        walk(message, seen)
    shapes = {shape for shape, _ in seen} | set(Command.__args__)
    every = {(shape, field.name) for shape in shapes for field in msgspec.structs.fields(shape)}
    assert every - seen == set()


def test_every_event_is_in_a_scenario() -> None:
    steps = [step for steps in SCENARIOS.values() for step in steps if isinstance(step, Frame)]
    told = {type(each.event) for step in steps for each in step.critical}
    assert told == set(Event.__args__)
    assert issubclass(events.RoomStatusChanged, events.EventBase)


def test_importing_the_wire_loads_no_client() -> None:
    """``import protocol`` and all the server needs of it load neither asyncio nor websockets."""
    names = ["codec", "close", "lanes", "limits", "outcomes"]
    script = (
        "import sys\n"
        + "".join(f"import protocol.{name}\n" for name in names)
        + "print(sorted(set(sys.modules) & {'asyncio', 'websockets', 'protocol.client'}))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
