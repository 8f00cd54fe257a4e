"""A viewer who stops reading: nothing piles up for him, nobody waits for him, and he comes back whole."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from typing import Any

import pytest
from websockets.asyncio.client import connect

from liveserver.app import Running
from protocol import commands as c
from protocol.codec import JSON, Downward
from protocol.frames import Frame
from protocol.replies import Done, Pong, Receipt
from protocol.types import ItemDraft

from .conftest import StartServer
from .raw import Raw
from .shop import list_oil, open_oil_sale

UPDATES = 120


def items(version: int) -> list[ItemDraft]:
    """About 4 KB of listing."""
    return [
        ItemDraft(item_id=f"i{n}", variant=f"{version}." + "长" * 50, price_fen=version, stock=1)
        for n in range(20)
    ]


async def connect_small(url: str, token: str) -> Any:
    """Reads nothing by itself: a tiny receive buffer, and the library stops reading after one message."""
    host, port = url.removeprefix("ws://").split("/")[0].split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((host, int(port)))
    raw.setblocking(False)
    return await connect(
        url,
        sock=raw,
        subprotocols=["live.v1.json"],  # type: ignore[list-item]
        additional_headers={"Authorization": f"Bearer {token}"},
        compression=None,
        max_queue=1,
        max_size=None,
        ping_interval=None,
    )


def scrape(http_url: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{http_url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
    }


@pytest.fixture(params=["python", "native"])
async def server(request: pytest.FixtureRequest, start_server: StartServer) -> Running:
    """With either sender."""
    try:
        started = await start_server(sender=request.param)
    except ValueError as error:
        pytest.skip(str(error))
    scraped = await asyncio.to_thread(scrape, started.http_url)
    assert scraped[f'liveserver_sender{{kind="{request.param}"}}'] == 1
    return started


async def hear(lazy: Any) -> Downward:
    payload = await lazy.recv()
    assert isinstance(payload, str)
    return JSON.decode_downward(payload.encode())


async def test_a_viewer_who_stops_reading_gets_it_all_when_he_reads_again(server: Running) -> None:
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await eve.join("r1")
        await ann.join("r1")
        lazy = await connect_small(server.url, server.mint("viewer", "lazy"))
        await lazy.send(JSON.encode(c.Join(id="j", room="r1")).decode())
        heard: list[Downward] = []
        while not any(isinstance(m, Frame) and m.snapshot for m in heard):
            heard.append(await hear(lazy))
        await list_oil(eve)

        for version in range(UPDATES):
            update = c.UpdateListing(id=eve.new_id(), room="r1", listing_id="oil", items=items(version))
            await eve.ask(update, Done)
            await asyncio.sleep(0.02)  # 50 commands a second are allowed
            if version % 30 == 0:
                await ann.ask(c.SendDanmaku(id=ann.new_id(), room="r1", text=f"第{version}"), Receipt)
        await open_oil_sale(eve)
        head = UPDATES + 2
        await ann.until(lambda m: isinstance(m, Frame) and any(e.offset == head for e in m.critical))
        assert [e.offset for e in ann.events()] == list(range(1, head + 1)), "nobody waits for him"

        await lazy.send(JSON.encode(c.Ping(id="p")).decode())
        offsets: list[int] = []
        state: dict[str, int] = {}
        ponged = False
        while not (offsets and offsets[-1] == head and state and ponged):
            message = await hear(lazy)
            ponged = ponged or isinstance(message, Pong)
            if isinstance(message, Frame):
                offsets += [e.offset for e in message.critical]
                for stock in message.state.stock if message.state else []:
                    state = stock.available
        assert offsets == list(range(1, head + 1)), "the critical events, each once and in order"
        assert sum(state.values()) == 20
        await lazy.close()
        scraped = await asyncio.to_thread(scrape, server.http_url)
        assert scraped['liveserver_critical_units_total{fate="replayed"}'] > UPDATES / 2, "he was paused"
        assert (
            scraped['liveserver_critical_units_total{fate="advanced"}']
            == scraped['liveserver_critical_units_total{fate="written"}']
            + scraped['liveserver_critical_units_total{fate="replayed"}']
            + scraped['liveserver_critical_units_total{fate="covered"}']
        )
        assert scraped['liveserver_danmaku_units_total{fate="paused"}'] > 0
