"""The lean reader against ``websockets``' ``ServerProtocol``: whatever the bytes and however split, both say
the same, to the last word of the close frame."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from liveserver.edge import frames
from liveserver.edge.frames import FRAGMENTS_MAX, BrokenRuleError, Closing, FrameReader, Ping
from liveserver.edge.wire import close_bytes, echo_bytes, pong_bytes
from protocol.close import Close
from protocol.codec import JSON, MSGPACK, Codec
from protocol.limits import COMMAND_BYTES_MAX

BYTES_MAX = 300  # of a message here, so that short streams reach every limit

Said = list[bytes]
"""What a stream leads to, in order: messages as they are, and behind ``ANSWER`` the bytes of each answer."""
ANSWER = b"answer:"
END = b"end"


def lean(codec: Codec, deflate: bool, pieces: list[bytes], bytes_max: int = BYTES_MAX) -> Said:
    reader = FrameReader(codec, deflate=deflate, bytes_max=bytes_max)
    said: Said = []
    for piece in pieces:
        reader.feed(piece)
        try:
            while (heard := reader.next()) is not None:
                if isinstance(heard, Ping):
                    said.append(ANSWER + pong_bytes(heard.payload))
                elif isinstance(heard, Closing):
                    said += [ANSWER + echo_bytes(heard.payload), END]
                else:
                    said.append(heard)
        except BrokenRuleError as broken:
            said += [ANSWER + close_bytes(broken.code, broken.reason), END]
    return said


def judged(codec: Codec, deflate: bool, stream: bytes, bytes_max: int = BYTES_MAX) -> Said:
    """By the library, and by the three rules that are ours alone: the kind of frame, the number of fragments,
    UTF-8. It is fed byte by byte, so that ours are looked at in their place."""
    judge = ServerProtocol(state=OPEN, max_size=bytes_max)
    if deflate:
        judge.extensions = [PerMessageDeflate(True, True, 15, 15)]
    parts: list[bytes] = []
    said: Said = []
    for at in range(len(stream)):
        judge.receive_data(stream[at : at + 1])
        for event in judge.events_received():
            assert isinstance(event, Frame)
            if event.opcode in (Opcode.PING, Opcode.PONG, Opcode.CLOSE):
                continue
            broken = None
            if event.opcode is not Opcode.CONT and (event.opcode is Opcode.TEXT) is not codec.text:
                kind = "text" if codec.text else "binary"
                broken = close_bytes(Close.UNSUPPORTED_DATA, f"{codec.subprotocol} is {kind}")
            parts.append(bytes(event.data))
            if broken is None and len(parts) > FRAGMENTS_MAX:
                broken = close_bytes(Close.TOO_BIG, f"more than {FRAGMENTS_MAX} fragments")
            if broken is None and event.fin:
                payload = b"".join(parts)
                parts.clear()
                try:
                    payload.decode("utf-8" if codec.text else "latin-1")
                    said.append(payload)
                except UnicodeDecodeError as error:
                    broken = close_bytes(Close.INVALID_DATA, f"not UTF-8 at byte {error.start}")
            if broken is not None:
                return [*said, ANSWER + broken, END]
        said += [ANSWER + answer if answer else END for answer in judge.data_to_send()]
    return said


# -- streams -------------------------------------------------------------------------------------------


def packed(
    first: int, payload: bytes, *, masked: bool = True, wide: int = 0, key: bytes = b"\1\2\3\4"
) -> bytes:
    """A frame, rightly or wrongly made; ``wide``: its length in at least so many bytes."""
    length = len(payload)
    bit = 0x80 if masked else 0
    if wide >= 8 or length >= 1 << 16:
        head = struct.pack("!BBQ", first, bit | 127, length)
    elif wide >= 2 or length >= 126:
        head = struct.pack("!BBH", first, bit | 126, length)
    else:
        head = bytes((first, bit | length))
    if not masked:
        return head + payload
    return head + key + bytes(byte ^ key[index & 3] for index, byte in enumerate(payload))


def squeezed(payload: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def in_two(one: bytes, other: bytes) -> bytes:
    """A compressed message in two fragments."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = compressor.compress(one) + compressor.flush(zlib.Z_SYNC_FLUSH)
    second = compressor.compress(other) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return packed(0x41, first) + packed(0x80, second[:-4])


texts = st.one_of(
    st.text(max_size=60).map(str.encode),
    st.integers(0, BYTES_MAX + 20).map(lambda size: b"x" * size),
    st.binary(max_size=140),
)
closes = st.one_of(
    st.builds(
        lambda code, reason: struct.pack("!H", code) + reason,
        st.one_of(st.sampled_from([1000, 1001, 1005, 1006, 1015, 3000, 4999, 5000]), st.integers(0, 65_535)),
        st.one_of(st.text(max_size=20).map(str.encode), st.binary(max_size=20)),
    ),
    st.sampled_from([b"", b"\x03"]),
)
controls = st.one_of(
    st.builds(packed, st.sampled_from([0x89, 0x8A]), st.binary(max_size=130)),
    st.builds(packed, st.just(0x88), closes),
    st.builds(
        packed, st.sampled_from([0x09, 0x0A, 0x08, 0xC9, 0xA8, 0x8B, 0x83, 0x03]), st.binary(max_size=9)
    ),
)
keys = st.binary(min_size=4, max_size=4)
wholes = st.builds(
    packed, st.sampled_from([0x81, 0x82]), texts, wide=st.sampled_from([0, 0, 0, 2, 8]), key=keys
)
squeezed_wholes = st.builds(
    lambda first, payload: packed(first, squeezed(payload)),
    st.sampled_from([0xC1, 0xC2]),
    st.one_of(texts, st.integers(0, 20_000).map(lambda size: b"0" * size)),
)
strays = st.builds(
    packed,
    st.one_of(
        st.sampled_from([0x01, 0x02, 0x00, 0x80, 0x41, 0xC0, 0x40, 0xA1, 0x91, 0xB1]), st.integers(0, 255)
    ),
    texts,
    masked=st.sampled_from([True, True, True, False]),
)


@st.composite
def in_fragments(draw: st.DrawFn) -> bytes:
    """A message in pieces, perhaps compressed, perhaps with controls in between."""
    payload = draw(texts)
    first = draw(st.sampled_from([0x01, 0x02]))
    if draw(st.booleans()):
        payload, first = squeezed(payload), first | 0x40
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
    pieces = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
    made = []
    for number, piece in enumerate(pieces):
        made.append(packed((first if number == 0 else 0) | (0x80 if number == len(cuts) else 0), piece))
        if draw(st.sampled_from([False, False, True])):
            made.append(packed(draw(st.sampled_from([0x89, 0x8A])), b"still there?"))
    return b"".join(made)


said_by_clients = st.lists(
    st.one_of(wholes, wholes, squeezed_wholes, in_fragments(), controls, strays), min_size=1, max_size=8
).map(b"".join)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """What clients might say, some bytes of it changed, taken out or put in."""
    stream = bytearray(draw(said_by_clients))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2, 3]))):
        at = draw(st.integers(0, len(stream)))
        change = draw(st.sampled_from(["set", "cut", "put"]))
        if change == "cut":
            del stream[at : at + draw(st.integers(1, 5))]
        elif change == "put":
            stream[at:at] = draw(st.binary(min_size=1, max_size=5))
        elif at < len(stream):
            stream[at] = draw(st.integers(0, 255))
    return bytes(stream[:4_000])


def split(data: st.DataObject, stream: bytes) -> list[bytes]:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) if a < b]


codecs = pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=lambda codec: codec.subprotocol)
deflates = pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])


@codecs
@deflates
@given(data=st.data())
@settings(max_examples=400, deadline=None)
def test_the_judge_says_the_same(codec: Codec, deflate: bool, data: st.DataObject) -> None:
    stream = data.draw(streams())
    expected = judged(codec, deflate, stream)
    assert lean(codec, deflate, [stream]) == expected
    assert lean(codec, deflate, split(data, stream)) == expected
    assert lean(codec, deflate, [stream[at : at + 1] for at in range(len(stream))]) == expected


@codecs
@deflates
@given(stream=st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_of_random_bytes_too(codec: Codec, deflate: bool, stream: bytes) -> None:
    assert lean(codec, deflate, [stream]) == judged(codec, deflate, stream)


@pytest.mark.parametrize(
    "stream",
    [
        packed(0x81, b"1" * BYTES_MAX),
        packed(0x81, b"1" * (BYTES_MAX + 1)),
        packed(0x01, b"1" * BYTES_MAX) + packed(0x80, b""),
        packed(0x01, b"1" * (BYTES_MAX - 1)) + packed(0x89, b"22") + packed(0x80, b"1"),
        packed(0xC1, squeezed(b"1" * BYTES_MAX)),
        packed(0xC1, squeezed(b"1" * (BYTES_MAX + 1))),
        packed(0x41, squeezed(b"1" * BYTES_MAX)) + packed(0x80, b""),
        packed(0x41, squeezed(b"1" * BYTES_MAX)) + packed(0xC0, b""),
        packed(0xC1, b"\xff" * 20),
        (packed(0x01, b"1" * 200) + packed(0x80, b"2" * 50)) * 2,
        in_two(b"1" * 200, b"2" * 100),
        in_two(b"1" * 200, b"2" * 101),
        packed(0x01, b"") + packed(0x00, b"") * (FRAGMENTS_MAX - 2) + packed(0x80, b"1"),
        packed(0x01, b"") + packed(0x00, b"") * (FRAGMENTS_MAX - 1) + packed(0x80, b"1"),
        packed(0x01, "弹".encode()[:2]) + packed(0x80, "弹".encode()[2:]),
        packed(0x01, "弹".encode()[:2]) + packed(0x80, b""),
        packed(0x01, b"1") + packed(0x88, b"\x03\xe8"),
        packed(0x88, b"\x03\xe8\xff"),
        packed(0x88, b"") + packed(0x81, b"after the close"),
        packed(0x81, b"1", masked=False),
        packed(0x82, b"1"),
    ],
)
@codecs
@deflates
def test_at_every_limit(stream: bytes, codec: Codec, deflate: bool) -> None:
    expected = judged(codec, deflate, stream)
    assert expected
    assert lean(codec, deflate, [stream]) == expected


def test_a_long_command_and_its_limit() -> None:
    longest, longer = b"1" * COMMAND_BYTES_MAX, b"1" * (COMMAND_BYTES_MAX + 1)
    stream = packed(0x81, longest) + packed(0x81, longer)
    expected = judged(JSON, False, stream, COMMAND_BYTES_MAX)
    assert expected[0] == longest and expected[-1] == END
    assert lean(JSON, False, [stream], COMMAND_BYTES_MAX) == expected


def test_what_is_not_asked_for_is_not_looked_at() -> None:
    """A read full of compressed messages inflates as they are taken, and what is left stays as it came."""
    reader = FrameReader(JSON, deflate=True)
    bomb = packed(0xC1, squeezed(b"0" * COMMAND_BYTES_MAX))
    reader.feed(bomb * 50)
    assert reader.next() == b"0" * COMMAND_BYTES_MAX
    assert len(reader._buffer) == 50 * len(bomb)
    assert all(reader.next() == b"0" * COMMAND_BYTES_MAX for _ in range(49))
    assert reader.next() is None
    assert reader._buffer == b""


def test_an_ordinary_message_costs_no_frame_object(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(first: int, payload: bytes) -> Frame:
        raise AssertionError("a whole, uncompressed message is handed on as it is")

    monkeypatch.setattr(frames, "_frame", made)
    assert lean(JSON, True, [packed(0x81, b"1") + packed(0x81, b"2" * 200)]) == [b"1", b"2" * 200]
