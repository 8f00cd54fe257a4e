"""The demo, for real: server, store, audience and verdict; its journal tampered with; and broken off."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from loadtest.verdict import CHECKS, judge, load

from .night import AUDIENCE, EXITS, STORE, Lines, rewrite

SECONDS, VIEWERS = 7, 40
START_S_MAX, END_S_MAX = 30.0, 40.0

pytestmark = pytest.mark.slow


def demo(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "liveserver",
        "demo",
        "--headless",
        "--viewers",
        str(VIEWERS),
        *arguments,
    ]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **options,
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of one short night, with ``report.json`` beside it."""
    folder = tmp_path_factory.mktemp("demo")
    process = demo(
        *("--seconds", str(SECONDS), "--seed", "11"),
        *("--journal", str(folder / "journal"), "--report", str(folder / "report.json")),
    )
    said, _ = process.communicate(timeout=SECONDS + START_S_MAX + END_S_MAX)
    assert process.returncode == 0, said
    assert said.count(": every law holds\n") == 5, said  # the ledger of each sale, verified as it stood
    assert "late payments" in said and "in line" in said, said
    return folder


def test_a_night_goes_well_and_keeps_its_promises(recorded: Path) -> None:
    report = orjson.loads((recorded / "report.json").read_bytes())
    assert report["ok"]
    assert list(report["checks"]) == list(CHECKS)
    assert all(check["ok"] and check["examined"] > 0 for check in report["checks"].values())
    figures = report["figures"]
    bought = figures["purchases"]
    assert figures["viewers"] >= VIEWERS
    assert bought["units_asked"] >= 5 * bought["units_offered"]
    assert bought["repeated_ids"] >= 0.10 * bought["asked"]
    assert bought["never_paid"] >= 0.05 * bought["outcomes"]["reserved"]
    assert bought["outcomes"]["reserved"] > bought["units_offered"] / 2
    assert figures["reconnects"] >= 0.05 * VIEWERS
    assert figures["stopped_reading"] >= 0.02 * VIEWERS
    assert figures["danmaku"]["shown"] > 0 and figures["gifts"] > 0 and figures["likes"] > 0
    assert figures["entries"] > 0


def test_the_scenes_were_played_to_their_ends(recorded: Path) -> None:
    scenes = orjson.loads((recorded / "report.json").read_bytes())["figures"]["scenes"]
    for what in ("waiting", "served", "skipped", "returned", "paused", "frozen", "late_confirmed"):
        assert scenes.get(what, 0) > 0, (what, scenes)
    assert scenes.get("late_refund_due", 0) + scenes.get("refund_due", 0) >= 2, scenes
    rows = [
        line["fields"]
        for line in (orjson.loads(raw) for raw in (recorded / "journal" / STORE).read_bytes().splitlines())
        if line["k"] == "feed"
    ]
    assert {"wait", "serve", "skip", "pause", "resume", "freeze"} <= {row["kind"] for row in rows}
    assert {row["limit"] for row in rows if row["kind"] == "return"} == {"back", "kept"}
    assert {row["delta"][0] == "-" for row in rows if row["kind"] == "adjust"} == {True, False}
    assert all(row["reason"] for row in rows if row["kind"] == "adjust")


def test_gifts_are_shown_under_a_name(recorded: Path) -> None:
    givers = {
        (gift[0], gift[1])
        for line in (orjson.loads(raw) for raw in (recorded / "journal" / AUDIENCE).read_bytes().splitlines())
        if isinstance(line, dict) and line["k"] == "blob"
        for gift in (line["m"].get("danmaku") or {}).get("gifts", ())
    }
    assert givers and all(name != user and not name.isascii() for user, name in givers)


def test_units_of_who_did_not_pay_sold_again(recorded: Path) -> None:
    kinds = [
        line["fields"]["kind"]
        for line in (orjson.loads(raw) for raw in (recorded / "journal" / STORE).read_bytes().splitlines())
        if line["k"] == "feed"
    ]
    assert "expire" in kinds
    assert "reserve" in kinds[kinds.index("expire") :]


# -- the same journal, tampered with -------------------------------------------------------------------


def downs(lines: Lines, **having: Any) -> Iterator[Any]:
    for line in lines:
        if not isinstance(line, dict) or line["k"] != "down":
            continue
        if all(line["m"].get(name) == value for name, value in having.items()):
            yield line


def frames_with(lines: Lines, part: str) -> dict[int, Any]:
    return {x["b"]: x["m"] for x in lines if isinstance(x, dict) and x["k"] == "blob" and x["m"].get(part)}


def drop_one_danmaku(lines: Lines) -> None:
    """One viewer did not get one frame, and later ones say nothing of it."""
    having = {b for b, m in frames_with(lines, "danmaku").items() if m["danmaku"].get("danmaku")}
    at = [k for k, line in enumerate(lines) if isinstance(line, list) and line[2] in having]
    del lines[at[len(at) // 2]]


def double_one_event(lines: Lines) -> None:
    having = frames_with(lines, "critical")
    at = next(k for k, line in enumerate(lines) if isinstance(line, list) and line[2] in having)
    lines.insert(at, lines[at])


def drop_one_event(lines: Lines) -> None:
    having = {
        b
        for b, m in frames_with(lines, "critical").items()
        if any(e["event"]["type"] == "cartOrdered" for e in m["critical"])
    }
    at = next(k for k, line in enumerate(lines) if isinstance(line, list) and line[2] in having)
    del lines[at]


def move_a_version_back(lines: Lines) -> None:
    """A stock shown as if it had been true three changes earlier."""
    for frame in frames_with(lines, "state").values():
        for stock in frame["state"].get("stock", ()):
            if stock["seq"] > 10:
                stock["seq"] -= 3
                return


def double_a_reply(lines: Lines) -> None:
    lines.append(next(downs(lines, type="outcome")))


def claim_another_reservation(lines: Lines) -> None:
    replayed = next(downs(lines, type="outcome", outcome="reserved", replayed=True))
    reservation = replayed["m"]["reservation"]
    reservation["reservationId"] = reservation["reservationId"].rpartition("~")[0] + "~9"


def sold_out_too_early(lines: Lines) -> None:
    next(downs(lines, type="outcome", outcome="sold_out"))["m"]["seq"] = 1


def forget_a_hold(lines: Lines) -> None:
    """The last expiry never happened: later rows move up."""
    at = max(k for k, x in enumerate(lines) if x["k"] == "feed" and x["fields"]["kind"] == "expire")
    del lines[at]


def sell_one_more(lines: Lines) -> None:
    row = next(x for x in lines if x["k"] == "feed" and x["fields"]["kind"] == "reserve")
    user, place, command, units = row["fields"]["orders"].split("\n")[0].split(" ")
    row["fields"]["orders"] += f"\n{user}-x {place} {command} {units}"


def miscount(lines: Lines) -> None:
    metrics = next(x for x in lines if x["k"] == "metrics")
    name = 'liveserver_danmaku_units_total{fate="closed"} '
    metrics["text"] = metrics["text"].replace(name, name + "1")


def hide_an_event(lines: Lines) -> None:
    lines.remove(next(x for x in lines if x["k"] == "stream"))


def notices_of(lines: Lines, kind: str) -> list[Any]:
    return [line for line in downs(lines, type="notice") if line["m"]["kind"] == kind]


def forget_to_tell_a_holder(lines: Lines) -> None:
    lines.remove(notices_of(lines, "reservationFrozen")[0])


def forget_to_tell_of_a_refund(lines: Lines) -> None:
    """Of the frozen sale: long before the night's end."""
    due = notices_of(lines, "reservationRefundDue")
    lines.remove(next(x for x in due if x["m"]["reservation"]["saleId"] == "frozen-1"))


def tell_another_place(lines: Lines) -> None:
    told = next(downs(lines, type="outcome", outcome="waiting"))["m"]
    told["ahead"] = told.get("ahead", 0) + 1


def keep_a_limit(lines: Lines) -> None:
    rows = (x["fields"] for x in lines if x["k"] == "feed" and x["fields"]["kind"] == "return")
    next(row for row in rows if row["limit"] == "back")["limit"] = "kept"


def adjust_without_a_reason(lines: Lines) -> None:
    next(x for x in lines if x["k"] == "feed" and x["fields"]["kind"] == "adjust")["fields"]["reason"] = ""


def end_badly(lines: Lines) -> None:
    lines[-1]["code"] = 1


TAMPERINGS: list[tuple[str, Callable[[Lines], None], str]] = [
    (AUDIENCE, drop_one_danmaku, "conservation"),
    (AUDIENCE, double_one_event, "critical_gapless"),
    (AUDIENCE, drop_one_event, "critical_gapless"),
    (AUDIENCE, move_a_version_back, "state_equal"),
    (AUDIENCE, double_a_reply, "one_outcome"),
    (AUDIENCE, claim_another_reservation, "one_outcome"),
    (AUDIENCE, sold_out_too_early, "nothing_stranded"),
    (STORE, forget_a_hold, "nothing_stranded"),
    (STORE, sell_one_more, "no_oversell"),
    (STORE, miscount, "conservation"),
    (STORE, hide_an_event, "critical_gapless"),
    (AUDIENCE, forget_to_tell_a_holder, "freeze"),
    (AUDIENCE, forget_to_tell_of_a_refund, "late_payments"),
    (AUDIENCE, tell_another_place, "line"),
    (STORE, keep_a_limit, "returns"),
    (STORE, adjust_without_a_reason, "adjusts"),
    (EXITS, end_badly, "clean_exit"),
]


@pytest.mark.parametrize(("name", "tamper", "red"), TAMPERINGS, ids=lambda x: getattr(x, "__name__", ""))
def test_a_recorded_journal_tampered_with_is_found_out(
    recorded: Path, tmp_path: Path, name: str, tamper: Callable[[Lines], None], red: str
) -> None:
    journal = shutil.copytree(recorded / "journal", tmp_path / "journal")
    rewrite(journal, name, tamper)
    assert not judge(load(journal))["checks"][red]["ok"]


# -- the store away ------------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
def test_the_store_stands_still_in_mid_sale_and_the_verdict_holds(tmp_path: Path) -> None:
    """Purchases are answered pending meanwhile; asked again, each comes to the end the feed has."""
    journal = tmp_path / "journal"
    process = demo("--seconds", "9", "--seed", "4", "--journal", str(journal))
    try:
        assert wait_for(lambda: said(journal, b'"outcome":"reserved"'), START_S_MAX)
        store = next(pid for pid in offspring(process.pid) if b"valkey" in command_line(pid))
        os.kill(store, signal.SIGSTOP)
        try:
            pending = wait_for(lambda: said(journal, b'"pending"'), 3.0)
        finally:
            os.kill(store, signal.SIGCONT)
        told, _ = process.communicate(timeout=9 + END_S_MAX * 2)
        assert process.returncode == 0, told
        assert pending, "nobody was told pending"
    finally:
        process.kill()


def said(journal: Path, what: bytes) -> bool:
    path = journal / AUDIENCE
    return path.exists() and what in path.read_bytes()


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


# -- broken off ----------------------------------------------------------------------------------------


def offspring(pid: int) -> list[int]:
    """All processes below this one."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *offspring(int(child))]
    return found


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return False
    return state != "Z"


def begun(journal: Path) -> bool:
    return journal.exists() and journal.stat().st_size > 0


def wait_for(holds: Callable[[], bool], seconds: float) -> bool:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        if holds():
            return True
        time.sleep(0.05)
    return holds()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_broken_off_at_any_time_nothing_is_left_running(tmp_path: Path, number: signal.Signals) -> None:
    process = demo(
        "--seconds", "60", "--journal", str(tmp_path / "journal"), env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    try:
        journal = tmp_path / "journal" / AUDIENCE
        assert wait_for(lambda: begun(journal) or process.poll() is not None, START_S_MAX)
        below = offspring(process.pid)
        assert len(below) >= 2, "the store and the audience"
        os.kill(process.pid, number)
        process.communicate(timeout=END_S_MAX)
        assert wait_for(lambda: not any(map(alive, below)), END_S_MAX), [p for p in below if alive(p)]
    finally:
        process.kill()
    if number == signal.SIGKILL:
        return
    assert process.returncode == 130
    assert not list(tmp_path.glob("liveserver-*")), "the private folder is gone"
    lines = [orjson.loads(line) for line in journal.read_bytes().splitlines()]
    assert lines[-1]["k"] == "end" and lines[-1]["partial"], "the journal ends in order, and says so"
