"""The one door for what clients say: what is wrong is named, and nothing else ever comes out of it."""

from __future__ import annotations

from typing import Any

import msgpack
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocol import commands, limits
from protocol.codec import CODECS, JSON, MSGPACK, Codec, Downward
from protocol.commands import Command
from protocol.errors import CODES, CommandError, NotOurs
from protocol.examples import COMMANDS, MESSAGES
from protocol.types import ID_WORDS

from .any_message import any_of

both = pytest.mark.parametrize("codec", list(CODECS.values()), ids=lambda codec: codec.subprotocol)


def packed(codec: Codec, value: Any) -> bytes:
    return orjson.dumps(value) if codec is JSON else msgpack.packb(value)


PURCHASE: dict[str, Any] = {
    "type": "purchase",
    "id": "c1",
    "room": "r1",
    "saleId": "s1",
    "lines": [{"itemId": "red"}],
}


@both
@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"type": "dance"}, "unknown_command", "type"),
        ({"type": 7}, "unknown_command", "type"),
        ({"type": ["purchase"]}, "unknown_command", "type"),
        ({"type": None}, "missing_field", "type"),
        ({"colour": 1}, "unknown_field", "colour"),
        ({"sale_id": "s1"}, "unknown_field", "sale_id"),
        ({"lines": [{"itemId": "red", "price": 1}]}, "unknown_field", "lines[0].price"),
        ({"lines": [{}]}, "missing_field", "lines[0].itemId"),
        ({"lines": []}, "invalid_field", "lines"),
        ({"lines": [{"itemId": "red"}] * 33}, "invalid_field", "lines"),
        ({"lines": [{"itemId": "red", "quantity": 0}]}, "invalid_field", "lines[0].quantity"),
        ({"lines": [{"itemId": "red", "quantity": 1000}]}, "invalid_field", "lines[0].quantity"),
        ({"lines": [{"itemId": "red", "quantity": 1.5}]}, "invalid_field", "lines[0].quantity"),
        ({"lines": [{"itemId": "red", "quantity": True}]}, "invalid_field", "lines[0].quantity"),
        ({"lines": "red"}, "invalid_field", "lines"),
        ({"room": ""}, "invalid_field", "room"),
        ({"room": "no spaces"}, "invalid_field", "room"),
        ({"room": "x" * 65}, "invalid_field", "room"),
        ({"room": "r1\n"}, "invalid_field", "room"),
        ({"attempt": -1}, "invalid_field", "attempt"),
        ({"attempt": 2**63}, "invalid_field", "attempt"),
    ],
)
def test_what_is_wrong_is_named(codec: Codec, change: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(CommandError) as caught:
        codec.decode_command(packed(codec, PURCHASE | change))
    assert (caught.value.code, caught.value.field, caught.value.command_id) == (code, field, "c1")


@both
def test_what_is_no_id_is_told_in_words(codec: Codec) -> None:
    with pytest.raises(CommandError) as caught:
        codec.decode_command(packed(codec, PURCHASE | {"room": "no spaces"}))
    assert caught.value.detail == f"Expected `str` that is an id: {ID_WORDS}"


@both
@pytest.mark.parametrize("gone", ["id", "saleId", "lines"])
def test_a_missing_field_is_named(codec: Codec, gone: str) -> None:
    value = {key: each for key, each in PURCHASE.items() if key != gone}
    with pytest.raises(CommandError) as caught:
        codec.decode_command(packed(codec, value))
    assert (caught.value.code, caught.value.field) == ("missing_field", gone)


@both
@pytest.mark.parametrize("command_id", ["", "no spaces", "x" * 65, 7, None, "line\n", ["c1"]])
def test_an_id_that_is_none_is_not_echoed(codec: Codec, command_id: Any) -> None:
    with pytest.raises(CommandError) as caught:
        codec.decode_command(packed(codec, PURCHASE | {"id": command_id}))
    assert (caught.value.code, caught.value.field, caught.value.command_id) == ("invalid_field", "id", "")


@both
@pytest.mark.parametrize("value", [[], "purchase", 1, None, [PURCHASE]])
def test_what_is_no_map_is_not_ours(codec: Codec, value: Any) -> None:
    with pytest.raises(NotOurs):
        codec.decode_command(packed(codec, value))


@pytest.mark.parametrize("payload", [b"", b"{", b"{}x", b"\xff", b'{"a":NaN}', b"[" * 2000])
def test_what_is_no_json_is_not_ours(payload: bytes) -> None:
    with pytest.raises(NotOurs):
        JSON.decode_command(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x81",
        b"\x81\xa1a",
        b"\x80\x80",
        b"\xdf\xff\xff\xff\xff",
        b"\x91" * 5000,
        b"\xd4\x01\x00",
        b"\xc1",
    ],
)
def test_what_is_no_msgpack_is_not_ours(payload: bytes) -> None:
    with pytest.raises(NotOurs):
        MSGPACK.decode_command(payload)


@both
def test_length_limits_count_characters_not_bytes(codec: Codec) -> None:
    most = {"type": "danmaku", "id": "c1", "room": "r1", "text": "汉" * limits.TEXT_CHARS_MAX}
    command = codec.decode_command(packed(codec, most))
    assert isinstance(command, commands.SendDanmaku) and len(command.text) == limits.TEXT_CHARS_MAX
    with pytest.raises(CommandError):
        codec.decode_command(packed(codec, most | {"text": "汉" * (limits.TEXT_CHARS_MAX + 1)}))


@both
def test_a_new_field_from_the_server_is_skipped(codec: Codec) -> None:
    """Clients outlive additions."""
    pong = {"type": "pong", "id": "c1", "t": 1, "mood": "fine"}
    assert codec.decode_downward(packed(codec, pong)).t == 1


@both
def test_a_command_is_nothing_downward(codec: Codec) -> None:
    with pytest.raises(NotOurs):
        codec.decode_downward(packed(codec, PURCHASE))


# -- every command there can be ------------------------------------------------------------------------

any_command = st.one_of([any_of(shape) for shape in Command.__args__])
any_downward = st.one_of([any_of(shape) for shape in Downward.__args__])
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@both
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_command_comes_back_as_it_went(codec: Codec, data: st.DataObject) -> None:
    command = data.draw(any_command)
    assert codec.decode_command(codec.encode(command)) == command


@both
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_reply_or_frame_comes_back_as_it_went(codec: Codec, data: st.DataObject) -> None:
    message = data.draw(any_downward)
    assert codec.decode_downward(codec.encode(message)) == message


@both
@given(payload=st.binary(max_size=200))
@example(payload=b'{"type":"ping","id":"\\ud800"}')
@settings(max_examples=300, deadline=None)
def test_random_bytes_are_refused_by_name(codec: Codec, payload: bytes) -> None:
    refused_or_right(codec, payload)


@both
@pytest.mark.parametrize("name", ["`oom", "a`b", "`", "", "x` - at `$y", "\n"])
def test_an_unknown_field_may_be_named_anything(codec: Codec, name: str) -> None:
    payload = packed(codec, {"type": "endRoom", "id": "c26", "room": "r1", name: 1})
    with pytest.raises(CommandError) as refused:
        codec.decode_command(payload)
    assert refused.value.code in ("unknown_field", "invalid_field") and refused.value.field


@both
@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_broken_messages_are_refused_by_name(codec: Codec, data: st.DataObject) -> None:
    """A real message with bytes changed, or a field replaced by anything."""
    message = data.draw(st.sampled_from(list(MESSAGES.values())))
    payload = bytearray(codec.encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    refused_or_right(codec, bytes(payload))


@both
@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_field_of_any_value_is_refused_by_name(codec: Codec, data: st.DataObject) -> None:
    command = data.draw(st.sampled_from(list(COMMANDS.values())))
    value = orjson.loads(JSON.encode(command))
    value[data.draw(st.sampled_from([*value, "other"]))] = data.draw(plain)
    try:
        payload = packed(codec, value)
    except (TypeError, ValueError, OverflowError):
        return  # no such JSON
    refused_or_right(codec, payload)


def refused_or_right(codec: Codec, payload: bytes) -> None:
    refused: CommandError | None = None
    try:
        command = codec.decode_command(payload)
        assert codec.decode_command(codec.encode(command)) == command
    except NotOurs:
        pass
    except CommandError as error:
        refused = error
    if refused is not None:
        assert refused.code in CODES and refused.field
