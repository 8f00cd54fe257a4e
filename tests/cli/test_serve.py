"""``liveserver serve`` says what is in the way."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from liveserver.cli.settings import settings
from liveserver.edge import senders

SECONDS_MAX = 60


def serve(*options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "liveserver", "serve", *options],
        env={**os.environ, "LIVESERVER_REDIS_URL": "", **environ},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )


def test_the_environment_names_the_port_where_no_option_does(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = serve("--data-dir", str(tmp_path), LIVESERVER_PORT=port)
        assert f"127.0.0.1:{port} is in use" in refused.stderr
    wrong = serve("--data-dir", str(tmp_path), LIVESERVER_PORT="70000")
    assert wrong.returncode == 2 and "LIVESERVER_PORT" in wrong.stderr


def test_a_data_directory_that_cannot_be_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a-file"
    file.touch()
    refused = serve("--data-dir", str(file))
    assert refused.returncode == 2 and "--data-dir" in refused.stderr and "is a file" in refused.stderr
    below = serve("--port", "0", "--data-dir", str(file / "below"))
    assert below.returncode == 1
    assert f"{file}" in below.stderr and "Not a directory" in below.stderr and "Errno" not in below.stderr


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = subprocess.run(
            [
                *(sys.executable, "-m", "liveserver", "serve"),
                *("--port", str(port), "--data-dir", str(tmp_path)),
            ],
            env={**os.environ, "LIVESERVER_REDIS_URL": ""},
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
        )
    assert refused.returncode == 1
    assert f"127.0.0.1:{port} is in use" in refused.stderr and "--port" in refused.stderr


def test_a_durability_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    refused = subprocess.run(
        [
            *(sys.executable, "-m", "liveserver", "serve", "--port", "0"),
            *("--data-dir", str(tmp_path), "--durability", "replicated"),
        ],
        env={**os.environ, "LIVESERVER_REDIS_URL": ""},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )
    assert refused.returncode == 1
    assert "cannot serve: durability replicated can't be kept: 0 of 1 replicas" in refused.stderr
    assert "Connect replicas" in refused.stderr


def test_a_native_sender_that_is_not_built_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(senders, "library", lambda: tmp_path / "none.so")
    assert settings().sender == "auto"
    with pytest.raises(typer.Exit) as refused:
        settings(sender="native")
    said = capsys.readouterr().err
    assert refused.value.exit_code == 2
    assert said.startswith("LIVESERVER_SENDER: ") and "python -m liveserver.native" in said and "auto" in said


def test_a_sender_that_is_none_is_refused(tmp_path: Path) -> None:
    refused = serve("--port", "0", "--data-dir", str(tmp_path), LIVESERVER_SENDER="fastest")
    assert refused.returncode == 2 and "LIVESERVER_SENDER" in refused.stderr and "'native'" in refused.stderr


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SECRET", "short", "at least 32 bytes"),
        ("REDIS_URL", "localhost:6379", "redis://"),
        ("BLOCK_WORDS_FILE", "/there/is/none", "/there/is/none"),
        ("ALLOWED_ORIGINS", "https://shop.example", "written as JSON"),
        ("SESSIONS_MAX", "many", "integer"),
    ],
)
def test_a_setting_that_cannot_be_is_named_as_it_is_set(
    name: str,
    value: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(f"LIVESERVER_{name}", value)
    with pytest.raises(typer.Exit) as ended:
        settings()
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.exit_code == 2 and line.startswith(f"LIVESERVER_{name}: ") and said in line


def test_a_store_that_does_not_answer_is_named_with_its_option(tmp_path: Path) -> None:
    with socket.socket() as nobody:  # bound and not listening: connections are refused
        nobody.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{nobody.getsockname()[1]}"
        refused = serve("--port", "0", "--data-dir", str(tmp_path), "--redis-url", url)
    assert refused.returncode == 1 and url.removeprefix("redis://") in refused.stderr
    assert "--redis-url" in refused.stderr
