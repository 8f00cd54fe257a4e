"""The benchmark of growth, in its shortest form: that it measures what it says. Never how fast."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.bench import crowd as crowds
from loadtest.bench.growth.messages import At as MessagesAt
from loadtest.bench.growth.report import Findings
from loadtest.bench.growth.rounds import QUICK, Run
from loadtest.bench.growth.viewers import At as ViewersAt
from loadtest.bench.growth.viewers import Series
from loadtest.bench.growth.workers import Measured, Round
from loadtest.bench.peers import floor
from loadtest.bench.peers.port import Where
from loadtest.bench.sink import Record
from loadtest.report.model import Report, read

RUN_S_MAX = 120.0  # when it hangs


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    file = tmp_path_factory.mktemp("bench") / "growth.json"
    command = [sys.executable, "-m", "loadtest", "bench", "growth", "--quick", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "against viewers" in done.stdout and "workers_2_times_1" in done.stdout
    return read(file)


@pytest.mark.slow
def test_every_step_of_every_series_has_its_figures(report: Report) -> None:
    figures = report.figures
    steps = {"viewers": QUICK.viewers, "rooms": QUICK.rooms, "messages": QUICK.messages, "workers": [1, 2]}
    for series, at in steps.items():
        assert list(figures[series]) == [str(step) for step in at]
    for one in figures["viewers"].values():
        assert one["frame_us"] > 0 and one["c_frame_us"] > 0 and 0 < one["idle_share"] < 1
        assert one["ratio_to_c"] == pytest.approx(one["frame_us"] / one["c_frame_us"], rel=0.01)
    for step, one in figures["rooms"].items():
        assert one["frames_per_comment"] == pytest.approx(QUICK.rooms_viewers / int(step), rel=0.5)
    for one in figures["workers"].values():
        assert one["us_per_viewer_s"] > 0 and one["store_calls_per_s"] > 0
    assert len(report.plots) == 8
    for plot in report.plots:
        assert all(len(line.values) == len(plot.x) for line in plot.lines)


@pytest.mark.slow
def test_a_hundred_comments_are_few_frames(report: Report) -> None:
    few, many = (report.figures["messages"][str(step)] for step in QUICK.messages)
    assert few["frames_per_viewer_s"] > 0 and many["frames_per_viewer_s"] < QUICK.messages[-1] / 2
    assert many["bytes_per_comment"] < few["bytes_per_comment"]


async def test_a_crowd_is_spread_over_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowds, "SINK_SOCKETS_MAX", 3)
    where = Where(core=min(os.sched_getaffinity(0)), other_core=max(os.sched_getaffinity(0)), sockets=0)
    asked = []
    async with floor.start(where) as server:
        records = list(server.records(1))

        def of(count: int, first: int) -> list[Record]:
            asked.append((count, first))
            return records

        async with crowds.crowd(server.port, of, 7, core=where.other_core) as listening:
            await listening.grow_to(2)
            await listening.grow_to(7)
            assert listening.sockets == 7 and asked == [(3, 0), (3, 3), (1, 6)]
            assert addresses_at(server.port) == {"127.0.0.2": 3, "127.0.0.3": 3, "127.0.0.4": 1}
            before = await listening.quiet(5)
            await server.publish(b"hello")
            assert (await listening.quiet(5)).frames - before.frames == 7


def addresses_at(port: int) -> dict[str, int]:
    """Who is connected to it, by address."""
    count: dict[str, int] = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, state = line.split()[1:4]
        if state == "01" and int(remote.split(":")[1], 16) == port:
            address = ".".join(str(part) for part in reversed(bytes.fromhex(local.split(":")[0])))
            count[address] = count.get(address, 0) + 1
    return count


def measured(pair_us: float, calls: float) -> Run:
    viewers = [ViewersAt(1_000, [10], [10], [0.01], [11]), ViewersAt(2_000, [12], [10], [0.02], [calls])]
    messages = [MessagesAt(10, [5], [9], [160], [20]), MessagesAt(100, [9], [10], [90], [30])]
    workers = Measured(1_000, [Round(100, 50)], [Round(pair_us, 60)])
    return Run(QUICK, Series(viewers), [], messages, workers)


@pytest.mark.parametrize(("pair_us", "calls", "met"), [(110, 13, True), (112, 14, False)])
def test_marks_are_met_or_missed(pair_us: float, calls: float, met: bool) -> None:
    found = Findings(measured(pair_us, calls))
    marks = {mark.name: mark.met for mark in found.marks}
    assert marks["workers_2_times_1"] is met and marks["store_calls_growth_with_viewers"] is met
    assert marks["store_calls_growth_with_messages"] is True  # from where every tick has a comment on
    assert found.figures.tree()["viewers"]["2000"]["ratio_to_c"] == 1.2


def test_without_a_floor_nothing_is_compared() -> None:
    run = Run(QUICK, Series([ViewersAt(10, [10], [], [0.01], [11])], "c: no C compiler"))
    found = Findings(run)
    assert found.notes == ["NOT COMPARED: c: no C compiler"]
    assert "ratio_to_c" not in found.figures.tree()["viewers"]["10"]


@pytest.mark.parametrize(
    ("argument", "value", "says"),
    [
        ("--series", "moons", "moons is not known"),
        ("--sockets", "19", "from 20 to"),
        ("--rounds", "0", "at least"),
    ],
)
def test_what_can_not_be_measured_is_refused(argument: str, value: str, says: str) -> None:
    command = [sys.executable, "-m", "loadtest", "bench", "growth", argument, value]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, cwd=root)
    assert done.returncode == 2 and argument in done.stderr and says in done.stderr
