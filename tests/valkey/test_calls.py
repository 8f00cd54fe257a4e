"""Clients and scripts against a real server: what is sent once, what is known to have run."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis import exceptions
from redis.asyncio import Redis

from liveserver.valkey.connect import NotSentError, call_client, listen_client
from liveserver.valkey.errors import certainly_not_executed
from liveserver.valkey.scripts import Script
from liveserver.valkey.server import ServerTooOldError, _version, server_facts
from tests.conftest import StartValkey

INCR = Script("incr.lua", "#!lua\nreturn redis.call('INCR', KEYS[1])")


@pytest.fixture
async def client(valkey_url: str, valkey: Redis) -> AsyncIterator[Redis]:
    made = call_client(valkey_url)
    yield made
    await made.aclose()


async def test_a_script_is_taught_by_its_first_call_and_runs_once(client: Redis) -> None:
    await client.script_flush()
    assert await INCR.call(client, ["k"], []) == 1
    assert (await client.script_exists(INCR.sha)) == [True]
    assert await INCR.call(client, ["k"], []) == 2


def test_a_shebang_stays_the_first_line() -> None:
    script = Script("s", "#!lua flags=no-writes\nreturn f()", prelude="local function f() return 1 end")
    assert script.text == "#!lua flags=no-writes\nlocal function f() return 1 end\nreturn f()"


async def test_a_refused_connection_is_certain(tmp_path: Path) -> None:
    client = call_client(f"unix://{tmp_path}/nobody")
    with pytest.raises(NotSentError) as caught:
        await client.incr("k")
    assert certainly_not_executed(caught.value)
    await client.aclose()


async def test_a_timed_out_call_is_sent_once_and_its_fate_is_unknown(durable_valkey: StartValkey) -> None:
    store = await durable_valkey(fsync="no")
    client = call_client(store.url, timeout_ms=150)
    other = call_client(store.url)
    await client.incr("k")
    os.kill(store.pid, signal.SIGSTOP)
    try:
        with pytest.raises(exceptions.TimeoutError) as caught:
            await client.incr("k")
    finally:
        os.kill(store.pid, signal.SIGCONT)
    assert not certainly_not_executed(caught.value)
    assert await other.get("k") == b"2"  # it had run after all, and once
    await client.aclose()
    await other.aclose()


async def test_a_cancelled_call_never_hands_its_reply_to_a_stranger(client: Redis) -> None:
    slow = Script("slow.lua", "local n = 0 for i = 1, 200000 do n = n + i % 7 end return ARGV[1]")
    for round_ in range(20):
        task = asyncio.ensure_future(slow.call(client, [], [f"slow{round_}"]))
        await asyncio.sleep(0.0005 * (round_ % 5))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        answers = await asyncio.gather(*(client.echo(f"{round_}-{i}") for i in range(4)))
        assert answers == [f"{round_}-{i}".encode() for i in range(4)]


async def test_a_connection_found_closed_is_a_lost_connection(client: Redis) -> None:
    """uvloop calls it a RuntimeError; nobody who sorts errors would know what that means for the call."""
    pool: Any = client.connection_pool
    connection = await pool.get_connection()
    connection._writer.transport.abort()
    await asyncio.sleep(0.01)
    with pytest.raises(exceptions.ConnectionError):
        await connection.send_command("PING")
    await pool.release(connection)
    assert await client.ping()


async def test_a_listener_waits_longer_than_a_call_may_take(client: Redis, valkey_url: str) -> None:
    listener = listen_client(valkey_url)
    pubsub = listener.pubsub(ignore_subscribe_messages=True)
    await pubsub.subscribe("room")
    assert listener.connection_pool.connection_kwargs["socket_timeout"] is None
    assert client.connection_pool.connection_kwargs["socket_timeout"] is not None
    await asyncio.sleep(0.05)
    await client.publish("room", b"hello")
    for _ in range(100):
        heard = await pubsub.get_message(timeout=0.05)
        if heard is not None:
            break
    assert heard is not None and heard["data"] == b"hello"
    await pubsub.aclose()  # type: ignore[no-untyped-call]
    await listener.aclose()


async def _error_of(client: Redis, script: Script) -> exceptions.RedisError:
    with pytest.raises(exceptions.RedisError) as caught:
        await script.call(client, ["k"], [])
    return caught.value


async def test_commands_behind_a_script_run_on_its_connection_and_in_order(client: Redis) -> None:
    behind = [("INCR", "k"), ("CLIENT", "ID"), ("INCR", "not an integer"), ("GET", "k")]
    await client.set("not an integer", "x")
    for _ in range(2):  # the first time the server doesn't know the script
        await client.delete("k")
        await client.script_flush()
        reply, others = await INCR.call_with(client, ["k"], [], behind)
        assert reply >= 1 and others[0] == reply + 1 == int(others[3])
        assert isinstance(others[1], int) and isinstance(others[2], exceptions.ResponseError)


async def test_a_script_refused_with_commands_behind_it_is_as_certain(
    durable_valkey: StartValkey,
) -> None:
    store = await durable_valkey(fsync="no")
    client = call_client(store.url)
    await client.config_set("min-replicas-to-write", "1")
    with pytest.raises(exceptions.RedisError) as caught:
        await INCR.call_with(client, ["k"], [], [("GET", "k")])
    assert certainly_not_executed(caught.value)
    await client.aclose()


async def test_a_cancelled_call_with_commands_behind_it_leaves_no_reply_to_a_stranger(client: Redis) -> None:
    for number in range(20):
        call = asyncio.ensure_future(INCR.call_with(client, ["k"], [], [("ECHO", f"old {number}")]))
        for _ in range(number % 5):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert await client.echo(f"new {number}") == f"new {number}".encode()


async def test_what_the_server_refuses_up_front_is_certain(durable_valkey: StartValkey) -> None:
    store = await durable_valkey(fsync="no")
    client = call_client(store.url)
    plain = Script("plain.lua", "return redis.call('INCR', KEYS[1])")
    for name, value, back in (("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")):
        await client.config_set(name, value)
        for script in (INCR, plain):
            assert certainly_not_executed(await _error_of(client, script)), (name, script.name)
        await client.config_set(name, back)
    assert await client.get("k") is None
    await client.aclose()


async def test_an_error_after_a_write_is_not_certain(client: Redis) -> None:
    script = Script("half.lua", "redis.call('SET', KEYS[1], 'x') return redis.call('INCR', KEYS[1])")
    assert not certainly_not_executed(await _error_of(client, script))
    assert await client.get("k") == b"x"


@pytest.mark.parametrize(
    ("error", "certain"),
    [
        (exceptions.BusyLoadingError("loading", status_code="LOADING"), True),
        (exceptions.ReadOnlyError("a replica", status_code="READONLY"), True),
        (exceptions.ReadOnlyError("a replica script: abc, on @user_script:9.", status_code="READONLY"), True),
        (exceptions.NoScriptError("no", status_code="NOSCRIPT"), True),
        (exceptions.ResponseError("MISCONF the disk is full"), True),
        (exceptions.ResponseError("BUSY a script runs"), True),
        (exceptions.MaxConnectionsError("Too many connections"), True),
        (exceptions.ResponseError("NOPERM no script: abc, on @user_script:9."), False),
        (exceptions.ResponseError("ERR user_script:3: boom script: abc, on @user_script:3."), False),
        (exceptions.ConnectionError("Connection closed by server."), False),
        (exceptions.TimeoutError("Timeout reading"), False),
        (ValueError("ours"), False),
    ],
)
def test_sorting_of_errors(error: Exception, certain: bool) -> None:
    assert certainly_not_executed(error) is certain


async def test_facts_of_the_server(client: Redis, durable_valkey: StartValkey) -> None:
    shared = await server_facts(client)
    assert shared.version >= (7, 0) and len(shared.run_id) == 40
    assert not shared.fsynced and not shared.evicts
    store = await durable_valkey()
    durable = call_client(store.url)
    facts = await server_facts(durable)
    assert facts.fsynced and facts.run_id != shared.run_id
    await durable.aclose()


async def test_an_old_server_is_named(client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    async def info() -> dict[str, object]:
        return {"redis_version": "6.2.14", "run_id": "0" * 40}

    monkeypatch.setattr(client, "info", info)
    with pytest.raises(ServerTooOldError, match=r"redis 6\.2\.14 is too old"):
        await server_facts(client)
    assert _version("7.0.15") > (7, 0)


async def test_a_cancelled_call_is_cancelled_at_whatever_point(valkey_url: str) -> None:
    """Python 3.11's ``wait_for`` forgets a cancellation that meets its end: a loop that calls the store would
    then go on for ever, and a server not end."""
    client = call_client(valkey_url)
    forgotten = []
    for turns in [*range(40)] * 5:
        calling = asyncio.ensure_future(_call_on(client))
        for _ in range(turns):
            await asyncio.sleep(0)
        assert calling.cancel()
        done, _ = await asyncio.wait({calling}, timeout=0.2)
        if not done:
            forgotten.append(turns)
            await client.connection_pool.disconnect()
            break
    await client.aclose()
    assert forgotten == []


async def test_what_a_cancelled_task_has_to_clean_up_is_still_sent(valkey_url: str) -> None:
    client = call_client(valkey_url)
    await client.delete("cleaned")

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await client.set("cleaned", "1")

    working = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    working.cancel()
    await asyncio.wait({working})
    assert working.cancelled() and await client.get("cleaned") == b"1"
    await client.aclose()


async def _call_on(client: Redis) -> None:
    while True:
        await client.ping()
