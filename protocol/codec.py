"""Bytes to messages and back: two subprotocols, one set of shapes.

msgspec makes checked messages of bytes, in one pass. Only where it refuses some, orjson and msgpack read
them as plain values, to find out what is wrong. ``decode_command`` is the only door for what clients say: it
raises ``NotOurs`` for what isn't a message of the subprotocol and ``CommandError`` (with the command's id and
the field's wire name) for a message with something wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgpack
import msgspec
import orjson

from . import commands
from .commands import Command
from .errors import CommandError, NotOurs
from .frames import Frame
from .replies import Bye, Notice, Reply
from .types import ID_PATTERN, ID_WORDS

T = TypeVar("T")

Downward = Reply | Notice | Bye | Frame

_TAGS: dict[str, type] = {c.__struct_config__.tag: c for c in commands.Command.__args__}
_DOWN_TAGS: dict[str, type] = {c.__struct_config__.tag: c for c in Downward.__args__}
_ID = re.compile(ID_PATTERN)
_WHERE = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.S)
_AS_PATTERN, _AS_WORDS = f"matching regex {ID_PATTERN!r}", f"that is an id: {ID_WORDS}"
_NAMED = re.compile(r"field `(?P<field>.*)`$", re.S)  # a name may be anything, also a backtick


class Codec:
    """One subprotocol. ``text`` says which kind of WebSocket message carries it."""

    def __init__(
        self,
        subprotocol: str,
        text: bool,
        loads: Callable[[bytes], Any],
        decode: Callable[[bytes], Command],
        encode: Callable[[msgspec.Struct], bytes],
    ) -> None:
        self.subprotocol = subprotocol
        self.text = text
        self._loads = loads
        self._decode = decode
        self._encode = encode

    def __repr__(self) -> str:
        return f"<Codec {self.subprotocol}>"

    def encode(self, message: msgspec.Struct) -> bytes:
        """The wire bytes of any command, reply or frame."""
        return self._encode(message)

    def decode_command(self, payload: bytes) -> Command:
        """A checked command; ``CommandError`` names code, field and the command's id."""
        try:
            return self._decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _convert_command(self._read(payload))  # which says what is wrong

    def decode_downward(self, payload: bytes) -> Downward:
        """A checked reply, notice or frame; ``NotOurs`` if it is none."""
        value = self._read(payload)
        tag = value.get("type") if isinstance(value, dict) else None
        shape = _DOWN_TAGS.get(tag) if isinstance(tag, str) else None
        if shape is None:
            raise NotOurs(f"no reply, notice or frame has the type {str(tag)[:64]!r}")
        try:
            message: Downward = msgspec.convert(value, shape)  # of the union itself: 40 µs more
        except msgspec.ValidationError as error:
            raise NotOurs(str(error)) from None
        return message

    def _read(self, payload: bytes) -> Any:
        try:
            return self._loads(payload)
        except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
            raise NotOurs(f"not {self.subprotocol}: {error}") from None


def _convert_command(value: Any) -> Command:
    if not isinstance(value, dict):
        raise NotOurs("a command is a map")
    given = value.get("id")
    command_id = given if isinstance(given, str) and _ID.match(given) else ""
    tag = value.get("type")
    if tag is None:
        raise CommandError("missing_field", "a command has a type", field="type", command_id=command_id)
    shape = _TAGS.get(tag) if isinstance(tag, str) else None
    if shape is None:
        raise CommandError(
            "unknown_command", f"no command {str(tag)[:64]!r}", field="type", command_id=command_id
        )
    command: Command = checked(value, shape, command_id)
    return command


def checked(value: Any, shape: type[T], command_id: str = "") -> T:
    """A plain value as this shape; ``CommandError`` names code and field."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise _named(str(error), command_id) from None


def _named(text: str, command_id: str) -> CommandError:
    """msgspec's message, as a code and the path of the field it is about."""
    found = _WHERE.match(text)
    assert found is not None
    what, path = found["what"].replace(_AS_PATTERN, _AS_WORDS), (found["path"] or "").lstrip(".")
    named = _NAMED.search(what)
    name = (named["field"] or '""') if named else ""
    if "missing required field" in what and named:
        code, path = "missing_field", f"{path}.{name}".lstrip(".")
    elif "unknown field" in what and named:
        code, path = "unknown_field", f"{path}.{name}".lstrip(".")
    else:
        code = "invalid_field"
    return CommandError(code, what, field=path, command_id=command_id)


def _msgpack_loads(payload: bytes) -> Any:
    limit = len(payload)  # no container or string can be longer than what carries it
    return msgpack.unpackb(
        payload,
        strict_map_key=False,
        max_str_len=limit,
        max_bin_len=limit,
        max_array_len=limit,
        max_map_len=limit,
        max_ext_len=0,
    )


JSON = Codec(
    "live.v1.json",
    True,
    orjson.loads,
    msgspec.json.Decoder(Command).decode,
    msgspec.json.Encoder().encode,
)
MSGPACK = Codec(
    "live.v1.msgpack",
    False,
    _msgpack_loads,
    msgspec.msgpack.Decoder(Command).decode,
    msgspec.msgpack.Encoder().encode,
)
CODECS: dict[str, Codec] = {codec.subprotocol: codec for codec in (MSGPACK, JSON)}
"""By subprotocol, the server's preference first."""
