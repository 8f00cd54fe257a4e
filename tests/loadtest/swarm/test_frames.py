"""The lean reader of a server's frames, held to ``websockets``' own opinion of the same bytes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from liveserver.edge.frames import FrameReader
from loadtest.swarm import frames
from loadtest.swarm.frames import BrokenFrameError, Message, Reader, client_frame
from protocol.codec import JSON, MSGPACK

payloads = st.one_of(st.binary(max_size=200), st.integers(120, 70_000).map(lambda size: b"x" * size))


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, bool, bytes]]]:
    """Bytes of a server, and the messages in them."""
    stream, messages = b"", []
    for _ in range(draw(st.integers(1, 6))):
        opcode = draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.CLOSE]))
        if opcode in (Opcode.PING, Opcode.CLOSE):
            payload = draw(st.binary(min_size=2, max_size=125))
            stream += _bytes(Frame(opcode, payload))
            messages.append((int(opcode), False, payload))
            continue
        pieces = draw(st.lists(payloads, min_size=1, max_size=3))
        compressed = draw(st.booleans())
        for k, piece in enumerate(pieces):
            kind = opcode if k == 0 else Opcode.CONT
            last = k == len(pieces) - 1
            whole = _bytes(Frame(kind, piece, fin=last))
            rsv1 = 0x40 if compressed and k == 0 else 0
            stream += bytes([whole[0] | rsv1]) + whole[1:]
            if not last and draw(st.booleans()):
                stream += _bytes(Frame(Opcode.PING, b"in between"))
                messages.append((int(Opcode.PING), False, b"in between"))
        messages.append((int(opcode), compressed, b"".join(pieces)))
    return stream, messages


def _bytes(frame: Frame) -> bytes:
    return frame.serialize(mask=False)


@given(streams(), st.lists(st.integers(0, 1 << 20), max_size=8))
def test_what_a_server_wrote_is_read_however_it_is_split(
    written: tuple[bytes, list[tuple[int, bool, bytes]]], cuts: list[int]
) -> None:
    stream, messages = written
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    reader = Reader()
    read = [
        message for begin, end in itertools.pairwise(places) for message in reader.feed(stream[begin:end])
    ]
    assert [(each.opcode, each.compressed, each.payload) for each in read] == messages
    assert not reader.rest
    for each in read:
        if each.frame:  # what was one frame is remembered by exactly its bytes
            assert each.frame in stream and each.frame.endswith(each.payload)


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"\x81\x82" + bytes(4) + b"{}", "masked"),
        (b"\x83\x00", "no such frame"),
        (b"\xa1\x00", "no such frame"),
        (b"\x09\x00", "control frame"),
        (b"\xc9\x00", "control frame"),
        (b"\x89\x7e\x00\x80" + b"x" * 128, "control frame"),
        (b"\x80\x00", "continuation of nothing"),
        (b"\x01\x00\x01\x00", "inside another"),
        (b"\x81\x7f" + (frames.MESSAGE_BYTES_MAX + 1).to_bytes(8, "big"), "more than"),
        (b"\x01\x00" + b"\x00\x00" * frames.FRAGMENTS_MAX, "fragments"),
    ],
)
def test_what_breaks_the_rfc_is_said(stream: bytes, why: str) -> None:
    with pytest.raises(BrokenFrameError, match=why):
        Reader().feed(stream)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 20_000])
def test_the_server_reads_our_frames(size: int) -> None:
    for codec, opcode in ((JSON, frames.TEXT), (MSGPACK, frames.BINARY)):
        reader = FrameReader(codec, deflate=False)
        reader.feed(client_frame(opcode, b"a" * size))
        assert reader.next() == b"a" * size
        assert reader.next() is None


def test_a_frame_begun_waits_for_its_rest() -> None:
    reader = Reader()
    assert reader.feed(b"\x81\x02{") == []
    assert reader.feed(b"}") == [Message(frames.TEXT, False, b"{}", b"\x81\x02{}")]
