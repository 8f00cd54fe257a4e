"""The benchmark of the fan-out, in its shortest form: that it measures what it says. Never how fast."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from loadtest.bench.fanout import arguments, frames, rounds
from loadtest.bench.fanout.cast import frame
from loadtest.bench.fanout.frames import FrameRound
from loadtest.bench.fanout.happenings import BUSY, Kind, plan
from loadtest.bench.fanout.lag import LagRound
from loadtest.bench.fanout.report import Findings
from loadtest.bench.fanout.rooms import RoomRound
from loadtest.bench.fanout.rounds import QUICK, Measured, Run
from loadtest.bench.fanout.stage import PeerLostError, Stage, on
from loadtest.bench.figures import Figures
from loadtest.bench.peers import all as peers
from loadtest.bench.peers.ours import Ours
from loadtest.bench.sink import SinkError
from loadtest.report.model import Report, read
from protocol.codec import CODECS

RUN_S_MAX = 120.0  # when it hangs
SOCKETS = 60


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    file = tmp_path_factory.mktemp("bench") / "fanout.json"
    command = [
        sys.executable,
        "-m",
        "loadtest",
        "bench",
        "fanout",
        "--quick",
        "--no-install",
        "--rounds",
        "1",
    ]
    command += [
        "--sockets",
        str(SOCKETS),
        "--peers",
        "c,ours_python,websockets,centrifugo",
        "--json",
        str(file),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ratio_to_c" in done.stdout and "NOT COMPARED" in done.stdout
    return read(file)


@pytest.mark.slow
def test_every_server_that_is_there_has_its_figures(report: Report) -> None:
    figures = report.figures
    assert set(figures["peers"]) == {"c", "ours", "ours_python", "websockets"}
    for name in figures["peers"]:
        one, low, high = figures["peers"][name], figures["low"]["peers"][name], figures["high"]["peers"][name]
        assert 0 < one["frame_us"] < 10_000
        assert one["frame_us"] == low["frame_us"] == high["frame_us"]  # a single round
        assert 100 < one["frame_bytes"] < 400
        assert 0 < one["frame_p50_ms"] <= one["frame_p99_ms"]
    assert figures["peers"]["c"]["ratio_to_c"] == 1
    assert figures["ratio_to_c"] == figures["peers"]["ours"]["ratio_to_c"]
    assert figures["ratio_to_python"] > 0
    assert "ratio_to_bun" not in figures  # it was not asked for


@pytest.mark.slow
def test_a_room_is_told_in_fewer_frames_than_things_happen(report: Report) -> None:
    busy = report.figures["peers"]["ours"]
    assert 1 <= busy["busy_room_frames_per_viewer_s"] < 30 < sum(BUSY.values())
    assert busy["busy_room_us_per_viewer_s"] > busy["quiet_room_us_per_viewer_s"] > 0
    assert busy["busy_room_bytes_per_viewer_s"] > busy["quiet_room_bytes_per_viewer_s"] > 0


@pytest.mark.slow
def test_what_is_missing_is_said_and_nothing_claimed(report: Report) -> None:
    assert any(note.startswith("NOT COMPARED") and "centrifugo" in note for note in report.notes)
    assert "centrifugo" not in report.figures["peers"]
    assert not [mark.name for mark in report.marks if "bun" in mark.name]
    assert report.ok is all(mark.met is not False for mark in report.marks)
    assert report.figures["loop_lag_p99_ms"] >= report.figures["loop_lag_p50_ms"]
    assert report.command.startswith("python -m loadtest bench fanout --sockets 60 --rounds 1")


def test_the_arguments_know_every_peer() -> None:
    assert set(arguments.PEERS) == set(peers.PEERS)


@pytest.mark.parametrize(
    ("argument", "value", "says"),
    [
        ("--peers", "c,what", "what is not known"),
        ("--parts", "sleep", "sleep is not known"),
        ("--sockets", "0", "from 1 to"),
        ("--rounds", "0", "at least 1"),
    ],
)
def test_what_can_not_be_measured_is_refused(argument: str, value: str, says: str) -> None:
    command = [sys.executable, "-m", "loadtest", "bench", "fanout", argument, value]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, cwd=root)
    assert done.returncode == 2 and argument in done.stderr and says in done.stderr


def test_without_a_compiler_nothing_is_measured(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "loadtest", "bench", "fanout", "--quick", "--parts", "lag"]
    env = os.environ | {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, cwd=root, env=env)
    assert done.returncode == 2 and "no C compiler on PATH" in done.stderr, done.stderr


def test_a_second_has_what_it_should() -> None:
    planned = plan(BUSY, 3, seed=1)
    for second in range(3):
        assert Counter(one.kind for one in planned if second <= one.at_s < second + 1) == BUSY
    assert [one.at_s for one in planned] == sorted(one.at_s for one in planned)
    assert [one.number for one in planned if one.kind is Kind.ENTRY] == list(range(30))
    assert plan(BUSY, 3, seed=1) == planned != plan(BUSY, 3, seed=2)


def test_a_tick_handed_to_others_is_a_frame_of_ours() -> None:
    happened = [(one, 1_000_000_000) for one in plan(BUSY, 1, seed=1)]
    made = frame(happened)
    assert made.danmaku is not None and made.state is not None
    assert made.danmaku.offered == len(made.danmaku.danmaku) == BUSY[Kind.COMMENT]
    assert made.danmaku.entered == BUSY[Kind.ENTRY]
    assert made.state.stock[0].seq == BUSY[Kind.STOCK]
    codec = CODECS["live.v1.json"]
    assert codec.decode_downward(codec.encode(made)) == made


def measured(ours_us: float, bun_us: float) -> Run:
    def of(us: float) -> FrameRound:
        return FrameRound(us, 0.01, 150, 1, 2)

    def room(us: float) -> RoomRound:
        return RoomRound(us, 10, 1_000, 50, 100, 0.2)

    frames = [{"c": of(10.0), "ours": of(ours_us), "bun": of(bun_us)} for _ in range(3)]
    rooms = [{"ours": room(10), "bun": room(100), "bun_batched": room(8)} for _ in range(3)]
    one = Measured(2_000, {"c": "1", "ours": "2", "bun": "3"}, {"ws": "no node"}, frames, rooms, [])
    many = Measured(10_000, one.versions, {}, frames, [], [])
    return Run(QUICK, [one, many], [LagRound(0.5, 1, 6, 4)])


def test_marks_are_met_or_missed() -> None:
    found = Findings(measured(ours_us=11, bun_us=10))
    met = {mark.name: mark.met for mark in found.marks}
    assert met["ratio_to_c"] is True and met["ratio_to_bun"] is False
    assert met["at_10000.ratio_to_c"] is True
    assert met["busy_room_ratio_to_bun"] is True and met["busy_room_ratio_to_bun_batched"] is False
    assert met["busy_room_p99_ms"] is True and met["loop_lag_p99_ms"] is False
    assert met["loop_lag_own_p99_ms"] is True
    tree = found.figures.tree()
    assert tree["peers"]["bun"]["ratio_to_c"] == 1 and tree["ratio_to_bun"] == 1.1
    assert tree["busy_room_ratio_to_c_sends"] == 10 / (sum(BUSY.values()) * 10)
    assert tree["at_10000"]["peers"]["ours"]["frame_us"] == 11
    assert "NOT COMPARED at 2,000 sockets: ws: no node" in found.notes
    assert [line.values for line in found.plots[0].lines] == [[10, 10], [11, 11], [10, 10]]


async def test_a_peer_that_is_lost_is_left_out_of_every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    run = measured(11, 10).at[0]
    del run.frames[2]  # the third is the one that is played here
    stages = [cast(Stage, SimpleNamespace(name=name)) for name in ("c", "ours", "bun")]

    async def play(left: list[Stage], turn: int, broadcasts: int) -> dict[str, FrameRound]:
        if "bun" in {stage.name for stage in left}:
            raise PeerLostError("bun", "2 of 5 sockets were lost")
        return {stage.name: FrameRound(9, 0, 1, 1, 1) for stage in left}

    monkeypatch.setattr(frames, "play", play)
    said: list[str] = []
    left = await rounds._round(run, stages, QUICK, ["frames"], 0, 1, said.append)
    assert [stage.name for stage in left] == ["c", "ours"] and said == ["bun: 2 of 5 sockets were lost"]
    found = Findings(Run(QUICK, [run], []))
    assert "NOT COMPARED at 2,000 sockets: bun: 2 of 5 sockets were lost" in found.notes
    assert not [mark.name for mark in found.marks if "bun" in mark.name]
    assert set(found.figures.tree()["peers"]) == {"c", "ours"}


def test_only_ours_ends_the_run_when_it_is_lost() -> None:
    peer = cast(Stage, SimpleNamespace(name="ws", server=None))
    with pytest.raises(PeerLostError, match="ws: gone"), on(peer):
        raise SinkError("gone")
    own = cast(Stage, SimpleNamespace(name="ours", server=Ours.__new__(Ours)))
    with pytest.raises(SinkError), on(own):
        raise SinkError("gone")


def test_a_figure_stands_with_its_lowest_and_highest_round() -> None:
    figures = Figures()
    figures.put("peers.bun.frame_us", [3.0, 1.0, 2.0])
    assert figures.tree() == {
        "peers": {"bun": {"frame_us": 2.0}},
        "low": {"peers": {"bun": {"frame_us": 1.0}}},
        "high": {"peers": {"bun": {"frame_us": 3.0}}},
    }
