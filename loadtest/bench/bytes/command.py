"""``python -m loadtest bench bytes``: what it runs and prints."""

from __future__ import annotations

import argparse
from typing import Any, Final

import msgspec

from liveserver.edge.wire import frame_bytes
from liveserver.hub.encoded import Encoded, Variant
from loadtest import replay
from loadtest.bench.bytes import room
from loadtest.bench.run import Found, Say, run_bench
from loadtest.report.model import Grid, Mark
from protocol.codec import CODECS, MSGPACK, Codec
from protocol.frames import Frame

SECONDS: Final = {False: 120.0, True: 10.0}  # by --quick
PROMISED: Final = {"deflate": 32.0, "plain": 60.0}
CODEC: Final = MSGPACK  # whose figures the marks are
PROSE: Final = """\
A recorded room's busiest piece, superposed in shifted copies, is cut into ticks by the hub's own rule; each \
tick's frame is encoded as the hub encodes it, once per variant, with its WebSocket head. Merging and the \
budget are off: every comment is delivered. Recordings tell pseudonyms and no display names, so the room is \
made twice: a name is the pseudonym, or is made up, as long as people's are (a guess: 2 to 7 Chinese \
characters, every fifth Latin), which no compression can guess. The control is a frame of its own for each \
comment, as a map in JSON, and the same compressed."""


class Room(msgspec.Struct, frozen=True):
    """``each``: bytes of a comment by variant, as the hub sends them. ``alone``: the control's."""

    called: str
    comments: int
    frames: int
    each: dict[str, float]
    alone: dict[str, float]


def run(given: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """0 when counted, also where a mark is missed: the report says so."""
    try:
        recording = replay.read(given.replay)
        said = room.comments(recording, SECONDS[given.quick], given.per_s)
    except (replay.BadRecordingError, ValueError) as error:
        parser.error(f"--replay {given.replay}: {error}")
    users = [one.user or room.NOBODY for one in said]

    async def measure(say: Say) -> list[Room]:
        say(f"{len(said):,} comments of {given.replay.name}")
        return [
            count("pseudonyms", list(room.frames(said, {}))),
            count("made names", list(room.frames(said, room.names(users, given.seed)))),
        ]

    quick = " --quick" if given.quick else ""
    again = (
        f"python -m loadtest bench bytes --replay {given.replay} --per-s {given.per_s} --seed {given.seed}"
    )
    return run_bench("bytes", PROSE, again + quick, given, measure, found)


def count(called: str, frames: list[Frame]) -> Room:
    comments = sum(len(frame.danmaku.danmaku) for frame in frames if frame.danmaku is not None)
    each = {
        _variant(codec, how): sum(
            len(Encoded(frame).bytes_for(Variant(codec, how == "deflate"))) for frame in frames
        )
        / comments
        for codec in CODECS.values()
        for how in PROMISED
    }
    alone = {how: sum(_alone(frame, how == "deflate") for frame in frames) / comments for how in PROMISED}
    return Room(called, comments, len(frames), each, alone)


def _variant(codec: Codec, how: str) -> str:
    return f"{_short(codec)}.{how}"


def _short(codec: Codec) -> str:
    return codec.subprotocol.rpartition(".")[2]


def _alone(frame: Frame, deflate: bool) -> int:
    """A frame for each of its comments, a map with names."""
    assert frame.danmaku is not None
    return sum(
        len(frame_bytes(msgspec.json.encode(_map(frame, line)), text=True, deflate=deflate))
        for line in frame.danmaku.danmaku
    )


def _map(frame: Frame, line: Any) -> dict[str, Any]:
    return {
        "type": "danmaku",
        "room": frame.room,
        "t": frame.t,
        "id": line.danmaku_id,
        "userId": line.user_id,
        "name": line.name,
        "text": line.text,
    }


def found(rooms: list[Room]) -> Found:
    marks = [
        Mark(
            name=f"bytes_per_danmaku, {one.called}, {how}",
            value=round(one.each[_variant(CODEC, how)], 2),
            unit="bytes",
            mark=promised,
            met=one.each[_variant(CODEC, how)] <= promised,
            control=f"a JSON frame each: {one.alone[how]:.1f}",
            note=CODEC.subprotocol,
        )
        for one in rooms
        for how, promised in PROMISED.items()
    ]
    rows = [
        [f"{codec.subprotocol}, {how}", *(f"{one.each[_variant(codec, how)]:.1f}" for one in rooms)]
        for codec in CODECS.values()
        for how in PROMISED
    ]
    rows += [[f"a JSON frame each, {how}", *(f"{one.alone[how]:.1f}" for one in rooms)] for how in PROMISED]
    grid = Grid(
        title=f"bytes on the wire of a delivered comment, {rooms[0].comments / rooms[0].frames:.1f} a frame",
        columns=["variant", *(one.called for one in rooms)],
        rows=rows,
    )
    figures: dict[str, Any] = {
        "comments_per_frame": rooms[0].comments / rooms[0].frames,
        "bytes_per_danmaku": {
            one.called.replace(" ", "_"): {
                **{
                    _short(codec): {how: one.each[_variant(codec, how)] for how in PROMISED}
                    for codec in CODECS.values()
                },
                "control": one.alone,
            }
            for one in rooms
        },
    }
    return Found(figures, marks, [], [grid], [])
