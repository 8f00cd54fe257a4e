"""``liveserver watch``: what it shows, as values; and the command itself on a pipe and on a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import signal
import sys
from io import StringIO

import pytest
from msgspec.structs import replace
from rich.console import Console

from liveserver.app import Running
from liveserver.cli.cart_table import countdown, rows, sale_words
from liveserver.cli.watch_view import Comments, lines, picture
from protocol import events
from protocol.client.aio import connect
from protocol.client.happenings import DanmakuShown, Happened, Missed, Snapshotted
from protocol.events import Envelope
from protocol.frames import Snapshot
from protocol.types import Danmaku, Gift, ItemDraft, ListingDraft, Repeat

from .conftest import ROOM
from .rooms import SAUCE, SWEATER, T, room, sale

# -- values --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left_ms", "text"),
    [
        (0, "0:00"),
        (-5, "0:00"),
        (1, "0:01"),
        (61_000, "1:01"),
        (3_599_001, "1:00:00"),
        (36_061_000, "10:01:01"),
    ],
)
def test_countdown(left_ms: float, text: str) -> None:
    assert countdown(left_ms) == text


def test_a_sale_in_words() -> None:
    assert sale_words(None, T) == ""
    assert sale_words(sale("s", SAUCE, opens_at_ms=T + 5_000), T) == "opens in 0:05"
    assert sale_words(sale("s", SAUCE), T) == "open 10:00"
    assert sale_words(sale("s", SAUCE, left=0), T) == "sold out"
    assert sale_words(replace(sale("s", SAUCE, left=0), waitlist=20), T) == "sold out, line of 20"
    assert sale_words(sale("s", SAUCE, status="frozen"), T) == "frozen"
    assert sale_words(sale("s", SAUCE), T + 600_000) == "closed"  # by its own clock


def test_the_cart_in_rows() -> None:
    shown = rows(room(sale("s", SWEATER, left=4), explaining="sweater"), T)
    assert [(each.number, each.variant, each.price, each.stock, each.explained) for each in shown] == [
        (3, "red,M", "99.00", "4", True),
        (3, "藏青 M", "109.50", "4", True),
        (1, "", "9.90", "(8)", False),
    ]


def shown(
    *danmaku: Danmaku, repeats: list[Repeat] | None = None, gifts: list[Gift] | None = None
) -> DanmakuShown:
    return DanmakuShown(room="r1", danmaku=list(danmaku), repeats=repeats or [], gifts=gifts or [])


def happened(event: events.Event) -> Happened:
    return Happened(room="r1", epoch=1, envelope=Envelope(offset=8, at_ms=T, event=event))


def test_comments_are_counted_deleted_and_muted() -> None:
    comments = Comments()
    comments.take(shown(Danmaku("d1", "u1", "小雨", "多少钱"), Danmaku("d2", "u2", "阿强", "888")))
    comments.take(shown(repeats=[Repeat("d1", 3)], gifts=[Gift("u3", "Lucy", "小心心", 2)]))
    assert [str(each) for each in comments.last(9)] == [
        "小雨: 多少钱  ×3",
        "阿强: 888",
        "Lucy: sent 小心心 ×2",
    ]
    comments.take(happened(events.DanmakuDeleted(danmaku_id="d1")))
    comments.take(happened(events.UserMuted(user_id="u2", until_ms=T)))
    assert [str(each) for each in comments.last(9)] == ["Lucy: sent 小心心 ×2"]
    recent = [Danmaku(f"r{number}", "u9", "", str(number)) for number in range(300)]
    comments.take(Snapshotted(room="r1", epoch=1, snapshot=Snapshot(offset=1, recent=recent)))
    assert len(comments.last(1_000)) == 200
    assert comments.last(0) == []


def test_nobody_drives_somebody_elses_terminal() -> None:
    evil = Danmaku("d1", "u1", "a\x1b[31mb", "x\x1b]0;title\x07\r\n[bold]y[/bold]")
    comments = Comments()
    comments.take(shown(evil))
    console = Console(file=StringIO(), force_terminal=True, width=100)
    drawn = picture(room(), comments, connection="connected", server_ms=T, width=100, height=20)
    console.print(drawn, height=20)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert "\x1b]0;" not in text and "\x07" not in text
    assert "[bold]y[/bold]" in text
    assert lines(shown(evil), room()) == ["danmaku d1 a [31mb: x ]0;title   [bold]y[/bold]"]


@pytest.mark.parametrize("width", [60, 140])
def test_the_picture_holds_it_all(width: int) -> None:
    comments = Comments()
    comments.take(shown(Danmaku("d1", "u1", "小雨", "链接")))
    drawn = picture(
        room(sale("s", SWEATER, left=42), explaining="sweater"),
        comments,
        connection="connected",
        server_ms=T,
        width=width,
        height=30,
    )
    console = Console(file=StringIO(), width=width, height=30)
    console.print(drawn)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    for part in ("r1", "connected", "小雨: 链接", "羊绒毛衣", "¥99.00", "42", "open 10:00", "讲解"):
        assert part in text, part


def test_a_narrow_terminal_shows_every_variant() -> None:
    drawn = picture(room(), Comments(), connection="connected", server_ms=T, width=80, height=24)
    console = Console(file=StringIO(), width=80, height=24)
    console.print(drawn)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    for each in (*SWEATER.items, *SAUCE.items):
        assert f"¥{each.price_fen / 100:.2f}" in text and each.variant in text


def test_lines_say_each_event() -> None:
    mirror = room(sale("s1", SWEATER))
    assert lines(happened(events.ExplainingStarted(listing_id="sweater")), mirror) == [
        "explaining 3 羊绒毛衣 (red,M ¥99.00, 藏青 M ¥109.50)"
    ]
    assert lines(happened(events.SaleOpened(sale=sale("s1", SAUCE))), mirror) == [
        "sale opened s1 open sauce.1=5 at 1-1"
    ]
    lined = replace(sale("s1", SAUCE), waitlist=20)
    assert lines(happened(events.SaleOpened(sale=lined)), mirror) == [
        "sale opened s1 open sauce.1=5 at 1-1, line of 20"
    ]
    assert lines(happened(events.CartOrdered(listing_ids=[])), mirror) == ["cart order 3 1"]
    assert lines(Missed(room="r1", frames=4), mirror) == ["missed 4 frames"]


# -- the command ---------------------------------------------------------------------------------------

WATCH = "import typer; from liveserver.cli.watch import watch; typer.run(watch)"
SAUCE_DRAFT = ListingDraft(
    listing_id="sauce", title="香辣酱", items=[ItemDraft(item_id="sauce.1", price_fen=990, stock=8)]
)


def arguments(server: Running) -> list[str]:
    return [sys.executable, "-c", WATCH, ROOM, "--url", server.http_url]


def environ(server: Running) -> dict[str, str]:
    token = server.mint("viewer", "u9", [ROOM])
    return {
        **os.environ,
        "LIVESERVER_TOKEN": token,
        "TERM": "xterm-256color",
        "COLUMNS": "120",
        "LINES": "30",
    }


async def test_on_a_pipe_it_writes_lines_until_ctrl_c(server: Running) -> None:
    async with connect(server.url, server.mint("streamer", "anna", [ROOM])) as live:
        streamer = await live.join(ROOM)
        await streamer.publish_listing(SAUCE_DRAFT)
        watching = await asyncio.create_subprocess_exec(
            *arguments(server),
            env=environ(server),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(20):
                await _read_until(watching, "joined r1 at")
                await streamer.danmaku("家人们好")
                await streamer.start_explaining("sauce")
                await _read_until(watching, "explaining 1 香辣酱 (¥9.90)")
                watching.send_signal(signal.SIGINT)
                assert await watching.wait() == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                watching.kill()
        assert watching.stderr is not None
        assert await watching.stderr.read() == b""


async def test_on_a_terminal_it_draws_and_ctrl_c_gives_the_screen_back(server: Running) -> None:
    async with connect(server.url, server.mint("streamer", "anna", [ROOM])) as live:
        streamer = await live.join(ROOM)
        await streamer.publish_listing(SAUCE_DRAFT)
        ours, theirs = pty.openpty()
        watching = await asyncio.create_subprocess_exec(
            *arguments(server), env=environ(server), stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        try:
            async with asyncio.timeout(20):
                drawn = await asyncio.to_thread(_read_terminal, ours, "香辣酱")
                assert "小黄车" in drawn and "\x1b[?1049h" in drawn  # the other screen
                watching.send_signal(signal.SIGINT)
                rest = await asyncio.to_thread(_read_terminal, ours, "\x1b[?1049l")
                assert "Traceback" not in rest
                assert await watching.wait() == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                watching.kill()
            os.close(ours)


async def test_a_room_that_is_not_ours(server: Running) -> None:
    token = server.mint("viewer", "u9", ["another"])
    watching = await asyncio.create_subprocess_exec(
        *arguments(server),
        env={**environ(server), "LIVESERVER_TOKEN": token},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        _, complaint = await watching.communicate()
    assert watching.returncode == 1
    assert re.match(r"room r1 refused: forbidden", complaint.decode())


async def _read_until(watching: asyncio.subprocess.Process, wanted: str) -> None:
    assert watching.stdout is not None
    while wanted not in (line := (await watching.stdout.readline()).decode()):
        assert line, f"ended before {wanted!r}"


def _read_terminal(descriptor: int, wanted: str) -> str:
    read = ""
    for _ in range(10_000):
        try:
            part = os.read(descriptor, 65_536)
        except OSError:  # the other end is closed: Linux says EIO
            break
        read += part.decode(errors="replace")
        if wanted in read or not part:
            break
    assert wanted in read
    return read
