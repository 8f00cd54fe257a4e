"""One connection after its handshake, over real sockets: frames, closes, and a peer who stops reading."""

from __future__ import annotations

import asyncio
import json
import logging
import zlib

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.typing import Subprotocol

from liveserver.edge.frames import FRAGMENTS_MAX
from liveserver.edge.socket import CORKED_MAX, Socket
from liveserver.edge.wire import frame_bytes
from protocol.close import Close
from protocol.errors import NotOurs
from protocol.limits import COMMAND_BYTES_MAX
from tests.edge.conftest import Edge
from tests.edge.peers import BINARY, CLOSE, CONT, PING, PONG, TEXT, Raw, eventually, frame

JSON = Subprotocol("live.v1.json")
MSGPACK = Subprotocol("live.v1.msgpack")
DEFLATE = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"


def deflated(payload: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


# -- messages both ways --------------------------------------------------------------------------------


async def test_text_both_ways_with_a_strangers_client(edge: Edge) -> None:
    edge.owner.on_received = lambda socket, payload: socket.send(b'{"heard":' + payload + b"}")
    async with connect(edge.url, subprotocols=[JSON], compression=None) as client:
        assert client.subprotocol == JSON
        await client.send(json.dumps("弹幕"))
        assert await client.recv() == '{"heard":"\\u5f39\\u5e55"}'
    await eventually(lambda: edge.owner.codes == [1000])
    assert edge.owner.reports == ["opened", "received", "closed"]
    assert edge.owner.socket.codec.text


async def test_binary_both_ways(edge: Edge) -> None:
    edge.owner.on_received = lambda socket, payload: socket.send(payload)
    async with connect(edge.url, subprotocols=[MSGPACK], compression=None) as client:
        await client.send(b"\x81\xa1a\xff")  # no UTF-8, and none is asked of binary
        assert await client.recv() == b"\x81\xa1a\xff"


async def test_a_client_that_offers_deflate_sends_and_gets_it(edge: Edge) -> None:
    long = '{"danmaku":"' + "主播加油" * 300 + '"}'
    edge.owner.on_received = lambda socket, payload: socket.write(
        frame_bytes(payload, text=True, deflate=socket.deflate)
    )
    async with connect(edge.url, subprotocols=[JSON]) as client:  # offers permessage-deflate
        for _ in range(3):
            await client.send(long)
            assert await client.recv() == long
    assert edge.owner.socket.deflate
    assert edge.owner.payloads == [long.encode()] * 3


async def test_the_compressed_frame_is_really_compressed_on_the_wire(edge: Edge) -> None:
    raw = await edge.upgraded(Sec_WebSocket_Extensions=DEFLATE)
    raw.say(frame(TEXT, deflated(b'"aaaa"'), rsv1=True))
    await eventually(lambda: edge.owner.payloads == [b'"aaaa"'])
    edge.owner.socket.write(frame_bytes(b"b" * 5_000, text=True, deflate=True))
    got = await raw.frame()
    assert got.rsv1
    assert len(got.payload) < 100
    assert zlib.decompressobj(-15).decompress(got.payload + b"\0\0\xff\xff") == b"b" * 5_000


async def test_a_client_with_a_small_window_gets_no_deflate(edge: Edge) -> None:
    small = ClientPerMessageDeflateFactory(server_max_window_bits=9)
    async with connect(edge.url, subprotocols=[JSON], extensions=[small], compression=None) as client:
        await client.send("1")
        await eventually(lambda: edge.owner.payloads == [b"1"])
    assert not edge.owner.socket.deflate


async def test_fragments_are_one_message_and_a_ping_may_come_between(edge: Edge) -> None:
    raw = await edge.upgraded()
    text = "弹幕".encode()
    raw.say(frame(TEXT, text[:2], fin=False), frame(PING, b"hm"), frame(CONT, text[2:4], fin=False))
    assert await raw.frame() == (PONG, b"hm", True, False)
    raw.say(frame(CONT, text[4:]))
    await eventually(lambda: edge.owner.payloads == [text])


async def test_bytes_may_come_one_by_one(edge: Edge) -> None:
    raw = await edge.upgraded()
    for byte in frame(TEXT, b'"slow"') + frame(TEXT, b'"slower"'):
        raw.say(bytes([byte]))
        await raw.writer.drain()
        await asyncio.sleep(0)
    await eventually(lambda: edge.owner.payloads == [b'"slow"', b'"slower"'])


async def test_a_message_of_exactly_the_limit_is_heard(edge: Edge) -> None:
    raw = await edge.upgraded()
    raw.say(frame(TEXT, b"1" * COMMAND_BYTES_MAX))
    await eventually(lambda: len(edge.owner.payloads) == 1)
    assert len(edge.owner.payloads[0]) == COMMAND_BYTES_MAX


# -- what breaks the rules -----------------------------------------------------------------------------

ZIP_BOMB = frame(TEXT, deflated(b"0" * 30_000_000), rsv1=True)
HALF_BOMBS = [
    frame(TEXT, deflated(b"0" * COMMAND_BYTES_MAX), rsv1=True, fin=False),
    frame(CONT, deflated(b"0")),
]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (1009, [frame(TEXT, b"1" * (COMMAND_BYTES_MAX + 1))]),
        (1009, [frame(TEXT, b"1" * COMMAND_BYTES_MAX, fin=False), frame(CONT, b"1")]),
        (1009, [frame(TEXT, b"", fin=False), *[frame(CONT, b"", fin=False)] * FRAGMENTS_MAX, frame(CONT)]),
        (1007, [frame(TEXT, b'"\xff\xfe"')]),
        (1007, [frame(TEXT, "弹".encode()[:2], fin=False), frame(CONT, b"")]),
        (1007, [frame(CLOSE, b"\x03\xe8\xff\xfe")]),
        (1003, [frame(BINARY, b"1")]),
        (1003, [frame(BINARY, b"1", fin=False), frame(CONT, b"1")]),
        (1002, [frame(TEXT, b"1", mask=False)]),
        (1002, [frame(CONT, b"1")]),
        (1002, [frame(TEXT, b"1", fin=False), frame(TEXT, b"1")]),
        (1002, [frame(0x3, b"1")]),
        (1002, [frame(TEXT, b"1", rsv1=True)]),
        (1002, [frame(PING, b"1" * 126)]),
        (1002, [frame(PING, b"1", fin=False)]),
        (1002, [frame(CLOSE, b"\x03")]),
        (1002, [frame(CLOSE, b"\x03\xed")]),  # 1005 is never on the wire
    ],
)
async def test_a_broken_rule_closes_with_its_code(edge: Edge, code: int, said: list[bytes]) -> None:
    raw = await edge.upgraded()
    raw.say(*said, frame(TEXT, b'"after"'))
    closing = await raw.frame()
    assert closing.code == code
    raw.say(frame(CLOSE, closing.payload))
    assert await raw.ended() == b""
    raw.leave()
    await eventually(lambda: edge.owner.codes == [code])
    assert edge.owner.payloads == []


@pytest.mark.parametrize("said", [[ZIP_BOMB], HALF_BOMBS], ids=["whole", "in fragments"])
async def test_a_zip_bomb_is_too_big(edge: Edge, said: list[bytes]) -> None:
    raw = await edge.upgraded(Sec_WebSocket_Extensions=DEFLATE)
    raw.say(*said)
    assert (await raw.frame()).code == 1009
    assert edge.owner.payloads == []


async def test_bytes_that_are_no_deflate_break_the_protocol(edge: Edge) -> None:
    raw = await edge.upgraded(Sec_WebSocket_Extensions=DEFLATE)
    raw.say(frame(TEXT, b"\xff" * 20, rsv1=True))
    assert (await raw.frame()).code == 1002


async def test_text_on_a_binary_subprotocol(edge: Edge) -> None:
    raw = await edge.upgraded(Sec_WebSocket_Protocol="live.v1.msgpack")
    raw.say(frame(TEXT, b"1"))
    closing = await raw.frame()
    assert closing.code == 1003
    assert closing.reason == "live.v1.msgpack is binary"


async def test_a_peer_in_mid_sentence_still_reads_why(edge: Edge) -> None:
    """The end comes as an end, not as a reset that would take the close frame away."""
    async with connect(edge.url, subprotocols=[JSON], compression=None) as client:

        async def go_on() -> None:
            for _ in range(2_000):
                await client.send("1" * 200_000)

        with pytest.raises(ConnectionClosed) as caught:
            await go_on()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009


async def test_the_end_is_no_reset_while_he_still_talks(edge: Edge) -> None:
    raw = await edge.upgraded()
    raw.say(frame(TEXT, b"1" * 3_000_000))  # most of it is unread when its length has said enough
    assert (await raw.frame()).code == 1009
    assert await raw.ended() == b""


# -- the owner's word ----------------------------------------------------------------------------------


async def test_an_owner_that_fails_harms_that_one_socket_only(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(socket: Socket, payload: bytes) -> None:
        if payload == b'"bad"':
            raise RuntimeError("planted")
        socket.send(payload)

    edge.owner.on_received = fail
    first, second = await edge.upgraded(), await edge.upgraded()
    with caplog.at_level(logging.ERROR):
        first.say(frame(TEXT, b'"bad"'), frame(TEXT, b'"after"'))
        assert (await first.frame()).code == 1011
    assert "planted" in caplog.text
    second.say(frame(TEXT, b'"good"'))
    assert (await second.frame()).payload == b'"good"'
    assert edge.owner.payloads == [b'"bad"', b'"good"']


async def test_not_ours_blames_the_peer(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(socket: Socket, payload: bytes) -> None:
        raise NotOurs("not live.v1.json: " + "x" * 500)

    edge.owner.on_received = refuse
    raw = await edge.upgraded()
    raw.say(frame(TEXT, b"{"))
    closing = await raw.frame()
    assert closing.code == 1007
    assert closing.reason.startswith("not live.v1.json: xxx")
    assert len(closing.payload) <= 125
    assert "Traceback" not in caplog.text


async def test_an_owner_that_fails_at_opening_is_told_of_the_close(edge: Edge) -> None:
    def fail(socket: Socket) -> None:
        raise RuntimeError("planted")

    edge.owner.on_opened = fail
    raw = await edge.upgraded()
    assert (await raw.frame()).code == 1011
    raw.leave()
    await eventually(lambda: edge.owner.reports == ["opened", "closed"])
    assert edge.owner.codes == [1011]


# -- many messages in one read --------------------------------------------------------------------------


async def corked(edge: Edge) -> tuple[Raw, Socket, list[bytes]]:
    """A peer, the socket it is at, and a note of each write; the owner sends every message back."""
    edge.owner.on_received = lambda socket, payload: socket.send(payload)
    raw = await edge.upgraded()
    await eventually(lambda: len(edge.owner.sockets) == 1)
    socket, writes = edge.owner.socket, []
    write = socket.write

    def noted(frame: bytes) -> None:
        writes.append(frame)
        write(frame)

    socket.write = noted
    return raw, socket, writes


async def test_the_answers_to_one_read_leave_with_one_write(edge: Edge) -> None:
    raw, socket, writes = await corked(edge)
    socket.data_received(b"".join(frame(TEXT, b"%d" % number) for number in range(5)) + frame(PING, b"hm"))
    assert len(writes) == 1
    assert [(await raw.frame()).payload for _ in range(6)] == [b"0", b"1", b"2", b"3", b"4", b"hm"]
    socket.send(b"later")
    assert len(writes) == 2


async def test_no_more_than_a_few_wait_for_the_end_of_a_read(edge: Edge) -> None:
    raw, socket, writes = await corked(edge)
    socket.data_received(b"".join(frame(TEXT, b"%d" % number) for number in range(2 * CORKED_MAX + 1)))
    assert len(writes) == 3
    for number in range(2 * CORKED_MAX + 1):
        assert (await raw.frame()).payload == b"%d" % number


@pytest.mark.parametrize(
    ("last", "code"),
    [(frame(CLOSE, b"\x03\xe8"), 1000), (frame(BINARY, b"1"), 1003), (frame(TEXT, b'"fail"'), 1011)],
    ids=["his close", "a broken rule", "our failure"],
)
async def test_what_was_answered_goes_before_the_close(edge: Edge, last: bytes, code: int) -> None:
    raw, socket, _ = await corked(edge)
    answer = edge.owner.on_received

    def fail(socket: Socket, payload: bytes) -> None:
        if payload == b'"fail"':
            raise RuntimeError("planted")
        answer(socket, payload)

    edge.owner.on_received = fail
    socket.data_received(frame(TEXT, b"1") + frame(PING) + frame(TEXT, b"2") + last + frame(TEXT, b"3"))
    assert [(await raw.frame())[:2] for _ in range(3)] == [(TEXT, b"1"), (PONG, b""), (TEXT, b"2")]
    assert (await raw.frame()).code == code
    raw.leave()
    await eventually(lambda: edge.owner.codes == [code])


async def test_paused_and_resumed_in_the_middle_of_a_read(edge: Edge) -> None:
    raw, socket, writes = await corked(edge)
    answer = edge.owner.on_received

    def pause(socket: Socket, payload: bytes) -> None:
        socket.pause_reading()
        answer(socket, payload)
        if payload != b"2":
            socket.resume_reading()

    edge.owner.on_received = pause
    socket.data_received(b"".join(frame(TEXT, b"%d" % number) for number in range(5)))
    assert edge.owner.payloads == [b"0", b"1", b"2"]
    assert len(writes) == 1
    socket.resume_reading()
    assert edge.owner.payloads == [b"0", b"1", b"2", b"3", b"4"]
    assert [(await raw.frame()).payload for _ in range(5)] == edge.owner.payloads


# -- closing -------------------------------------------------------------------------------------------


async def test_our_close_and_his_answer(edge: Edge) -> None:
    async with connect(edge.url, subprotocols=[JSON]) as client:
        await eventually(lambda: len(edge.owner.sockets) == 1)
        socket = edge.owner.socket
        socket.close(Close.TOKEN_EXPIRED, "令牌" * 99)
        socket.close(Close.NORMAL)  # a second one is nothing
        socket.send(b"1")  # and so is anything after it
        socket.write(frame_bytes(b"1", text=True, deflate=False))
        assert socket.closed
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 4003
        assert client.close_reason == "令牌" * 20 + "令"  # cut at a whole character
    await eventually(lambda: edge.owner.codes == [4003])


async def test_his_close_is_echoed(edge: Edge) -> None:
    raw = await edge.upgraded()
    raw.say(frame(TEXT, b"1"), frame(CLOSE, b"\x0f\xa1bye"), frame(TEXT, b"2"))
    assert await raw.frame() == (CLOSE, b"\x0f\xa1bye", True, False)
    assert await raw.ended() == b""
    raw.leave()
    await eventually(lambda: edge.owner.codes == [4001])
    assert edge.owner.payloads == [b"1"]


async def test_a_close_by_the_owner_while_his_own_close_is_read(edge: Edge) -> None:
    """Command and close frame in one read: the handler's close comes too late, and harms nothing."""
    edge.owner.on_received = lambda socket, payload: socket.close(Close.POLICY)
    raw = await edge.upgraded()
    raw.say(frame(TEXT, b"1"), frame(CLOSE, b"\x03\xe8"))
    assert (await raw.frame()).opcode == CLOSE
    raw.leave()
    await eventually(lambda: len(edge.owner.codes) == 1)
    assert edge.owner.reports == ["opened", "received", "closed"]


async def test_a_lost_connection_is_abnormal(edge: Edge) -> None:
    raw = await edge.upgraded()
    raw.leave()
    await eventually(lambda: edge.owner.codes == [1006])


async def test_who_never_answers_our_close_is_cut_after_two_seconds(edge: Edge) -> None:
    raw = await edge.upgraded()
    await eventually(lambda: len(edge.owner.sockets) == 1)
    edge.owner.socket.close(Close.NORMAL)
    assert (await raw.frame()).code == 1000
    for _ in range(3):  # babble is no answer, and buys no time
        raw.say(frame(TEXT, b"1"), frame(PING, b"1"))
        await edge.pass_ms(500)
    assert edge.owner.codes == []
    await edge.pass_ms(1_000)
    await eventually(lambda: edge.owner.codes == [1000])
    assert edge.owner.payloads == []


async def test_abort_is_told_once_and_not_from_inside(edge: Edge) -> None:
    await edge.upgraded()
    await eventually(lambda: len(edge.owner.sockets) == 1)
    edge.owner.socket.abort("planted", Close.FLOOD)
    assert edge.owner.codes == []
    await eventually(lambda: edge.owner.codes == [4009])
    edge.owner.socket.abort("again")
    edge.owner.socket.close(Close.NORMAL)
    edge.owner.socket.send(b"1")
    await asyncio.sleep(0.01)
    assert edge.owner.codes == [4009]


# -- a peer who does not read, a peer who says too much ------------------------------------------------


async def test_a_peer_who_stops_reading_pauses_and_drains_when_he_reads_again(edge: Edge) -> None:
    raw = await edge.upgraded(receive_bytes=4096)
    await eventually(lambda: len(edge.owner.sockets) == 1)
    socket = edge.owner.socket
    block = frame_bytes(b"x" * 4_000, text=True, deflate=False)
    written = 0
    while not socket.paused:
        socket.write(block)
        written += 1
        assert written * 4_000 < 1_000_000, "one who does not read is noticed early"
        await asyncio.sleep(0)
    assert edge.owner.reports == ["opened", "paused"]
    assert 0 < socket._transport.get_write_buffer_size() <= len(block), "noticed at the first byte kept"
    for _ in range(written):
        assert len((await raw.frame()).payload) == 4_000
    await eventually(lambda: edge.owner.reports == ["opened", "paused", "drained"])
    assert not edge.owner.socket.paused
    await eventually(lambda: socket.unsent_bytes() == 0)


async def test_unsent_bytes_counts_what_the_kernel_holds(edge: Edge) -> None:
    await edge.upgraded(receive_bytes=4096)
    await eventually(lambda: len(edge.owner.sockets) == 1)
    socket = edge.owner.socket
    while not socket.paused:
        socket.write(b"\x81\x05hello" * 200)
        await asyncio.sleep(0)
    assert socket.unsent_bytes() > socket._transport.get_write_buffer_size() > 0


async def test_pings_of_one_who_does_not_read_cost_one_pong(edge: Edge) -> None:
    raw = await edge.upgraded(receive_bytes=4096)
    await eventually(lambda: len(edge.owner.sockets) == 1)
    socket = edge.owner.socket
    written = 0
    while not socket.paused:
        socket.write(frame_bytes(b"x" * 4_000, text=True, deflate=False))
        written += 1
        await asyncio.sleep(0)
    held = socket._transport.get_write_buffer_size()
    for number in range(5_000):
        raw.say(frame(PING, b"%d" % number))
    raw.say(frame(TEXT, b'"done"'))
    await eventually(lambda: edge.owner.payloads == [b'"done"'])
    assert socket._transport.get_write_buffer_size() <= held
    for _ in range(written):
        assert (await raw.frame()).opcode == TEXT
    assert await raw.frame() == (PONG, b"4999", True, False)


async def test_an_owed_pong_that_fills_the_connection_again_is_no_drain(edge: Edge) -> None:
    await edge.upgraded()
    await eventually(lambda: len(edge.owner.sockets) == 1)
    socket = edge.owner.socket
    socket.pause_writing()
    socket._owed_pong = b"pong"
    socket.write = lambda _: socket.pause_writing()  # as the transport does when the kernel takes no more
    socket.resume_writing()
    assert edge.owner.reports == ["opened", "paused", "paused"]
    assert socket.paused and not socket.closed


async def test_paused_reading_holds_back_even_what_was_read(edge: Edge) -> None:
    edge.owner.on_received = lambda socket, payload: socket.pause_reading()
    raw = await edge.upgraded()
    raw.say(*[frame(TEXT, b"%d" % number + b" " * 1_000) for number in range(40)])
    await eventually(lambda: len(edge.owner.payloads) == 1)
    await asyncio.sleep(0.05)
    assert len(edge.owner.payloads) == 1
    for count in range(2, 41):  # one more each time, in order
        edge.owner.socket.resume_reading()
        await eventually(lambda count=count: len(edge.owner.payloads) == count)  # type: ignore[misc]
    assert [payload.strip() for payload in edge.owner.payloads] == [b"%d" % number for number in range(40)]


async def test_a_close_is_heard_through_paused_reading(edge: Edge) -> None:
    edge.owner.on_received = lambda socket, payload: socket.pause_reading()
    raw = await edge.upgraded()
    raw.say(frame(TEXT, b"1"), frame(TEXT, b"2"))
    await eventually(lambda: len(edge.owner.payloads) == 1)
    edge.owner.socket.close(Close.GOING_AWAY)
    raw.say(frame(CLOSE, b"\x03\xe9"))
    assert (await raw.frame()).code == 1001
    assert await raw.ended() == b""
    raw.leave()
    await eventually(lambda: edge.owner.codes == [1001])
    assert edge.owner.payloads == [b"1"]
