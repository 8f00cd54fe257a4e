"""``liveserver streamer`` against a real server: what is done, what is refused, and by which exit code."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from liveserver.app import Running
from liveserver.cli.speaking import no_session
from protocol.client.aio import ConnectionEnded, connect
from protocol.codec import JSON
from protocol.commands import Join
from protocol.frames import Frame, Snapshot
from protocol.replies import Joined, Me, Welcome
from protocol.types import OrderLine, Role

from .conftest import ROOM, Type


async def test_a_night_from_list_to_close(server: Running, type_streamer: Type) -> None:
    listed = await type_streamer(
        "list",
        "--title",
        "羊绒毛衣",
        "--item",
        "red,M:99.00:60",
        "--item",
        "藏青 M:109.5:30",
        "--id",
        "sweater",
    )
    assert (listed.exit_code, listed.stdout) == (
        0,
        "listed as number 1: 羊绒毛衣 (red,M ¥99.00 × 60, 藏青 M ¥109.50 × 30)\n",
    )
    assert (await type_streamer("list", "--title", "香辣酱", "--item", "9.90:8")).exit_code == 0
    assert "reads 2 1" in (await type_streamer("order", "2")).stdout
    assert (await type_streamer("update", "1", "--title", "羊绒毛衣 秋冬")).exit_code == 0
    assert (await type_streamer("explain", "1")).exit_code == 0
    assert (await type_streamer("sale", "open", "1", "--limit", "2", "--id", "s1")).exit_code == 0
    assert (await type_streamer("adjust", "1", "red,M", "-10", "--reason", "sold in the shop")).exit_code == 0
    assert (await type_streamer("adjust", "1", "red,M", "+1")).exit_code == 0

    shown = (await type_streamer("show")).stdout.splitlines()
    fields = [line.split("\t") for line in shown]
    assert fields[0][:5] == ["2", "香辣酱", "", "9.90", "(8)"]
    assert fields[1][:5] == ["1", "羊绒毛衣 秋冬", "red,M", "99.00", "51"]
    assert re.fullmatch(r"open 59:\d\d|open 1:00:00", fields[1][5]) and fields[1][6] == "explaining"

    assert (await type_streamer("stop")).exit_code == 0
    assert (await type_streamer("close", "1")).exit_code == 0
    assert (await type_streamer("withdraw", "1")).exit_code == 0
    for verb in ("pause", "start", "end"):
        assert (await type_streamer(verb)).exit_code == 0
    async with connect(server.url, server.mint("viewer", "u1", [ROOM])) as live:
        mirror = (await live.join(ROOM)).mirror
        assert [each.number for each in mirror.listings] == [2]
        assert mirror.explaining == "" and mirror.status == "ended"
        sold = mirror.sale("s1")
        assert sold is not None and sold.limit_per_user == 2 and sold.stock.status == "closed"


async def test_order_in_the_room(server: Running, type_streamer: Type) -> None:
    async with connect(server.url, server.mint("viewer", "u1", [ROOM])) as live:
        room = await live.join(ROOM)
        receipt = await room.danmaku("加薇信")
        assert (await type_streamer("delete", receipt.danmaku_id)).exit_code == 0
        assert (await type_streamer("mute", "u1", "--minutes", "5")).exit_code == 0
        assert (await room.danmaku("again")).reason == "muted"
        assert (await type_streamer("mute", "u1", "--minutes", "0")).exit_code == 0
        assert "u1" not in room.mirror.muted


async def test_orders_are_the_feeds(server: Running, type_streamer: Type) -> None:
    await type_streamer("list", "--title", "香辣酱", "--item", "两瓶:9.90:8")
    assert "no sale" in (await type_streamer("orders")).stdout
    await type_streamer("sale", "open", "1", "--id", "s1")
    async with (
        connect(server.url, server.mint("viewer", "u1", [ROOM])) as live,
        connect(server.url, server.mint("service", "till", ["*"])) as till,
    ):
        room = await live.join(ROOM)
        listing = room.mirror.listings[0]
        for quantity in (2, 1, 3):
            bought = await room.purchase(
                "s1", [OrderLine(item_id=listing.items[0].item_id, quantity=quantity)]
            )
            assert bought.reservation is not None
            if quantity == 2:
                await till.confirm(bought.reservation.reservation_id)
            elif quantity == 1:
                await live.release(bought.reservation.reservation_id)
    printed = await type_streamer("orders", "1")
    assert printed.exit_code == 0
    *rows, units = printed.stdout.splitlines()
    told = [re.sub(r"^\d\d:\d\d:\d\d  (\S+) +(\S+)  (.*)  \S+$", r"\1 \2 \3", row) for row in rows]
    assert told == [
        "held u1 1 两瓶 ×2",
        "confirmed u1 1 两瓶 ×2",
        "held u1 1 两瓶 ×1",
        "released u1 1 两瓶 ×1",
        "held u1 1 两瓶 ×3",
    ]
    assert units == "units: 2 confirmed, 3 held, 1 released"


async def test_the_same_command_id_is_done_once(server: Running, type_streamer: Type) -> None:
    words = ("list", "--title", "毛衣", "--item", "9.90:8", "--command-id", "once")
    first, second = await type_streamer(*words), await type_streamer(*words)
    assert first.stdout == "listed as number 1: 毛衣 (¥9.90 × 8)\n"
    assert second.exit_code == 0 and "it had been done before" in second.stdout
    assert len((await type_streamer("show")).stdout.splitlines()) == 1


async def test_a_sale_with_a_line(server: Running, type_streamer: Type) -> None:
    await type_streamer("list", "--title", "香辣酱", "--item", "两瓶:9.90:1")
    early = await type_streamer("sale", "open", "1", "--id", "s1", "--ships", "2020-01-31")
    assert early.exit_code == 1 and "invalid_field (--ships): a presale ships" in early.stderr
    await type_streamer("sale", "open", "1", "--id", "s1", "--waitlist", "1")
    async with connect(server.url, server.mint("viewer", "u1", [ROOM])) as live:
        room = await live.join(ROOM)
        lines = [OrderLine(item_id=room.mirror.listings[0].items[0].item_id)]
        assert room.mirror.sales[0].waitlist == 1
        outcomes = [(await room.purchase("s1", lines)).outcome for _ in range(3)]
    assert outcomes == ["reserved", "waiting", "sold_out"]
    assert "sold out, line of 1" in (await type_streamer("show")).stdout


async def test_refusals_name_the_remedy(server: Running, type_streamer: Type) -> None:
    await type_streamer("list", "--title", "毛衣", "--item", "9.90:8", "--id", "sweater")
    await type_streamer("sale", "open", "1")
    viewer = server.mint("viewer", "u1", [ROOM])
    for words, options, complaint in [
        (("explain", "7"), {}, "no listing '7' in the cart; there is 1 (毛衣)"),
        (("sale", "open", "1"), {}, "sale_running (LISTING)"),
        (("adjust", "1", "-9"), {}, "below_held"),
        (("close", "s9"), {}, "no listing 's9'"),
        (("explain", "1"), {"token": viewer}, "--role streamer"),
        (("explain", "1"), {"token": "not.a.token"}, "no session"),
        (("explain", "1", "--timeout", "300ms"), {"url": "ws://127.0.0.1:1"}, "Is it running"),
        (("list", "--title", "x" * 61, "--item", "1:1"), {}, "invalid_field (--title): "),
        (("update", "1", "--line", "x" * 200), {}, "invalid_field (--line): "),
        (("list", "--title", "x", "--item", "9.90:8", "--id", "sweater"), {}, "listing_exists (--id): "),
    ]:
        refused = await type_streamer(*words, **options)
        assert refused.exit_code == 1, (words, refused.output)
        assert complaint in refused.stderr and refused.stdout == "", (words, refused.stderr)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("list", "--title", "x", "--item", "red:9.999:1"), "--item"),
        (("list", "--title", "x"), "--item"),
        (("adjust", "1", "50"), "with its sign"),
        (("sale", "open", "1", "--in", "5"), "--in"),
        (("update", "1"), "nothing to change"),
        (("show", "--timeout", "soon"), "--timeout"),
        (("dance",), "dance"),
        (
            ("list", "--title", "x", "--item", "Red, M:9.9:1", "--item", "red,m:8.8:1"),
            "'red,m' is there twice",
        ),
        (("update", "1", "--item", "9.9:1", "--item", "8.8:1"), "--item"),
        (("list", "--title", "x", "--item", "9.9:1", "--id", "a b"), "'a b' is no id: write 1 to 64"),
        (("sale", "open", "1", "--id", "a~b"), "--id"),
        (("sale", "open", "1", "--limit", "1000"), "--limit"),
        (("sale", "open", "1", "--in", "300h"), "--in: '300h' is not from 0s to 1d"),
        (("sale", "open", "1", "--hold", "100ms"), "--hold: '100ms' is not from 1s to 1h"),
        (("sale", "open", "1", "--spread", "2m"), "--spread: '2m' is not from 0s to 1m"),
        (("stop", "--command-id", "a b"), "--command-id"),
        (("mute", "a b"), "USER"),
    ],
)
async def test_wrong_usage(type_streamer: Type, words: tuple[str, ...], complaint: str) -> None:
    refused = await type_streamer(*words)
    assert refused.exit_code == 2
    assert complaint in refused.stderr


async def test_a_token_that_is_not_taken_is_named_at_once(
    server: Running, type_streamer: Type, clock_of_the_past: str
) -> None:
    """Long before the timeout, with what is wrong with it and what to do."""
    for token, complaint, remedy in [
        ("not.a.token", "bad_token: ", "the server's own --data-dir"),
        (clock_of_the_past, "token_expired: ", "Mint a fresh one"),
    ]:
        refused = await type_streamer("show", "--timeout", "60s", token=token)
        assert refused.exit_code == 1 and refused.stdout == ""
        assert complaint in refused.stderr and remedy in refused.stderr, refused.stderr
        assert "Is it running" not in refused.stderr


@pytest.mark.parametrize(
    ("code", "says"), [(4003, "Mint a fresh one"), (4002, "--data-dir"), (4999, "close code 4999")]
)
def test_a_session_that_ended_says_why(code: int, says: str) -> None:
    assert says in no_session("ws://x", ConnectionEnded(code))


@pytest.fixture
def clock_of_the_past(server: Running) -> str:
    """A token of this server that was good a second ago."""
    return server.mint("streamer", "anna", [ROOM], ttl_ms=-60_000)


async def test_no_token_is_wrong_usage(type_streamer: Type) -> None:
    refused = await type_streamer("show", token="")
    assert refused.exit_code == 2 and "LIVESERVER_TOKEN" in refused.stderr


async def test_a_token_file_that_is_not_there_is_named(type_streamer: Type, tmp_path: Path) -> None:
    refused = await type_streamer("show", "--token-file", str(tmp_path / "gone"), token="")
    assert refused.exit_code == 2 and "--token-file" in refused.stderr
    assert "No such file" in refused.stderr and "Errno" not in refused.stderr


async def test_no_answer_is_unknown(type_streamer: Type) -> None:
    """A server that lets us in and then says nothing more: it may have been done, and we say so."""
    heard: list[str] = []
    async with _mute_server(heard) as url:
        unknown = await type_streamer("stop", "--timeout", "300ms", "--command-id", "mine", url=url)
    assert unknown.exit_code == 3
    assert "--command-id mine" in unknown.stderr and "safe" in unknown.stderr
    assert heard.count("stopExplaining") == 1


@asynccontextmanager
async def _mute_server(heard: list[str]) -> AsyncIterator[str]:
    async def speak(socket: ServerConnection) -> None:
        hello = Welcome(
            id="", t=1, user_id="a", role=Role.STREAMER, session_id="s", process="p", keepalive_ms=9_000,
            expires_at_ms=2,
        )  # fmt: skip
        await socket.send(JSON.encode(hello), text=True)
        async for payload in socket:
            assert isinstance(payload, str)
            command = JSON.decode_command(payload.encode())
            heard.append(str(command.__struct_config__.tag))
            if isinstance(command, Join):
                joined = Joined(
                    id=command.id, t=1, room=ROOM, epoch=1, offset=0, mode="snapshot", n=0, me=Me()
                )
                await socket.send(JSON.encode(joined), text=True)
                frame = Frame(room=ROOM, t=1, epoch=1, snapshot=Snapshot(offset=0))
                await socket.send(JSON.encode(frame), text=True)

    async with serve(speak, "127.0.0.1", 0, subprotocols=[Subprotocol(JSON.subprotocol)]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}"
        await asyncio.sleep(0)
