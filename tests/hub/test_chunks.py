from __future__ import annotations

from liveserver.hub.chunks import Chunk, Numbering, pack, unpack
from protocol.frames import DanmakuBlock
from protocol.types import Danmaku, Stock


def test_a_chunk_survives_the_way() -> None:
    chunk = Chunk(
        process="p1",
        n=3,
        epoch=1,
        head=7,
        block=DanmakuBlock(offered=1, danmaku=[Danmaku("d", "u", "n", "多少钱")]),
        stock=[Stock(sale_id="s", epoch=1, seq=2, status="open", available={"a": 1})],
    )
    assert unpack(pack(chunk)) == chunk


def test_what_another_version_sent_is_left_out() -> None:
    assert unpack(b"\x81\xa1a\x01") is None
    assert unpack(b"") is None


def test_what_the_relay_lost_is_counted_per_sender() -> None:
    numbering = Numbering()
    for process, n in [("a", 5), ("b", 1), ("a", 6), ("a", 9), ("b", 2), ("a", 10)]:
        numbering.arrived(process, n)
    assert numbering.lost == 2


def test_senders_are_forgotten_not_kept_for_ever() -> None:
    numbering = Numbering()
    for sender in range(Numbering.SENDERS_MAX + 10):
        numbering.arrived(f"p{sender}", 1)
    assert len(numbering._last) == Numbering.SENDERS_MAX
