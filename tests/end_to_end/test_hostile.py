"""What a peer may do wrong, or to harm: it costs him his connection at most, and nobody else anything."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import jwt
import pytest
from redis.asyncio import Redis

from liveserver.app import Running, running
from liveserver.commands.session import Session
from liveserver.config import Settings
from liveserver.hub import beats as hub_beats
from liveserver.hub import rooms as hub_rooms
from liveserver.hub.live_room import LiveRoom
from liveserver.store import keys
from protocol import commands as c
from protocol.events import SaleClosed, SaleOpened
from protocol.frames import Frame
from protocol.limits import COMMANDS_IN_FLIGHT_MAX, ROOMS_PER_SESSION_MAX
from protocol.replies import Done, ErrorReply, Joined, Me, Pong, PurchaseOutcome, Receipt
from protocol.types import OrderLine
from tests.conftest import StartValkey

from .conftest import SECRET, StartServer
from .raw import Raw
from .shop import list_oil, open_oil_sale
from .test_slow import scrape


async def answers(who: Raw, ids: list[str]) -> list[object]:
    """The one answer to each of these commands."""
    for command_id in ids:
        await who.until(lambda m, wanted=command_id: getattr(m, "id", None) == wanted)  # type: ignore[misc]
    told = [m for m in who.heard if getattr(m, "id", None) in ids]
    assert len(told) == len(ids), "one reply each"
    return list(told)


# -- one session ---------------------------------------------------------------------------------------


async def test_joins_said_in_one_breath_are_counted(server: Running) -> None:
    """None of them has ended when the next one is looked at."""
    async with Raw(server.url, server.mint("viewer", "ann")) as ann:
        ids = [f"j{n}" for n in range(ROOMS_PER_SESSION_MAX + 4)]
        for command_id in ids:
            await ann.say(c.Join(id=command_id, room=f"room-{command_id}"))
        told = await answers(ann, ids)
        assert sum(isinstance(one, Joined) for one in told) == ROOMS_PER_SESSION_MAX
        assert {one.code for one in told if isinstance(one, ErrorReply)} == {"too_many_rooms"}


async def test_what_is_said_behind_joins_is_bounded_over_all_of_them(
    durable_valkey: StartValkey, start_server: StartServer
) -> None:
    store = await durable_valkey()
    server = await start_server(redis_url=store.url)
    async with Raw(server.url, server.mint("viewer", "ann")) as ann:
        joins, likes = [], []
        os.kill(store.pid, signal.SIGSTOP)
        try:
            for room in ("r1", "r2", "r3"):
                joins.append(ann.new_id())
                await ann.say(c.Join(id=joins[-1], room=room))
                for _ in range(60):
                    likes.append(ann.new_id())
                    await ann.say(c.Like(id=likes[-1], room=room))
            refused = await answers(ann, likes[COMMANDS_IN_FLIGHT_MAX:])
            assert {one.code for one in refused if isinstance(one, ErrorReply)} == {"rate_limited"}
        finally:
            os.kill(store.pid, signal.SIGCONT)
        assert all(isinstance(one, Joined) for one in await answers(ann, joins))
        await answers(ann, likes)


async def test_saying_twice_who_one_is_costs_nothing(server: Running) -> None:
    token = server.mint("viewer", "ann")
    async with Raw(server.url, token) as ann:
        await ann.join("r1")
        refused = await ann.refused(c.Authenticate(id="a", token=token))
        assert refused.code == "already_authenticated"
        await ann.ask(c.Like(id="l", room="r1"), Done)


async def test_who_says_who_he_is_to_a_server_that_drains_may_come_back(
    durable_valkey: StartValkey,
) -> None:
    store = await durable_valkey()
    ending = running(Settings(port=0, redis_url=store.url, secret=SECRET))
    server = await ending.__aenter__()
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, None) as stranger,
    ):
        await eve.join("r1")
        await list_oil(eve)
        os.kill(store.pid, signal.SIGSTOP)
        try:
            await eve.say(c.StartExplaining(id="x", room="r1", listing_id="oil"))  # owed while it drains
            await eve.ask(c.Ping(id="p"), Pong)
            ended = asyncio.create_task(ending.__aexit__(None, None, None))
            await eve.ask(c.Ping(id="q"), Pong)
            refused = await stranger.refused(c.Authenticate(id="a", token=server.mint("viewer", "ann")))
            assert refused.code == "retry"
        finally:
            os.kill(store.pid, signal.SIGCONT)
        await stranger.socket.wait_closed()
        assert stranger.socket.close_code == 1001, "which says: come back"
        assert await answers(eve, ["x"]), "what was owed has been said"
        await ended


async def test_a_flood_of_danmaku_ends_the_session(server: Running) -> None:
    """Each is answered ``limited``, which is an answer, but no reason to go on for ever."""
    async with Raw(server.url, server.mint("viewer", "ann")) as ann:
        await ann.join("r1")
        for n in range(400):
            await ann.say(c.SendDanmaku(id=f"d{n}", room="r1", text=f"刷{n}"))
        await asyncio.wait_for(ann.socket.wait_closed(), 10)
        assert ann.socket.close_code == 4009


async def test_half_an_emoji_in_a_name_harms_nobody(server: Running) -> None:
    """A name cut in the middle of a surrogate pair, as JavaScript cuts: no encoder takes it."""
    now_s = int(time.time())
    claims = {"iss": "liveserver", "aud": "liveserver", "sub": "zoe", "exp": now_s + 600}
    claims |= {"role": "viewer", "rooms": ["*"], "name": "小\ud83d"}
    async with (
        Raw(server.url, jwt.encode(claims, SECRET, algorithm="HS256")) as zoe,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await zoe.join("r1")
        await ann.join("r1")
        await zoe.ask(c.SendDanmaku(id="d", room="r1", text="来了"), Receipt)
        await ann.see_text("来了")
        await ann.ask(c.SendDanmaku(id="d", room="r1", text="你好"), Receipt)
        await zoe.see_text("你好")


async def test_a_session_that_has_gone_is_forgotten(server: Running) -> None:
    """Long before its token runs out."""
    token = server.mint("viewer", "ann", ttl_ms=8 * 3_600_000)
    for _ in range(5):
        async with Raw(server.url, token) as ann:
            await ann.join("r1")
    for _ in range(200):
        gc.collect()
        if not any(isinstance(one, Session) for one in gc.get_objects()):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("somebody remembers it")


# -- a crowd -------------------------------------------------------------------------------------------


async def test_a_crowd_that_joins_at_once_takes_nothing_from_buyers(server: Running) -> None:
    """What joins look up has fewer connections to the store than there are."""
    crowd = [Raw(server.url, server.mint("viewer", f"u{n}")) for n in range(150)]
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await eve.join("r1")
        await list_oil(eve, stock=1_000)
        await open_oil_sale(eve)
        await asyncio.gather(*(one.__aenter__() for one in crowd))
        line = [OrderLine(item_id="jar")]
        try:
            joined = asyncio.gather(*(one.join("r1") for one in crowd))
            bought = [
                await eve.ask(c.Purchase(id=f"p{n}", room="r1", sale_id="s1", lines=line), PurchaseOutcome)
                for n in range(5)
            ]
            assert all(one.me.known for one in await joined), "everybody is told what is his"
            assert {one.outcome for one in bought} == {"reserved"}
        finally:
            await asyncio.gather(*(one.__aexit__(None, None, None) for one in crowd))


# -- rooms that come and go ----------------------------------------------------------------------------


async def test_likes_go_on_counting_in_a_room_that_was_let_go(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start_server_of_short_memory(start_server, monkeypatch)
    likes = 0
    for taps in (7, 3):
        async with Raw(server.url, server.mint("viewer", "ann")) as ann:
            await ann.join("r1")
            await ann.ask(c.Like(id=ann.new_id(), room="r1", count=taps), Done)
            likes += taps
            await ann.until(
                lambda m, all_=likes: (  # type: ignore[misc]
                    isinstance(m, Frame) and m.state is not None and m.state.likes == all_
                )
            )
        await until_let_go(server)


async def test_a_room_is_not_let_go_under_who_comes_in(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start_server_of_short_memory(start_server, monkeypatch)
    look_up = hub_rooms.Rooms._looked_up

    async def slow(self: hub_rooms.Rooms, session: Session, live: LiveRoom) -> Me:
        await asyncio.sleep(0.5)  # many beats
        return await look_up(self, session, live)

    monkeypatch.setattr(hub_rooms.Rooms, "_looked_up", slow)
    async with Raw(server.url, server.mint("viewer", "ann")) as ann:
        await ann.join("r1")
        receipt = await ann.ask(c.SendDanmaku(id="d", room="r1", text="在吗"), Receipt)
        assert receipt.fate == "shown"
        await ann.see_text("在吗")


async def start_server_of_short_memory(start: StartServer, monkeypatch: pytest.MonkeyPatch) -> Running:
    """It lets go of a room soon after nobody is in it any more."""
    monkeypatch.setattr(hub_rooms, "EMPTY_BEATS_MAX", 2)
    monkeypatch.setattr(hub_beats, "BEAT_MS", 50)
    return await start()


async def until_let_go(server: Running) -> None:
    for _ in range(200):
        if not (await asyncio.to_thread(scrape, server.http_url))["liveserver_rooms"]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the room is still held")


# -- sales ---------------------------------------------------------------------------------------------


async def test_a_sale_is_not_taken_over_by_opening_it_in_another_room(server: Running) -> None:
    """All it takes to describe it is on every viewer's screen."""
    async with (
        Raw(server.url, server.mint("streamer", "eve", ["r1"])) as eve,
        Raw(server.url, server.mint("streamer", "mallory", ["r2"])) as mallory,
    ):
        await eve.join("r1")
        await mallory.join("r2")
        await list_oil(eve)
        await open_oil_sale(eve)
        await list_oil(mallory, room="r2")
        for _ in range(2):  # and not by trying again either
            again = c.OpenSale(id=mallory.new_id(), room="r2", sale_id="s1", listing_id="oil", hold_ms=60_000)
            refused = await mallory.refused(again)
            assert (refused.code, refused.field) == ("sale_conflict", "saleId")
        refused = await mallory.refused(c.CloseSale(id="x", room="r2", sale_id="s1"))
        assert refused.code == "unknown_sale"


async def test_a_sale_opened_but_not_told_is_healed_by_the_same_command(
    server: Running, valkey: Redis
) -> None:
    """As after a crash between the two: the ledger has it, the room was only warned of it."""
    async with Raw(server.url, server.mint("streamer", "eve", ["r1"])) as eve:
        await eve.join("r1")
        await list_oil(eve)
        command = c.OpenSale(id="o", room="r1", sale_id="s1", listing_id="oil")
        async with no_log(valkey, "r1"):
            assert (await eve.refused(command)).code == "pending"
        await eve.ask(command, Done)
        await eve.see_event(SaleOpened)


async def test_a_closing_that_could_not_be_told_is_told_later(server: Running, valkey: Redis) -> None:
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await eve.join("r1")
        await list_oil(eve)
        await open_oil_sale(eve)
        async with no_log(valkey, "r1"):
            await eve.ask(c.CloseSale(id="x", room="r1", sale_id="s1"), Done)
            await asyncio.sleep(0.2)
        await eve.see_event(SaleClosed)


@asynccontextmanager
async def no_log(valkey: Redis, room: str) -> AsyncIterator[None]:
    """Nothing can be appended to this room."""
    await valkey.rename(keys.log(room), "{" + room + "}aside")
    await valkey.set(keys.log(room), "no stream")
    yield
    await valkey.rename("{" + room + "}aside", keys.log(room))


async def test_a_cursor_of_orders_no_feed_could_have(server: Running) -> None:
    asked = urllib.request.Request(
        f"{server.http_url}/v1/sales/s1/orders?after={'9' * 30}-1",
        headers={"Authorization": f"Bearer {server.mint('service', 'orders')}"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        await asyncio.to_thread(urllib.request.urlopen, asked)
    with refused.value as answer:
        problem = json.load(answer)
    assert (problem["code"], problem["field"]) == ("invalid_field", "after")
