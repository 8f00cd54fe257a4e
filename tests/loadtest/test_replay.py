"""Recordings: what is read, what is passed over, and how a piece is cut."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import orjson
import pytest

from loadtest import replay
from loadtest.rooms import write

RECORDED = Path(__file__).parents[2].parent / "shared" / "data"


def recording(tmp_path: Path, *lines: str, name: str = "r.jsonl") -> replay.Recording:
    path = tmp_path / name
    body = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(body) if name.endswith(".gz") else body)
    return replay.read(path)


def said(at_s: float, text: str = "链接") -> str:
    return orjson.dumps({"t": at_s, "user": "u", "type": "danmaku", "text": text}).decode()


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_every_kind_is_read_in_the_order_of_time(tmp_path: Path, name: str) -> None:
    found = recording(
        tmp_path,
        '{"t": 2, "user": "b", "type": "gift", "text": "玫瑰", "n": 3, "coin": 100}',
        said(1.5),
        '{"t": 3, "user": "b", "type": "combo", "text": "小红心", "n": 21}',
        '{"t": 0, "user": "c", "type": "enter", "text": ""}',
        '{"t": 9, "user": "", "type": "stats", "text": "online", "n": 3}',
        name=name,
    )
    assert [(h.kind, h.times) for h in found.happenings] == [
        ("enter", 1),
        ("danmaku", 1),
        ("gift", 3),
        ("like", 21),
    ]


def test_bad_lines_are_named_and_skipped(tmp_path: Path) -> None:
    found = recording(
        tmp_path, said(0), "{torn", '{"type": "danmaku"}', '{"t": -1, "type": "enter"}', said(1)
    )
    assert len(found.happenings) == 2
    assert found.bad_lines == 3
    assert [line.partition(":")[0] for line in found.bad] == ["line 2", "line 3", "line 4"]


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(replay.BadRecordingError, match="bad lines"):
        recording(tmp_path, *["{"] * (replay.BAD_LINES_MAX + 1))
    with pytest.raises(replay.BadRecordingError, match="nothing to play"):
        recording(tmp_path, '{"t": 1, "user": "", "type": "stats", "text": ""}')
    with pytest.raises(replay.BadRecordingError):
        replay.read(tmp_path / "nowhere.jsonl")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(said(1).encode() * 100)[:-20])
    with pytest.raises(replay.BadRecordingError):
        replay.read(tmp_path / "cut.jsonl.gz")


def test_a_short_recording_is_played_again(tmp_path: Path) -> None:
    found = recording(tmp_path, said(0.5, "a"), said(1.8, "b"))
    assert [(h.at_s, h.text) for h in found.stretch(5)] == [
        (0.5, "a"), (1.8, "b"), (2.5, "a"), (3.8, "b"), (4.5, "a"),
    ]  # fmt: skip


def test_a_long_one_gives_its_busiest_piece_but_no_flood(tmp_path: Path) -> None:
    flood = [said(40.5, f"f{i}") for i in range(replay.BACKLOG_PER_S + 1)]
    found = recording(tmp_path, said(0), *[said(20 + i / 10) for i in range(30)], *flood, said(99))
    piece = found.stretch(10)
    assert len(piece) == 30
    assert all(0 <= h.at_s < 10 for h in piece)
    assert all(h.text == "链接" for h in piece)


def test_a_bigger_room_is_shifted_copies_not_a_faster_one(tmp_path: Path) -> None:
    found = recording(tmp_path, said(0, "a"), said(0.5, "b"), said(9, "c"), said(60, "later"))
    piece = found.superposed(10, 2)
    assert Counter(h.text for h in piece) == {"a": 2, "b": 2, "c": 2}
    times = [h.at_s for h in piece]
    assert times == sorted(times) and times[-1] < 10
    assert [h.at_s for h in piece if h.text == "a"] == [0, 5]


def test_the_default_room_has_the_rhythm_of_real_ones() -> None:
    found = replay.read(replay.DEFAULT)
    assert not found.bad
    comments = [h for h in found.happenings if h.kind == "danmaku"]
    assert {h.kind for h in found.happenings} == {"danmaku", "like", "gift", "enter"}
    per_s = Counter(int(h.at_s) for h in comments)
    mean = len(comments) / found.seconds
    assert max(per_s.values()) > 3 * mean  # bursts
    repeats = sum(
        any(b.text == a.text and a.at_s - b.at_s < 60 for b in comments[:i]) for i, a in enumerate(comments)
    )
    assert 0.4 < repeats / len(comments) < 0.8


def test_the_default_room_is_what_its_generator_writes() -> None:
    written = b"".join(orjson.dumps(each) + b"\n" for each in write.happenings())
    assert replay.DEFAULT.read_bytes() == written


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded rooms are not in ../shared/data")
def test_recorded_rooms_play(tmp_path: Path) -> None:
    found = replay.read(RECORDED / "bili_11365.jsonl.gz")
    piece = found.stretch(120)
    assert sum(h.kind == "danmaku" for h in piece) > 800
    assert max(Counter(int(h.at_s) for h in piece if h.kind == "danmaku").values()) <= replay.BACKLOG_PER_S
    assert replay.read(RECORDED / "douyu_793400.jsonl").happenings
