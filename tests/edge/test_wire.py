"""Frames of ours, read by another implementation: ``websockets``' own parser of the client's side."""

from __future__ import annotations

import os

import pytest
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, Protocol

from liveserver.edge.wire import DEFLATE_BYTES_MIN, PING, frame_bytes


def read_by_a_client(frame: bytes, *, deflate: bool) -> Frame:
    client = Protocol(CLIENT, max_size=None)
    if deflate:
        client.extensions = [PerMessageDeflate(True, True, 15, 15)]
    client.receive_data(frame)
    assert client.parser_exc is None
    (event,) = client.events_received()
    assert isinstance(event, Frame)
    return event


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 299, 300, 301, 65_535, 65_536, 70_000])
def test_a_client_reads_what_was_framed(size: int, text: bool, deflate: bool) -> None:
    payload = (b'{"text":"666"},' * (size // 15 + 1))[:size]
    event = read_by_a_client(frame_bytes(payload, text=text, deflate=deflate), deflate=deflate)
    assert bytes(event.data) == payload
    assert event.opcode is (Opcode.TEXT if text else Opcode.BINARY)
    assert event.fin


def test_compressed_only_where_it_is_worth_it() -> None:
    long, short = b"a" * DEFLATE_BYTES_MIN, b"a" * (DEFLATE_BYTES_MIN - 1)
    assert len(frame_bytes(long, text=True, deflate=True)) < 20
    assert not frame_bytes(long, text=True, deflate=True).endswith(b"\0\0\xff\xff"), "RFC 7692 §7.2.1"
    assert frame_bytes(short, text=True, deflate=True) == frame_bytes(short, text=True, deflate=False)
    noise = os.urandom(1_000)  # does not get smaller
    assert frame_bytes(noise, text=False, deflate=True) == frame_bytes(noise, text=False, deflate=False)


def test_one_compressed_frame_serves_a_second_message_on_the_same_connection() -> None:
    """No context takeover: the frame does not depend on what went before."""
    client = Protocol(CLIENT, max_size=None)
    client.extensions = [PerMessageDeflate(True, True, 15, 15)]
    once = frame_bytes(b"the same danmaku " * 40, text=True, deflate=True)
    client.receive_data(once + frame_bytes(b"another " * 99, text=True, deflate=True) + once)
    assert client.parser_exc is None
    payloads = [bytes(event.data) for event in client.events_received() if isinstance(event, Frame)]
    assert payloads == [b"the same danmaku " * 40, b"another " * 99, b"the same danmaku " * 40]


def test_the_shared_ping_is_a_ping() -> None:
    event = read_by_a_client(PING, deflate=False)
    assert event.opcode is Opcode.PING
    assert event.data == b""
