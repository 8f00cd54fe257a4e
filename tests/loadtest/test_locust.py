"""A locust audience in a real room: every command in its statistics, refusals and losses counted with their
reason, several workers as one."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from redis.asyncio import Redis
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from liveserver.app import Running, running
from liveserver.config import Settings
from liveserver.edge.tokens import TokenConfig, Tokens
from loadtest.locust import tokens
from protocol.client.aio import connect
from protocol.codec import MSGPACK
from protocol.replies import Welcome
from protocol.types import Role
from tests.edge.peers import eventually
from tests.loadtest.locusts import ROOT, WAIT_SECONDS_MAX, ended, start
from tests.web.cable import Cable

SECRET = "a secret of the tests, which is long enough for HS256"
COMMANDS = {
    "like",
    "danmaku",
    "ping",
    "purchase",
    "release",
    "publishListing",
    "openSale",
    "startExplaining",
    "adjustStock",
}
STEPS = {"connect", "join", "/v1/sales/ID"}
PACE = ("-r", "100", "--pace", "0.2")
HEADLESS = ("--headless", "--only-summary", *PACE)
ANSWERS = {"ok", "shown", "merged", "held", "limited"}


@pytest.fixture
async def server(valkey: Redis, valkey_url: str) -> AsyncIterator[Running]:
    async with running(Settings(port=0, redis_url=valkey_url, secret=SECRET)) as started:
        yield started


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_every_command_is_a_row_and_none_fails(server: Running, tmp_path: Path) -> None:
    """Steered from its web page."""
    tables, port = tmp_path / "run", free_port()
    page = f"http://127.0.0.1:{port}"
    web = ("--web-host", "127.0.0.1", "--web-port", str(port), "--autostart", "-u", "26", *PACE)
    locust = await start(*web, "--host", server.http_url, "--csv", str(tables), secret=SECRET)
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX), aiohttp.ClientSession() as browser:
            while not await names_at(browser, page) >= COMMANDS | STEPS:  # noqa: ASYNC110 (it is asked)
                await asyncio.sleep(0.2)
            async with browser.get(page) as home:
                assert home.status == 200 and "Locust" in await home.text()
        locust.terminate()
    finally:
        outcome = await ended(locust, tables)
    assert outcome.failures == {}, outcome.said
    assert outcome.names == COMMANDS | STEPS
    assert outcome.rows["ok", "connect"] == outcome.rows["ok", "join"] == (26, 0)
    assert outcome.rows["reserved", "purchase"].requests > 0
    assert outcome.rows["ok", "openSale"] == (1, 0)
    assert {how for how, _ in outcome.rows} <= ANSWERS | {"GET", "reserved"}


async def names_at(browser: aiohttp.ClientSession, page: str) -> set[str]:
    try:
        async with browser.get(f"{page}/stats/requests") as stats:
            return {row["name"] for row in (await stats.json())["stats"]}
    except aiohttp.ClientConnectionError:
        return set()  # not there yet


async def test_without_a_page_it_ends_by_itself(server: Running, tmp_path: Path) -> None:
    tables = tmp_path / "run"
    options = ("--host", server.http_url, "--csv", str(tables), "-u", "10", "-t", "3s", "Viewer")
    outcome = await ended(await start(*HEADLESS, *options, secret=SECRET), tables)
    assert outcome.code == 0, outcome.said
    assert outcome.rows["ok", "connect"] == (10, 0)
    assert outcome.names <= {"connect", "join", "like", "danmaku", "ping"}


async def test_several_workers_are_one_audience(server: Running, tmp_path: Path) -> None:
    tables, port = tmp_path / "run", str(free_port())
    workers = [await start("--worker", "--master-port", port, secret=SECRET) for _ in range(2)]
    options = (
        "--master",
        "--master-bind-host",
        "127.0.0.1",
        "--master-bind-port",
        port,
        "--expect-workers",
        "2",
    )
    target = ("--host", server.http_url, "--csv", str(tables), "-u", "12", "-t", "4s")
    try:
        outcome = await ended(await start(*HEADLESS, *options, *target, secret=SECRET), tables)
    finally:
        said = [(await ended(worker)).said for worker in workers]
    assert outcome.code == 0 and outcome.failures == {}, (outcome.said, said)
    assert outcome.rows["ok", "connect"] == outcome.rows["ok", "join"] == (12, 0)
    assert outcome.rows["ok", "openSale"] == (1, 0)  # one streamer in all


async def test_a_refused_token_is_a_failure_with_its_reason(server: Running, tmp_path: Path) -> None:
    tables = tmp_path / "run"
    options = ("--host", server.http_url, "--csv", str(tables), "-u", "4", "-t", "3s")
    outcome = await ended(await start(*HEADLESS, *options, secret="x" * 40), tables)
    assert outcome.rows == {("refused", "connect"): (4, 4)}
    assert "bad_token" in outcome.failures["refused", "connect"]
    assert outcome.code == 1


async def test_a_cut_line_is_counted_and_its_users_come_back(server: Running, tmp_path: Path) -> None:
    tables, token = tmp_path / "run", server.mint("viewer", "u1", ["r1"])
    async with Cable(server.http_url) as cable, connect(server.url, token) as live:
        mirror = (await live.join("r1")).mirror
        options = ("--host", cable.http_url, "--csv", str(tables), "-u", "8", "-t", "60s", "Viewer")
        locust = await start(*HEADLESS, *options, secret=SECRET)
        try:
            await eventually(lambda: mirror.viewers == 9, "the audience's coming")
            cable.pull()
            await eventually(lambda: mirror.viewers == 1, "its loss")
            cable.plug()
            await eventually(lambda: mirror.viewers == 9, "its return")
        finally:
            locust.terminate()
            outcome = await ended(locust, tables)
    assert outcome.rows["lost", "connection"] == (8, 8)
    assert outcome.rows["ok", "connect"] == (8, 0)
    assert {how for how, _ in outcome.rows} <= ANSWERS | {"lost", "unknown", "unsent"}


ASK = """
import sys
from loadtest.locust.live import Live
from protocol.commands import Ping
from protocol.client.errors import OutcomeUnknown
live = Live(sys.argv[1], "a token", lambda code: None)
live.open()
try:
    live.ask(Ping(id="p1"), timeout_ms=200)
except OutcomeUnknown as error:
    print(error.why, error.repeatable)
live.close()
"""


async def test_no_answer_in_time_is_unknown() -> None:
    async def silent(socket: ServerConnection) -> None:
        welcome = Welcome(
            id="",
            t=1,
            user_id="u1",
            role=Role.VIEWER,
            session_id="s1",
            process="p1",
            keepalive_ms=25_000,
            expires_at_ms=2,
        )
        await socket.send(MSGPACK.encode(welcome))
        await socket.wait_closed()

    async with serve(silent, "127.0.0.1", 0, subprotocols=[Subprotocol(MSGPACK.subprotocol)]) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/v1/live"
        asked = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ASK, url, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT
        )
        outcome = await ended(asked)
    assert outcome.said.split() == ["timeout", "True"]
    assert outcome.code == 0


async def test_who_has_no_tokens_is_told_what_to_do(tmp_path: Path) -> None:
    missing = tmp_path / "secret"
    outcome = await ended(await start(*HEADLESS, "--secret-file", str(missing), secret=""))
    assert outcome.code == 2
    assert "LIVESERVER_SECRET" in outcome.said and str(missing) in outcome.said


# -- tokens --------------------------------------------------------------------------------------------


def test_a_minted_token_is_one_the_server_takes() -> None:
    mint = tokens.of_secret(SECRET, "r1")
    judge = Tokens(TokenConfig(secret=SECRET))
    viewer = judge.verify(mint(Role.VIEWER, 3, 7), time.time_ns() // 1_000_000)
    streamer = judge.verify(mint(Role.STREAMER, 0, 0), time.time_ns() // 1_000_000)
    assert (viewer.user_id, viewer.role) == ("l3-7", Role.VIEWER)
    assert (streamer.user_id, streamer.role) == ("streamer", Role.STREAMER)


def test_a_file_s_viewers_are_shared_out(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(json.dumps({"streamer": "s", "viewers": [f"v{n}" for n in range(64)]}))
    mint = tokens.found(str(path), "", "r1")
    assert mint(Role.STREAMER, 0, 5) == "s"
    assert [mint(Role.VIEWER, 0, n) for n in (0, 1, 64)] == ["v0", "v1", "v0"]
    assert mint(Role.VIEWER, 1, 0) == "v4"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"streamer": "s"}',
        '{"streamer": "s", "viewers": []}',
        '{"streamer": 1, "viewers": ["v"]}',
        '{"streamer": "s", "viewers": "v"}',
    ],
)
def test_what_is_no_token_file_says_what_is(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(text)
    with pytest.raises(tokens.NoTokens, match="one JSON object"):
        tokens.of_file(path)


# -- beside the other tests ----------------------------------------------------------------------------


def test_locust_s_plugin_is_left_out_and_nothing_is_patched_here(pytestconfig: pytest.Config) -> None:
    assert not pytestconfig.pluginmanager.hasplugin("locust")
    monkey = sys.modules.get("gevent.monkey")
    assert monkey is None or not monkey.is_module_patched("socket")
