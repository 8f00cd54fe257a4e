"""Everybody drops and comes back at once: nobody is lost, and each is told what is his."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis.asyncio import Redis

from liveserver.app import Running
from liveserver.edge.tokens import TokenConfig, Tokens
from protocol import commands as c
from protocol.replies import Joined, PurchaseOutcome
from protocol.types import OrderLine, Role
from tests.edge.peers import Raw as Wire
from tests.edge.peers import eventually, request

from .conftest import SECRET
from .raw import Raw
from .shop import list_oil, open_oil_sale

VIEWERS = 60
FILES_MAX = 300


async def test_a_room_that_drops_and_comes_back_at_once_has_lost_nobody(server: Running) -> None:
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await eve.join("r1")
        await list_oil(eve, stock=VIEWERS)
        await open_oil_sale(eve, limit=1)
        crowd = [Raw(server.url, server.mint("viewer", f"u{number}")) for number in range(VIEWERS)]

        async def come(number: int) -> Joined:
            await crowd[number].__aenter__()
            return await crowd[number].join("r1")

        async def buy(number: int) -> PurchaseOutcome:
            line = OrderLine(item_id="jar", quantity=1)
            order = c.Purchase(id=f"p{number}", room="r1", sale_id="s1", lines=[line])
            return await crowd[number].ask(order, PurchaseOutcome)

        places = await asyncio.gather(*map(come, range(VIEWERS)))
        bought = await asyncio.gather(*map(buy, range(0, VIEWERS, 2)))
        for one in crowd:
            one._reader.cancel()
            one.socket.transport.abort()
        await eventually(lambda: server.serving.front.keepalive.sockets == 1, "only the streamer is left")
        await list_oil(eve, listing_id="soy")

        async def come_back(number: int) -> Joined:
            crowd[number] = Raw(server.url, server.mint("viewer", f"u{number}"))
            await crowd[number].__aenter__()
            return await crowd[number].join("r1", places[number].epoch, places[number].offset)

        back = await asyncio.gather(*map(come_back, range(VIEWERS)))
        assert {(joined.mode, joined.replayed, joined.me.known) for joined in back} == {("replayed", 1, True)}
        for number, joined in enumerate(back):
            mine = [] if number % 2 else [bought[number // 2].reservation]
            assert joined.me.reservations == mine
        for one in crowd:
            await one.__aexit__(None, None, None)


@contextmanager
def served(folder: Path, valkey_url: str) -> Iterator[int]:
    """The port of a server that may have ``FILES_MAX`` open files."""

    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_MAX, FILES_MAX))

    command = [sys.executable, "-m", "liveserver", "serve", "--port", "0", "--log-json"]
    environ = {"LIVESERVER_REDIS_URL": valkey_url, "LIVESERVER_SECRET": SECRET}
    with subprocess.Popen(
        command, env={**os.environ, **environ}, stderr=subprocess.PIPE, preexec_fn=few_files, cwd=folder
    ) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                said = json.loads(line) if line.startswith(b"{") else {}
                if said.get("event") == "listening":
                    yield int(said["url"].rpartition(":")[2])
                    break
            else:
                raise AssertionError("it did not start")
        finally:
            process.kill()


async def test_at_the_limit_of_open_files_everybody_is_answered_and_those_inside_go_on(
    tmp_path: Path, valkey: Redis, valkey_url: str
) -> None:
    """More come than there are descriptors for: each is let in, or told when to come back, and where too many
    come in one moment for that, cut; nobody hangs, and the room goes on. Those who leave make room again."""
    tokens = Tokens(TokenConfig(secret=SECRET))

    def token(role: Role, user_id: str) -> str:
        return tokens.mint(user_id, role, ["*"], now_ms=time.time_ns() // 1_000_000, ttl_ms=600_000)

    with served(tmp_path, valkey_url) as port:
        url = f"ws://127.0.0.1:{port}/v1/live"
        async with Raw(url, token(Role.STREAMER, "eve")) as eve, Raw(url, token(Role.VIEWER, "ann")) as ann:
            await eve.join("r1")
            await ann.join("r1")
            crowd, statuses = [], []
            for _ in range(FILES_MAX + 50):
                crowd.append(await Wire.connect(port))
                crowd[-1].say(request())
                statuses.append((await crowd[-1].answer()).status)
            assert set(statuses) == {101, 503}
            assert statuses.count(101) > FILES_MAX // 3
            burst = [await Wire.connect(port) for _ in range(100)]
            for wire in burst:
                wire.say(request())
            for wire in burst:
                said = await wire.ended()  # all of it: nobody is left hanging
                assert said.startswith(b"HTTP/1.1 503") or said in (b"", b"<reset>")
            crowd += burst
            await list_oil(eve)
            await ann.say(c.SendDanmaku(id="d", room="r1", text="还在吗"))
            await eve.see_text("还在吗")
            for wire in crowd:
                wire.leave()
            back = await Wire.connect(port)
            for _ in range(200):  # until the server has heard that they left
                back.say(request())
                if (await back.answer()).status == 101:
                    break
                back.leave()
                await asyncio.sleep(0.05)
                back = await Wire.connect(port)
            else:
                raise AssertionError("who left made no room")
            back.leave()
