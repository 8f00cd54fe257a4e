"""``liveserver demo`` says before the night what can't be, and not after it."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS_MAX = 60


def demo(*options: str) -> subprocess.CompletedProcess[str]:
    """A night of an hour, which nobody waits for."""
    command = [
        sys.executable,
        "-m",
        "liveserver",
        "demo",
        "--headless",
        "--viewers",
        "10",
        "--seconds",
        "3600",
    ]
    return subprocess.run([*command, *options], capture_output=True, text=True, timeout=SECONDS_MAX)


@pytest.mark.parametrize("option", ["--report", "--journal"])
def test_a_place_that_cannot_be_written(tmp_path: Path, option: str) -> None:
    (tmp_path / "a-file").touch()
    refused = demo(option, str(tmp_path / "a-file" / "below"))
    assert refused.returncode == 2
    assert option in refused.stderr and str(tmp_path / "a-file") in refused.stderr
    assert "Errno" not in refused.stderr and "Traceback" not in refused.stderr


def test_a_report_that_can_be_written_is_not_left_behind_empty(tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    refused = demo("--report", str(tmp_path / "new" / "r.json"), "--journal", str(tmp_path / "a-file" / "x"))
    assert refused.returncode == 2 and "--journal" in refused.stderr
    assert not (tmp_path / "new" / "r.json").exists()


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (
            "cut.jsonl.gz",
            gzip.compress(b'{"t": 0, "user": "u", "type": "danmaku", "text": "hi"}\n' * 99)[:-20],
            "cut",
        ),
        ("prose.jsonl", b"once upon a time\n", "nothing to play"),
    ],
)
def test_a_recording_that_cannot_be_played(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    (tmp_path / name).write_bytes(content)
    refused = demo("--replay", str(tmp_path / name), "--journal", str(tmp_path / "journal"))
    assert refused.returncode == 2, refused.stdout
    said = refused.stdout + refused.stderr
    assert "--replay" in said and complaint in said and "Traceback" not in said
    assert "verdict" not in said, "there was no night to judge"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--kill-worker-at", "5"), "needs --workers"),
        (("--workers", "2", "--kill-worker-at", "3600"), "the night is over after 3600 s"),
        (("--roll-at", "5"), "needs --workers"),
        (("--workers", "2", "--roll-at", "3600"), "the night is over after 3600 s"),
        (("--workers", "2", "--roll-at", "3", "--kill-worker-at", "4"), "not with --kill-worker-at"),
        (("--workers", "65"), "--workers"),
    ],
)
def test_a_kill_or_a_roll_that_can_not_be(options: tuple[str, ...], says: str) -> None:
    refused = demo(*options)
    assert refused.returncode == 2 and says in refused.stderr
