"""The demo with several workers, one of them killed or all of them relieved in mid-sale; and its journal
tampered with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from loadtest.verdict import CHECKS, judge, load
from loadtest.verdict.metrics import by_process

from .night import AUDIENCE, EXITS, STORE, Lines, rewrite
from .test_demo import END_S_MAX, START_S_MAX, demo

SECONDS, KILLED_AT_S, ROLLED_AT_S = 9, 4, 3

pytestmark = pytest.mark.slow


def night(folder: Path, *options: str) -> dict[str, Any]:
    process = demo(
        *("--seconds", str(SECONDS), "--seed", "12", "--workers", "2", *options),
        *("--journal", str(folder / "journal"), "--report", str(folder / "report.json")),
    )
    said, _ = process.communicate(timeout=SECONDS + START_S_MAX + END_S_MAX)
    assert process.returncode == 0, said
    report: dict[str, Any] = orjson.loads((folder / "report.json").read_bytes())
    assert list(report["checks"]) == list(CHECKS)
    assert all(check["ok"] and check["examined"] > 0 for check in report["checks"].values()), said
    return report


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workers")
    night(folder, "--kill-worker-at", str(KILLED_AT_S))
    return folder


def test_a_worker_killed_in_mid_sale_and_the_verdict_holds(recorded: Path) -> None:
    case = load(recorded / "journal")
    (kill,) = case.kills
    ends = {exited.name: exited.code for exited in case.exits}
    assert ends.pop(kill.name) == -9
    assert set(ends.values()) == {0} and {"server", "audience"} < set(ends)
    assert len(ends) == 4, "the server, the audience, the other worker, and who came in its place"
    broken = [one for one in case.connections if one.process == kill.process and one.shut_by == "lost"]
    assert broken, "somebody was there"
    back = {one.user for one in broken} & {one.user for one in case.connections if one.opened_ms > kill.ms}
    assert back == {one.user for one in broken}
    resumed = [
        stay.joined["mode"]
        for stay in case.stays()
        if stay.connection.opened_ms > kill.ms and stay.connection.user in back and "offset" in stay.asked
    ]
    assert resumed and set(resumed) == {"replayed"}


def test_two_workers_and_nobody_killed_both_count_what_was_received(tmp_path: Path) -> None:
    report = night(tmp_path)
    said = [line for line in report["checks"]["conservation"]["detail"] if "danmaku units of" in line]
    assert len(said) == 2 and not any(": 0 received" in line for line in said), said


@pytest.fixture(scope="module")
def rolled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rolled")
    night(folder, "--roll-at", str(ROLLED_AT_S))
    return folder


def test_all_workers_relieved_in_mid_sale_and_the_verdict_holds(rolled: Path) -> None:
    case = load(rolled / "journal")
    assert case.kills == []
    assert {exited.name for exited in case.exits if exited.name.startswith("worker")} == {
        f"worker {place}.{generation}" for place in (0, 1) for generation in (1, 2)
    }
    ended, counting = set(case.last_words), set(by_process(case.metrics))
    assert len(ended) == len(counting - ended) == 2, "those who were relieved, and those who came"
    told = {
        one.process
        for one in case.connections
        for item in one.items
        if item.kind == "down" and item.body["type"] == "bye"
    }
    assert told and told <= ended
    received = {stay.connection.process for stay in case.stays() for _ in stay.frames()}
    assert received == ended | counting, "all four had an audience"


# -- tampered with ---------------------------------------------------------------------------------------


def kill_line(lines: Lines) -> Any:
    return next(line for line in lines if line["k"] == "kill")


def kill_not_announced(lines: Lines) -> None:
    lines.remove(kill_line(lines))


def killed_but_ended_well(lines: Lines) -> None:
    next(line for line in lines if line["k"] == "exit" and line["name"] == kill_line(lines)["name"])[
        "code"
    ] = 0


def killed_and_its_end_unknown(lines: Lines) -> None:
    lines.remove(next(x for x in lines if x["k"] == "exit" and x["name"] == kill_line(lines)["name"]))


def another_died_too(lines: Lines) -> None:
    name = kill_line(lines)["name"]
    others = (x for x in lines if x["k"] == "exit" and x["name"].startswith("worker") and x["name"] != name)
    next(others)["code"] = -9


def killed_a_minute_earlier(lines: Lines) -> None:
    kill_line(lines)["ms"] -= 60_000


def metrics_line(lines: Lines) -> Any:
    return next(line for line in lines if line["k"] == "metrics")


def counters_of_one_missing(lines: Lines) -> None:
    metrics = metrics_line(lines)
    process = _counting(metrics["text"])[-1]
    kept = [line for line in metrics["text"].splitlines() if f'process="{process}"' not in line]
    metrics["text"] = "\n".join(kept)


def one_counts_for_the_other(lines: Lines) -> None:
    """Three units written move from one process to the other: their sums stay."""
    metrics = metrics_line(lines)
    one, _ = _counting(metrics["text"])
    out = []
    for line in metrics["text"].splitlines():
        name, value = line.rsplit(" ", 1)
        if "danmaku_units" in name and ('fate="written"' in name or 'fate="offered"' in name):
            moved = 3 if f'process="{one}"' in name else -3
            value = str(float(value) + moved)
        out.append(f"{name} {value}")
    metrics["text"] = "\n".join(out)


def _counting(text: str) -> list[str]:
    found = {line.split('process="')[1].split('"')[0] for line in text.splitlines() if 'process="' in line}
    return sorted(found)


def the_last_word_missing(lines: Lines) -> None:
    lines.remove(next(line for line in lines if line["k"] == "counted"))


def the_last_word_short(lines: Lines) -> None:
    """Three units less, and its own sum still closes."""
    counted = next(line for line in lines if line["k"] == "counted")
    out = []
    for line in counted["text"].splitlines():
        name, value = line.rsplit(" ", 1)
        short = "danmaku_units_total" in name and ('fate="written"' in name or 'fate="offered"' in name)
        out.append(f"{name} {float(value) - 3}" if short else line)
    counted["text"] = "\n".join(out)


def not_all_relieved(lines: Lines) -> None:
    next(line for line in lines if line.get("name") == "roll")["code"] = 1


ROLL_TAMPERINGS: list[tuple[Callable[[Lines], None], str, str]] = [
    (the_last_word_missing, "conservation", "its counters are missing"),
    (the_last_word_short, "conservation", "danmaku written"),
    (not_all_relieved, "clean_exit", "roll ended with 1"),
]


@pytest.mark.parametrize(
    ("tamper", "red", "says"), ROLL_TAMPERINGS, ids=[t[0].__name__ for t in ROLL_TAMPERINGS]
)
def test_a_journal_of_a_roll_tampered_with_is_found_out(
    rolled: Path, tmp_path: Path, tamper: Callable[[Lines], None], red: str, says: str
) -> None:
    journal = shutil.copytree(rolled / "journal", tmp_path / "journal")
    rewrite(journal, EXITS, tamper)
    check = judge(load(journal))["checks"][red]
    assert not check["ok"] and any(says in line for line in check["detail"]), check


def lost_at_one_that_lives(lines: Lines) -> None:
    """A connection of a process that was not killed is gone in the same moment."""
    lost = next(x for x in lines if isinstance(x, dict) and x["k"] == "shut" and x["by"] == "lost")
    opened = {
        x["c"]: x["m"]["process"]
        for x in lines
        if isinstance(x, dict) and x["k"] == "down" and x["m"]["type"] == "welcome"
    }
    killed = opened[lost["c"]]
    other = next(
        x
        for x in lines
        if isinstance(x, dict) and x["k"] == "shut" and x["by"] == "leave" and opened[x["c"]] != killed
    )
    other.update(by="lost", code=1006, ms=lost["ms"])


TAMPERINGS: list[tuple[str, Callable[[Lines], None], set[str], str]] = [
    (EXITS, kill_not_announced, {"clean_exit", "conservation"}, "ended with -9"),
    (EXITS, killed_but_ended_well, {"clean_exit"}, "though it was killed"),
    (EXITS, killed_and_its_end_unknown, {"clean_exit"}, "noted 0 times"),
    (EXITS, another_died_too, {"clean_exit"}, "ended with -9"),
    (EXITS, killed_a_minute_earlier, {"clean_exit"}, "closed by lost"),
    (STORE, counters_of_one_missing, {"conservation"}, "its counters are missing"),
    (STORE, one_counts_for_the_other, {"conservation"}, "danmaku written"),
    (AUDIENCE, lost_at_one_that_lives, {"clean_exit"}, "closed by lost"),
]


@pytest.mark.parametrize(
    ("name", "tamper", "red", "says"), TAMPERINGS, ids=[t[1].__name__ for t in TAMPERINGS]
)
def test_a_journal_of_a_kill_tampered_with_is_found_out(
    recorded: Path, tmp_path: Path, name: str, tamper: Callable[[Lines], None], red: set[str], says: str
) -> None:
    journal = shutil.copytree(recorded / "journal", tmp_path / "journal")
    rewrite(journal, name, tamper)
    checks = judge(load(journal))["checks"]
    for check in red:
        assert not checks[check]["ok"]
    assert any(says in line for check in red for line in checks[check]["detail"]), checks


def test_a_kill_that_names_another_process_is_found_out(recorded: Path, tmp_path: Path) -> None:
    journal = shutil.copytree(recorded / "journal", tmp_path / "journal")
    lives = _counting(load(journal).metrics)[0]

    def another(lines: Lines) -> None:
        kill_line(lines)["process"] = lives

    rewrite(journal, EXITS, another)
    checks = judge(load(journal))["checks"]
    assert not checks["conservation"]["ok"] and not checks["clean_exit"]["ok"]
    assert any("was killed, and counts on" in line for line in checks["conservation"]["detail"])
