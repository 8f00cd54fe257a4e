"""The journal: what is written is what is read, whole lines only, and never more than was allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import journal
from loadtest.verdict import case


def test_a_frame_is_written_once_for_all_who_receive_it(tmp_path: Path) -> None:
    with journal.JournalWriter(tmp_path, "a.jsonl") as writer:
        for c in (1, 2):
            writer.write("open", ms=0, c=c, user=f"v{c}", role="viewer", codec="json", deflate=False)
        for c in (1, 2, 1):
            writer.received(5.25, c, b"frame one", {"n": 1})
        writer.received(6, 2, b"frame two", {"n": 2})
    lines = list(journal.read_lines(tmp_path / "a.jsonl"))
    assert sum(isinstance(line, dict) and line["k"] == "blob" for line in lines) == 2
    journal.write_meta(tmp_path, {"room": "r"})
    read = case.load(tmp_path)
    assert [[item.body["n"] for item in c.items] for c in read.connections] == [[1, 1], [1, 2]]


def test_a_forgotten_frame_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "BLOBS_REMEMBERED_MAX", 1)
    with journal.JournalWriter(tmp_path, "a.jsonl") as writer:
        for payload in (b"x", b"y", b"x"):
            writer.received(0, 1, payload, payload.decode())
    blobs = [line for line in journal.read_lines(tmp_path / "a.jsonl") if isinstance(line, dict)]
    assert [(blob["b"], blob["m"]) for blob in blobs] == [(1, "x"), (2, "y"), (3, "x")]


def test_a_torn_last_line_is_skipped_and_a_torn_middle_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"k":"begin"}\n[1.0,2,')
    assert list(journal.read_lines(path)) == [{"k": "begin"}]
    path.write_bytes(b'{"k":"begin"}\n[1.0,2,\n{"k":"end"}\n')
    with pytest.raises(journal.JournalError, match=r"a\.jsonl:2"):
        list(journal.read_lines(path))


def test_a_full_journal_says_so_and_stops(tmp_path: Path) -> None:
    with journal.JournalWriter(tmp_path, "a.jsonl", bytes_max=200) as writer:
        for _ in range(50):
            writer.write("mark", ms=0, name="again")
    lines = list(journal.read_lines(tmp_path / "a.jsonl"))
    assert isinstance(lines[-1], dict) and lines[-1]["k"] == "fault"
    assert (tmp_path / "a.jsonl").stat().st_size < 400


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(journal.JournalError):
        case.load(tmp_path)
    journal.write_meta(tmp_path, {})
    (tmp_path / "a.jsonl").write_bytes(b"[1.0,7,1]\n")  # a frame on a connection nobody opened
    with pytest.raises(journal.JournalError):
        case.load(tmp_path)


@given(st.binary(max_size=60) | st.text(max_size=20).map(str.encode) | st.just(b"b64:x"))
def test_every_field_of_the_store_survives(value: bytes) -> None:
    assert journal.unpack_field(journal.pack_field(value)) == value
