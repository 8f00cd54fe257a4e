"""An echo behind the real front door: what the Autobahn cases speak to.

Everything on the way is the server's own: door, judge, ``Socket``, ``FrameReader``, frames and deflate. Three
things are the test's, since the cases know nothing of ours:
- they offer no subprotocol, so one is put into their request, and taken out of the answer they get. Cases
  that send binary messages ask for ``/v1/live?binary``, all others speak text: a socket of ours does either;
- they send messages of up to 16 MiB in up to 65,536 fragments: the reader's two limits are lifted;
- what comes is sent back, compressed where that was agreed on: also what is too short to be worth it, since
  the runner (kosoku 0.1.0) trips over an uncompressed text on a connection with deflate.
"""

from __future__ import annotations

import zlib

import msgspec
import pytest
from starlette.applications import Starlette

from liveserver.edge import frames
from liveserver.edge.fast_handshake import FastHandshake
from liveserver.edge.frames import FrameReader
from liveserver.edge.handshake import Accepted, Handshake, Rules
from liveserver.edge.problem import Problem
from liveserver.edge.server import Serving, serve
from liveserver.edge.socket import Socket
from liveserver.edge.wire import frame_bytes
from protocol.codec import JSON, MSGPACK
from tests.clock import ManualClock

MESSAGE_BYTES_MAX = 16 * 1024 * 1024  # Source: cases 9.1.6 and 9.2.6
FRAGMENTS_MAX = 70_000  # Source: cases 9.3.1 and 9.4.1, 4 MiB in pieces of 64 bytes
_HEAD_END = b"\r\n\r\n"
_RSV1 = 0x40


class Echo:
    """Owns the sockets, and says what they say."""

    def admits(self) -> int:
        return 0

    def opened(self, socket: Socket) -> None:
        socket._reader = FrameReader(socket.codec, deflate=socket.deflate, bytes_max=MESSAGE_BYTES_MAX)

    def received(self, socket: Socket, payload: bytes) -> None:
        if not socket.deflate:
            socket.send(payload)
            return
        frame = frame_bytes(payload, text=socket.codec.text, deflate=True)
        socket.write(frame if frame[0] & _RSV1 else compressed(payload, text=socket.codec.text))

    def paused(self, socket: Socket) -> None: ...

    def drained(self, socket: Socket) -> None: ...

    def closed(self, socket: Socket, code: int) -> None: ...


def compressed(payload: bytes, *, text: bool) -> bytes:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    squeezed = (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    frame = frame_bytes(squeezed, text=text, deflate=False)
    return bytes((frame[0] | _RSV1,)) + frame[1:]


class StrangersHandshake(Handshake):
    """The judge, for a client that offers no subprotocol and would take none."""

    def judge(self, head: bytes, address: str) -> Accepted | Problem:
        target = head.partition(b" HTTP/")[0]
        name = (MSGPACK if target.endswith(b"?binary") else JSON).subprotocol
        offer = f"\r\nSec-WebSocket-Protocol: {name}".encode()
        verdict = super().judge(head.removesuffix(_HEAD_END) + offer + _HEAD_END, address)
        if isinstance(verdict, Problem):
            return verdict
        assert offer in verdict.response
        return msgspec.structs.replace(verdict, response=verdict.response.replace(offer, b""))


async def serve_echo(monkeypatch: pytest.MonkeyPatch) -> Serving:
    """On a free port, with the limit of fragments lifted until the test is over."""
    monkeypatch.setattr(frames, "FRAGMENTS_MAX", FRAGMENTS_MAX)
    serving = await serve(Starlette(), Echo(), "127.0.0.1", 0, clock=ManualClock())
    serving.front.handshake = FastHandshake(StrangersHandshake(Rules()))
    return serving
