"""The straight way through the codec, in one pass, against the long one by plain values and the libraries of
each format. They agree on every message, and on every command there is."""

from __future__ import annotations

from typing import Any

import msgpack
import msgspec
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocol.codec import CODECS, JSON, MSGPACK, Codec, Downward, _convert_command
from protocol.commands import Command
from protocol.errors import CommandError, NotOurs
from protocol.examples import COMMANDS, MESSAGES

from .any_message import any_of

both = pytest.mark.parametrize("codec", list(CODECS.values()), ids=lambda codec: codec.subprotocol)
any_message = st.one_of([any_of(shape) for shape in (*Command.__args__, *Downward.__args__)])


def long_way(codec: Codec, payload: bytes) -> Command | None:
    """None: refused."""
    try:
        return _convert_command(codec._read(payload))
    except (CommandError, NotOurs):
        return None


def straight_way(codec: Codec, payload: bytes) -> Command | None:
    try:
        return codec.decode_command(payload)
    except (CommandError, NotOurs):
        return None


def plainly(codec: Codec, message: msgspec.Struct) -> bytes:
    value: Any = msgspec.to_builtins(message)
    packed: bytes = orjson.dumps(value) if codec is JSON else msgpack.packb(value)
    return packed


@both
@given(message=any_message)
@settings(max_examples=300, deadline=None)
def test_the_same_bytes(codec: Codec, message: msgspec.Struct) -> None:
    assert codec.encode(message) == plainly(codec, message)


@both
@pytest.mark.parametrize("name", MESSAGES)
def test_the_same_bytes_of_every_example(codec: Codec, name: str) -> None:
    assert codec.encode(MESSAGES[name]) == plainly(codec, MESSAGES[name])


@both
@pytest.mark.parametrize("name", COMMANDS)
def test_a_right_command_goes_the_straight_way(codec: Codec, name: str) -> None:
    """The long one would find it right too: nobody would notice but by the clock."""
    assert codec._decode(plainly(codec, COMMANDS[name])) == COMMANDS[name]


@both
@given(data=st.data())
@settings(max_examples=500, deadline=None)
def test_nothing_passes_that_the_long_way_refuses(codec: Codec, data: st.DataObject) -> None:
    """Of real commands with bytes changed: the same command, or refused by both."""
    payload = bytearray(codec.encode(data.draw(st.sampled_from(list(COMMANDS.values())))))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(payload)))
        payload[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    assert straight_way(codec, bytes(payload)) == long_way(codec, bytes(payload))


@given(payload=st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
@example(payload=msgpack.packb({"type": "ping", "id": b"bin"}))
@example(payload=msgpack.packb({"type": "ping", b"id": "bin"}))
@example(payload=msgpack.packb({"type": "like", "id": "l", "room": "r", "count": 1.0}))
@example(payload=msgpack.packb({"type": "like", "id": "l", "room": "r", "count": msgpack.Timestamp(1)}))
@example(payload=msgpack.packb({"type": "ping", "id": "two"}) * 2)
@example(payload=b"\x83\xa4type\xa4ping\xa2id\xa1a\xa2id\xa1b")  # a field twice
@example(payload=b"\x82\xa4type\xa7danmaku\xa4text\xa3\xed\xa0\x80")  # half a surrogate pair
def test_nor_of_any_msgpack(payload: bytes) -> None:
    assert straight_way(MSGPACK, payload) == long_way(MSGPACK, payload)


@given(text=st.text('{}[]",:\\ntruefalse0123456789.eE+-idpnglkocm \t\u2028\x00', max_size=60))
@settings(max_examples=300, deadline=None)
@example(text='{"type":"ping","id":"a","id":"b"}')
@example(text='{"type":"like","id":"l","room":"r","count":1e0}')
@example(text='{"type":"like","id":"l","room":"r","count":18446744073709551617}')
@example(text='{"type":"danmaku","id":"d","room":"r","text":"\\ud800"}')
@example(text='{"type":"danmaku","id":"d","room":"r","text":"\\ud83d\\ude00\\u0000"}')
@example(text='\ufeff{"type":"ping","id":"a"}')
@example(text=' {"type" : "ping", "id" : "a"}\n')
@example(text='{"type":"ping","id":"a"}x')
@example(text='{"type":"ping","id":"a",}')
@example(text='{"\\u0074ype":"ping","id":"a"}')
@example(text='{"type":"p\\u0069ng","id":"a"}')
def test_nor_of_any_json(text: str) -> None:
    payload = text.encode()
    assert straight_way(JSON, payload) == long_way(JSON, payload)
