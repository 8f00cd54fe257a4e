"""The embedded store: it comes up, keeps what it acknowledged, and never outlives us."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from redis.asyncio import Redis

from liveserver.store.binary import ServerBinary
from liveserver.store.datadir import DataDirInUseError
from liveserver.store.embedded import EmbeddedValkey, StoreStartError
from tests.conftest import StartValkey

GONE_WITHIN_S = 20.0  # a bound on the wait of the test, not a promise of speed

PARENT = """
import asyncio, sys
from pathlib import Path
from liveserver.store.embedded import EmbeddedValkey

async def main():
    watchdog = {"tied": None, "watchdog": True}[sys.argv[2]]
    store = await EmbeddedValkey.start(Path(sys.argv[1]), watchdog=watchdog)
    print(store.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def gone(pid: int) -> bool:
    """True once no live process has this pid (a zombie is dead)."""
    deadline = asyncio.get_running_loop().time() + GONE_WITHIN_S
    while asyncio.get_running_loop().time() < deadline:
        try:
            shown = await asyncio.to_thread(Path(f"/proc/{pid}/stat").read_text)
        except (FileNotFoundError, ProcessLookupError):
            return True
        if shown.rpartition(")")[2].split()[0] in "ZX":
            return True
        await asyncio.sleep(0.02)
    return False


async def settings_of(url: str) -> dict[str, str]:
    async with Redis.from_url(url, decode_responses=True) as client:
        return {str(name): str(setting) for name, setting in (await client.config_get("*")).items()}


async def test_it_is_private_and_durable(tmp_path: Path) -> None:
    async with await EmbeddedValkey.start(tmp_path / "with a space" / "data") as store:
        settings = await settings_of(store.url)
        assert settings["port"] == "0"
        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "always"
        assert settings["save"] == ""
        assert settings["maxmemory-policy"] == "noeviction"
        assert stat.S_IMODE(os.stat(settings["unixsocket"]).st_mode) == 0o700
        assert stat.S_IMODE(os.stat(store.data_dir).st_mode) == 0o700
        assert os.getsid(store.pid) != os.getsid(0)  # Ctrl-C in our terminal is not for it


async def test_a_clean_stop_leaves_no_process_and_the_same_directory_goes_on(tmp_path: Path) -> None:
    async with await EmbeddedValkey.start(tmp_path) as store:
        pid = store.pid
        async with Redis.from_url(store.url) as client:
            await client.set("kept", "yes")
    assert await gone(pid)
    assert not store.alive
    log = store.log_path.read_bytes()
    assert b"ready to exit" in log
    assert b"SIGTERM" not in log  # SHUTDOWN was heard: no signal was needed
    async with await EmbeddedValkey.start(tmp_path) as again, Redis.from_url(again.url) as client:
        assert await client.get("kept") == b"yes"


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, durable_valkey: StartValkey) -> None:
    store = await durable_valkey(tmp_path)
    async with Redis.from_url(store.url) as client:
        await client.set("kept", "yes")
        store.kill()
    again = await durable_valkey(tmp_path)
    async with Redis.from_url(again.url) as client:
        assert await client.get("kept") == b"yes"


@pytest.mark.parametrize("way", ["tied", "watchdog"])
async def test_a_parent_killed_with_9_takes_the_store_along(tmp_path: Path, way: str) -> None:
    argv = [sys.executable, "-c", PARENT, str(tmp_path), way]
    parent = await asyncio.to_thread(subprocess.Popen[bytes], argv, stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        pid = int(await asyncio.to_thread(parent.stdout.readline))
        os.kill(pid, 0)  # it runs
        parent.send_signal(signal.SIGKILL)
        assert await gone(pid)
        async with await EmbeddedValkey.start(tmp_path) as successor:  # and the directory is free again
            assert successor.pid != pid
    finally:
        parent.kill()
        parent.communicate()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liveserver.store.embedded.CLAIM_WAIT_S", 0.1)


@pytest.mark.usefixtures("impatient")
async def test_two_on_one_directory_is_a_clear_error(tmp_path: Path, durable_valkey: StartValkey) -> None:
    first = await durable_valkey(tmp_path)
    with pytest.raises(DataDirInUseError, match=f"in use by another liveserver .process {os.getpid()}"):
        await EmbeddedValkey.start(tmp_path)
    assert first.alive


@pytest.mark.usefixtures("impatient")
async def test_the_lock_is_held_as_long_as_the_store_lives(
    tmp_path: Path, durable_valkey: StartValkey
) -> None:
    """Our own descriptor closing (as when we are killed) must not let a second store in."""
    first = await durable_valkey(tmp_path)
    os.close(first._home.lock_fd)
    first._home.lock_fd = -1
    with pytest.raises(DataDirInUseError):
        await EmbeddedValkey.start(tmp_path)


async def test_stop_ends_a_store_that_does_not_listen(
    monkeypatch: pytest.MonkeyPatch, durable_valkey: StartValkey
) -> None:
    monkeypatch.setattr("liveserver.store.embedded.SHUTDOWN_MAX_S", 0.1)
    monkeypatch.setattr("liveserver.store.embedded.TERMINATE_MAX_S", 0.1)
    store = await durable_valkey()
    os.kill(store.pid, signal.SIGSTOP)
    await store.stop()
    assert await gone(store.pid)
    assert not store.data_dir.exists()  # it was temporary


async def test_a_cancelled_stop_is_complete(durable_valkey: StartValkey) -> None:
    store = await durable_valkey()
    os.kill(store.pid, signal.SIGSTOP)
    stopping = asyncio.create_task(store.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert await gone(store.pid)
    assert not store.data_dir.exists()


async def test_a_directory_too_deep_for_a_socket_still_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    async with await EmbeddedValkey.start(deep) as store, Redis.from_url(store.url) as client:
        socket = Path(str((await client.config_get("unixsocket"))["unixsocket"]))
        assert await client.config_get("dir") == {"dir": str(deep)}
        assert not socket.is_relative_to(deep)
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert not socket.parent.exists()


async def test_started_on_another_thread_it_does_not_die_with_that_thread() -> None:
    stores: list[EmbeddedValkey] = []
    starter = threading.Thread(target=lambda: stores.append(asyncio.run(EmbeddedValkey.start())))
    starter.start()
    await asyncio.to_thread(starter.join)
    async with stores[0] as store, Redis.from_url(store.url) as client:
        assert await client.ping()
        assert (await client.info("server"))["process_id"] == store.pid
    assert await gone(store.pid)


async def test_a_store_that_cannot_start_says_why_and_lets_go(tmp_path: Path) -> None:
    logs = tmp_path / "appendonlydir"
    logs.mkdir()
    (logs / "appendonly.aof.manifest").write_text("not a manifest\n")
    with pytest.raises(StoreStartError, match="AOF manifest file"):
        await EmbeddedValkey.start(tmp_path)
    (logs / "appendonly.aof.manifest").unlink()
    async with await EmbeddedValkey.start(tmp_path) as store:
        assert store.alive


async def test_loading_is_waited_for_and_told(tmp_path: Path, valkey_binary: ServerBinary) -> None:
    async with await EmbeddedValkey.start(tmp_path) as store, Redis.from_url(store.url) as client:
        # Enough to be seen loading: some 14 MB, read in slices of 2 MB between which it answers.
        await client.eval("for i = 1, 400000 do redis.call('SET', 'k' .. i, i) end", 0)
    told: list[float] = []
    async with (
        await EmbeddedValkey.start(tmp_path, on_loading=told.append) as store,
        Redis.from_url(store.url) as client,
    ):
        assert await client.dbsize() == 400_000
    assert told == sorted(told)
    assert told
