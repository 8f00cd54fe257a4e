"""Every scenario in its short form: the real server, real sockets, and marks of laws and counts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from loadtest.report import model
from loadtest.scenarios import NAMES
from loadtest.scenarios.marks import NOT_JUDGED

RUN_S_MAX = 90
AT_ONCE = 2
OF_EVERY_SCENARIO = {
    "laws broken",
    "frames looked at",
    "viewers lost",
    "viewers not at the end of their room",
    "commands without their reply",
    "purchases without their one answer",
    "rooms that ended in more than one state",
    "ledger verify's exit code",
    "servers that ended with another code than 0",
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "loadtest", "scenario", *arguments],
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[Path, Future[subprocess.CompletedProcess[str]]]]]:
    """Those asked for, two at a time: a scenario waits more than it works."""
    asked = [getattr(item, "callspec", None) for item in request.session.items if item.path == request.path]
    names = [spec.params["name"] for spec in asked if spec is not None and "name" in spec.params]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        folders = {name: tmp_path_factory.mktemp(name) for name in names}
        started = {
            name: (folder, pool.submit(run, name, "--short", "--seed", "7", "--report", str(folder)))
            for name, folder in folders.items()
        }
        yield started
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", NAMES)
def test_it_passes_in_its_short_form(
    name: str, runs: dict[str, tuple[Path, Future[subprocess.CompletedProcess[str]]]]
) -> None:
    folder, run_of_it = runs[name]
    done = run_of_it.result()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seed 7, commit " in done.stdout and f"{name}: passed" in done.stdout
    report = model.read(folder / f"{name}.json")
    assert report.ok and report.seed == 7 and report.command.endswith(f"{name} --short --seed 7 --workers 1")
    marks = {mark.name: mark for mark in report.marks}
    assert len(marks) == len(report.marks) and set(marks) > OF_EVERY_SCENARIO
    assert all(mark.met or (mark.met is None and NOT_JUDGED in mark.note) for mark in report.marks)
    assert report.grids[0].rows and report.plots  # delays, and what they were over time
    assert report.figures["swarm"]["critical_events"] > 0


def test_every_scenario_has_prose_and_two_sizes() -> None:
    listed = run("--list")
    assert listed.returncode == 0
    assert [line for line in listed.stdout.splitlines() if not line.startswith(" ")] == list(NAMES)
    folder = Path(model.__file__).parents[1] / "scenarios"
    for name in NAMES:
        text = (folder / f"{name}.py").read_text()
        assert "LONG: Final = Size(" in text and "SHORT: Final = Size(" in text and "async def play(" in text


@pytest.mark.parametrize(
    "arguments", [(), ("no_such_night",), ("soak", "--viewers", "0"), ("soak", "--workers", "0")]
)
def test_what_cannot_be_asked_for_is_refused_with_the_remedy(arguments: tuple[str, ...]) -> None:
    refused = run(*arguments)
    assert refused.returncode == 2 and "error:" in refused.stderr
    assert "sale_night" in refused.stderr or "--" in refused.stderr.splitlines()[-1]
