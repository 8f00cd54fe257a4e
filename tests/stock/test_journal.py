"""The journal: what was told stands in it, whatever the disk does, and it says where it has gaps."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from liveserver.stock.journal import Fact, Opened, Ordered, Told, read, written
from liveserver.stock.journal_files import DAY_MS, SUFFIX, Gap, JournalFiles, read_journals
from liveserver.stock.journal_ledger import JournalLedger
from liveserver.stock.port import LedgerError, ReservationState, SaleItem, SaleSpec
from tests.stock.conftest import HOLD_MS, Bench, order

SPEC = SaleSpec("s1", (SaleItem("red", 3),), 2, 10, 500, 100)
NOW_MS = 1_767_000_000_000


def fact(number: int, *, sale_id: str = "s1") -> Told:
    named = f"{sale_id}~u{number}~0"
    return Told(1_000, number, NOW_MS, named, "c1", (("red", 1),), ReservationState.HELD, NOW_MS + 100)


class Time:
    def __init__(self) -> None:
        self.ms = NOW_MS

    def __call__(self) -> int:
        return self.ms


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


def noted(*folders: Path, sale_id: str = "s1") -> list[Fact | Gap]:
    return list(read_journals(folders, sale_id))


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """The kernel refuses what goes beyond, as a full disk does: part of a write, then none."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_line_reads_as_it_was_written() -> None:
    ordered = Ordered(1, 2, 3, "s1", "adjust", "a1", "eve", "red", -1, 'one "broke"\n新货')
    facts: list[Fact] = [fact(1), Opened(1_000, 1, NOW_MS, "open-1", SPEC), ordered]
    lines = written(facts).splitlines(keepends=True)
    assert [read(line) for line in lines] == facts
    assert all(line.endswith(b"\n") for line in lines)


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"{}", b'["told",1]', b'["gift",1,2]', b"\xff", written([fact(1)])[:-9],
             written([fact(1)]).replace(b"s1~u1~0", b"s1~u1")],
)  # fmt: skip
def test_what_is_no_line_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError):
        read(line)


def test_every_process_has_its_file_and_a_sale_its_facts(tmp_path: Path) -> None:
    one, other = (JournalFiles(tmp_path, name, Time()) for name in ("one", "other"))
    one.append([fact(1), fact(2, sale_id="s2")])
    other.append([fact(3)])
    one.append([fact(4)])
    assert noted(tmp_path) == [fact(1), fact(4), fact(3)]
    assert noted(tmp_path, sale_id="s2") == [fact(2, sale_id="s2")]
    assert (one.lines, one.failed) == (3, 0)
    one.close()
    other.close()


def test_a_last_line_cut_off_was_told_to_nobody(tmp_path: Path) -> None:
    journal = JournalFiles(tmp_path, "one", Time())
    journal.append([fact(1), fact(2)])
    journal.close()
    (path,) = files(tmp_path)
    os.truncate(path, path.stat().st_size - 5)
    assert noted(tmp_path) == [fact(1)]


def test_a_line_broken_in_the_middle_is_a_gap(tmp_path: Path) -> None:
    journal = JournalFiles(tmp_path, "one", Time())
    journal.append([fact(1), fact(2)])
    journal.close()
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"s1~u1~0"', b'"s1~u1~0'))
    gap, known = noted(tmp_path)
    assert isinstance(gap, Gap) and gap.why.startswith("line 2: ") and known == fact(2)


def test_a_file_of_another_version_or_of_none_is_a_gap(tmp_path: Path) -> None:
    (tmp_path / f"1{SUFFIX}").write_bytes(b"")
    (tmp_path / f"2{SUFFIX}").write_bytes(b'{"journal":2,"process":"x","whole":"yes"}\n')
    assert [one.why.split()[0] for one in noted(tmp_path) if isinstance(one, Gap)] == ["its", "is"]


def test_a_full_disk_harms_no_caller_is_counted_and_the_journal_says_so(tmp_path: Path) -> None:
    journal = JournalFiles(tmp_path, "one", Time())
    journal.append([fact(1)])
    (path,) = files(tmp_path)
    with capture_logs() as logs, no_file_longer_than(path.stat().st_size + 20):
        journal.append([fact(2)])  # torn
        journal.append([fact(3)])  # refused
    journal.append([fact(4)])  # there is room again
    assert (journal.lines, journal.failed) == (2, 2)
    assert [one["log_level"] for one in logs] == ["error"], "one alarm, not one a call"
    read_back = noted(tmp_path)
    assert [one for one in read_back if isinstance(one, Told)] == [fact(1), fact(4)]
    gaps = [one.why for one in read_back if isinstance(one, Gap)]
    assert gaps[0] == "something could not be written" and gaps[1].startswith("line 3: ")
    journal.close()


def test_a_new_file_each_day_and_each_so_many_bytes(tmp_path: Path) -> None:
    time = Time()
    journal = JournalFiles(tmp_path, "one", time, file_bytes_max=200)
    journal.append([fact(1)])
    time.ms += DAY_MS
    journal.append([fact(2)])
    assert len(files(tmp_path)) == 2
    journal.append([fact(3), fact(4)])
    journal.append([fact(5)])
    assert len(files(tmp_path)) == 3
    assert noted(tmp_path) == [fact(number) for number in range(1, 6)]
    journal.close()


def test_old_files_go_but_never_one_in_use(tmp_path: Path) -> None:
    time = Time()
    idle = JournalFiles(tmp_path, "idle", time, keep_ms=2 * DAY_MS)
    ended = JournalFiles(tmp_path, "ended", time, keep_ms=2 * DAY_MS)
    idle.append([fact(1)])
    ended.append([fact(2)])
    ended.close()
    for path in files(tmp_path):
        os.utime(path, (NOW_MS / 1000, NOW_MS / 1000))
    time.ms += 3 * DAY_MS
    new = JournalFiles(tmp_path, "new", time, keep_ms=2 * DAY_MS)
    assert noted(tmp_path) == [fact(1)] and new.failed == 0
    idle.close()
    new.close()


@pytest.mark.parametrize("gone_before", ["it is measured", "it is tried"])
def test_a_file_that_another_process_clears_away_first_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone_before: str
) -> None:
    """Two processes begin in one folder at once."""
    time = Time()
    ended = JournalFiles(tmp_path, "ended", time)
    ended.close()
    (old,) = files(tmp_path)
    os.utime(old, (NOW_MS / 1000, NOW_MS / 1000))
    time.ms += 365 * DAY_MS
    name, owner = ("stat", Path) if gone_before == "it is measured" else ("open", os)
    real = getattr(owner, name)

    def cleared_first(path: Path, *args: object, **more: object) -> object:
        if path == old:
            old.unlink(missing_ok=True)
        return real(path, *args, **more)

    monkeypatch.setattr(owner, name, cleared_first)
    new = JournalFiles(tmp_path, "new", time)
    new.append([fact(1)])
    monkeypatch.undo()
    assert noted(tmp_path) == [fact(1)] and new.failed == 0
    new.close()


def test_too_much_costs_the_oldest_and_is_a_gap(tmp_path: Path) -> None:
    time = Time()
    for number in (1, 2):
        journal = JournalFiles(tmp_path, f"p{number}", time)
        journal.append([fact(number)])
        journal.close()
        time.ms += 1
        os.utime(files(tmp_path)[-1], (NOW_MS / 1000 + number, NOW_MS / 1000 + number))
    size = files(tmp_path)[-1].stat().st_size
    new = JournalFiles(tmp_path, "p3", time, folder_bytes_max=size)
    assert [one for one in noted(tmp_path) if isinstance(one, Told)] == [fact(2)]
    assert any(isinstance(one, Gap) for one in noted(tmp_path)) and new.failed == 1
    new.close()


def test_a_folder_that_cannot_be_written_to_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        JournalFiles(tmp_path / "file", "one", Time())


class Noted(list[Fact]):
    def append(self, facts: object) -> None:
        assert isinstance(facts, list)
        self.extend(facts)


async def test_what_a_ledger_answers_is_noted_and_what_it_refuses_is_not(bench: Bench) -> None:
    await bench.open(bench.spec((3,), limit=2))
    journal = Noted()
    ledger = JournalLedger(bench.ledger, journal, bench.clock)
    opened = await ledger.open(bench.spec((3,), limit=2), command_id="open-1")
    asked = [order("ann", "c1", (0, 2)), order("bob", "c1"), order("eve", "c1")]
    verdicts, view = await ledger.reserve("s1", asked)
    again, _ = await ledger.reserve("s1", [order("bob", "c1"), order("eve", "c2")])
    assert again[0].replayed and again[1].reservation is None
    await ledger.confirm("s1~ann~0", command_id="p1")
    await ledger.release("s1~bob~0", command_id="r1")
    with pytest.raises(LedgerError):
        await ledger.release("s1~ann~0", command_id="r2")
    returned = await ledger.return_order("s1~ann~0", command_id="t1", limit_back=False)
    adjusted = await ledger.adjust("s1", "i0", 5, actor="eve", reason="more", command_id="a1")
    closed = await ledger.close("s1", actor="eve", command_id="x1")
    now_ms, due_ms = bench.clock.now_ms(), bench.clock.now_ms() + HOLD_MS
    kept = [one for one in journal if isinstance(one, Told)]
    assert [(one.reservation_id, one.state, one.due_ms, one.limit_kept) for one in kept] == [
        ("s1~ann~0", ReservationState.HELD, due_ms, False),
        ("s1~bob~0", ReservationState.HELD, due_ms, False),
        ("s1~bob~0", ReservationState.HELD, due_ms, False),
        ("s1~ann~0", ReservationState.CONFIRMED, due_ms, False),
        ("s1~bob~0", ReservationState.RELEASED, due_ms, False),
        ("s1~ann~0", ReservationState.RETURNED, due_ms, True),
    ]
    assert [one.seq for one in kept[:2]] == [verdicts[0].seq, view.seq] and kept[-1].seq == returned.view.seq
    assert [one for one in journal if not isinstance(one, Told)] == [
        Opened(opened.epoch, opened.seq, now_ms, "open-1", bench.spec((3,), limit=2)),
        Ordered(adjusted.epoch, adjusted.seq, now_ms, "s1", "adjust", "a1", "eve", "i0", 5, "more"),
        Ordered(closed.epoch, closed.seq, now_ms, "s1", "close", "x1", "eve"),
    ]
