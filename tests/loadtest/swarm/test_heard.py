"""An ear says what ``protocol.codec`` says; and what is wrong with a frame by itself is noticed there."""

from __future__ import annotations

import zlib

import msgspec
import pytest
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode

from loadtest.swarm.frames import Reader
from loadtest.swarm.heard import Ear, Heard, Truths, stamped
from protocol.codec import JSON, MSGPACK, Codec
from protocol.errors import NotOurs
from protocol.events import Envelope, Event, ExplainingStarted, SaleSoldOut
from protocol.examples import FRAMES, REPLIES
from protocol.frames import DanmakuBlock, Frame, State
from protocol.types import Danmaku, Stock

DOWNWARD = {**REPLIES, **FRAMES}


def ear(codec: Codec = JSON, *, deflate: bool = True) -> tuple[Ear, list[str]]:
    broken: list[str] = []
    return Ear(codec, deflate, Truths(lambda law, detail: broken.append(law))), broken


def hear(into: Ear, message: msgspec.Struct, *, compressed: bool = False) -> Heard:
    payload = into.codec.encode(message)
    if compressed:
        deflater = zlib.compressobj(wbits=-15)
        payload = (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
    opcode = Opcode.TEXT if into.codec.text else Opcode.BINARY
    (heard,) = Reader().feed(WireFrame(opcode, payload).serialize(mask=False))
    heard = heard._replace(compressed=compressed)
    return into.hear(heard)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])
@pytest.mark.parametrize("name", DOWNWARD)
def test_every_message_is_heard_as_the_codec_decodes_it(name: str, codec: Codec, compressed: bool) -> None:
    into, broken = ear(codec)
    said = DOWNWARD[name]
    heard = hear(into, said, compressed=compressed)
    assert heard.said == codec.decode_downward(codec.encode(said)) == said
    assert heard.room == (said.room if isinstance(said, Frame) else "")
    assert not broken


def test_a_frame_is_decoded_once_and_a_reply_each_time() -> None:
    into, _ = ear()
    frame, reply = next(iter(FRAMES.values())), next(iter(REPLIES.values()))
    assert hear(into, frame) is hear(into, frame)
    assert into.decoded == 1
    assert hear(into, reply) is not hear(into, reply)
    assert into.decoded == 3


def test_what_is_no_message_is_refused() -> None:
    into, _ = ear(deflate=False)
    text = Reader().feed(WireFrame(Opcode.TEXT, b'{"type":"welcome"}').serialize(mask=False))[0]
    with pytest.raises(NotOurs, match="missing"):
        into.hear(text)
    with pytest.raises(NotOurs, match="opcode"):
        into.hear(text._replace(opcode=2))
    with pytest.raises(NotOurs, match="nobody agreed"):
        into.hear(text._replace(compressed=True))
    with pytest.raises(NotOurs, match="can't be inflated"):
        ear()[0].hear(text._replace(compressed=True, payload=b"\xff\xff"))


def test_stamps_come_back_out_of_what_was_said() -> None:
    comment = Danmaku("d1", "ann", "Ann", stamped("多少钱 ~", 1_234_567_890))
    envelope = Envelope(offset=3, at_ms=1, stream_time_ms=99, event=ExplainingStarted(listing_id="a"))
    block = DanmakuBlock(offered=1, danmaku=[comment])
    heard = hear(ear()[0], Frame(room="r1", t=1, epoch=9, head=3, critical=[envelope], danmaku=block))
    assert heard.comment_stamps_us == [1_234_567_890]
    assert heard.critical_stamps_us == [99]
    assert (heard.first_offset, heard.last_offset) == (3, 3)


def test_a_block_that_does_not_add_up_breaks_its_law() -> None:
    into, broken = ear()
    comment = Danmaku("d1", "ann", "Ann", "hi")
    hear(
        into, Frame(room="r1", t=1, n=1, danmaku=DanmakuBlock(offered=4, merged=2, shed=1, danmaku=[comment]))
    )
    assert not broken
    hear(
        into, Frame(room="r1", t=1, n=2, danmaku=DanmakuBlock(offered=5, merged=2, shed=1, danmaku=[comment]))
    )
    assert broken == ["block"]


def test_offsets_of_one_frame_that_are_not_consecutive_break_their_law() -> None:
    into, broken = ear()
    told = [Envelope(offset=k, at_ms=1, event=ExplainingStarted(listing_id="a")) for k in (3, 5)]
    hear(into, Frame(room="r1", t=1, epoch=9, head=5, critical=told))
    assert broken == ["offsets"]


def test_two_stocks_at_one_place_and_two_events_at_one_offset_break_the_truth() -> None:
    broken: list[str] = []
    truths = Truths(lambda law, detail: broken.append(law))
    json, packed = Ear(JSON, False, truths), Ear(MSGPACK, False, truths)  # to whomever it was said
    stock = Stock(sale_id="s1", epoch=1, seq=5, status="open", available={"one": 3})
    hear(json, Frame(room="r1", t=1, n=1, state=State(stock=[stock])))
    hear(packed, Frame(room="r1", t=1, n=1, state=State(stock=[stock])))
    assert not broken
    other = msgspec.structs.replace(stock, available={"one": 2})
    hear(packed, Frame(room="r1", t=2, n=2, state=State(stock=[other])))
    assert broken == ["truth"]
    events: list[Event] = [ExplainingStarted(listing_id="a"), SaleSoldOut(stock=stock)]
    for k, event in enumerate(events):
        told = [Envelope(offset=7, at_ms=1, event=event)]
        hear(json, Frame(room="r1", t=k, epoch=9, head=7, critical=told))
    assert broken == ["truth", "truth"]
