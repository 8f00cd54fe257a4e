"""The benchmark of bytes: every comment is in one frame, and what is counted is what a viewer would read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from liveserver.core.limits import TICK_AT_ONCE
from loadtest import replay
from loadtest.bench.bytes import room
from loadtest.bench.bytes.command import count
from loadtest.replay import Happening
from protocol.codec import JSON, MSGPACK

RUN_S_MAX = 60.0  # when it hangs


def said(*at_s: float) -> list[Happening]:
    return [Happening(at, "danmaku", "ann", f"at {at}", 1) for at in at_s]


def lines(at_s: list[float]) -> list[list[str]]:
    frames = list(room.frames(said(*at_s), {}))
    assert [frame.n for frame in frames] == list(range(1, len(frames) + 1))
    return [[line.text for line in frame.danmaku.danmaku] for frame in frames if frame.danmaku is not None]


def test_the_first_after_a_quiet_spell_go_alone_and_a_tick_goes_together() -> None:
    alone = [0.0, 0.01, 0.02]
    assert len(alone) == TICK_AT_ONCE.burst
    assert lines([*alone, 0.05, 0.09, 0.15, 5.0]) == [
        *([f"at {at_s}"] for at_s in alone),
        ["at 0.05", "at 0.09"],
        ["at 0.15"],
        ["at 5.0"],
    ]


def test_every_comment_is_in_one_frame_under_an_id_of_its_own() -> None:
    recording = replay.read(replay.DEFAULT)
    comments = room.comments(recording, 10.0, 70)
    assert 0.5 < len(comments) / 700 < 2
    frames = list(room.frames(comments, {}))
    shown = [line for frame in frames if frame.danmaku is not None for line in frame.danmaku.danmaku]
    assert [line.text for line in shown] == [one.text for one in comments]
    assert len({line.danmaku_id for line in shown}) == len(comments)


def test_what_is_counted_is_a_frame_s_payload_and_its_head() -> None:
    frames = list(room.frames(said(0.0, *(5 + number / 1000 for number in range(19))), {}))
    assert len(frames) == 1 + TICK_AT_ONCE.burst + 1
    counted = count("pseudonyms", frames)
    for name, codec in (("json.plain", JSON), ("msgpack.plain", MSGPACK)):
        payloads = [len(codec.encode(frame)) for frame in frames]
        whole = sum(size + (2 if size < 126 else 4) for size in payloads)
        assert counted.each[name] * 20 == pytest.approx(whole)
    assert counted.alone["plain"] > counted.each["json.plain"]


def test_a_made_name_is_its_user_s_in_every_comment() -> None:
    called = room.names(["ann", "bob", "ann"], seed=1)
    assert called == room.names(["bob", "ann"][::-1], seed=1)
    (first, *_) = room.frames(said(0.0), called)
    assert first.danmaku is not None and first.danmaku.danmaku[0].name == called["ann"]


def test_the_command_reports_each_variant(tmp_path: Path) -> None:
    file = tmp_path / "bytes.json"
    command = [sys.executable, "-m", "loadtest", "bench", "bytes", "--quick", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(file.read_bytes())["figures"]["bytes_per_danmaku"]
    for called in ("pseudonyms", "made_names"):
        for codec in ("json", "msgpack"):
            assert 0 < figures[called][codec]["deflate"] < figures[called][codec]["plain"]
            assert figures[called][codec]["plain"] < figures[called]["control"]["plain"]


@pytest.mark.parametrize("content", ["", '{"t":0,"user":"ann","type":"enter","text":""}\n'])
def test_a_recording_without_comments_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "room.jsonl"
    file.write_text(content)
    command = [sys.executable, "-m", "loadtest", "bench", "bytes", "--replay", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, check=False)
    assert done.returncode == 2 and str(file) in done.stderr
