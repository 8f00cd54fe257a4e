"""Two processes' worth of server on one store: one room, one stock, one log."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from liveserver.app import Running
from protocol import commands as c
from protocol.events import ListingPublished, SaleOpened, SaleSoldOut, UserMuted
from protocol.frames import Frame
from protocol.replies import Done, PurchaseOutcome, Receipt
from protocol.types import Fate, OrderLine
from tests.clock import ManualClock

from .conftest import StartServer
from .raw import Raw
from .shop import draft, list_oil, open_oil_sale

SECONDS_MAX = 200  # of a clock of ours


async def two(start_server: StartServer) -> tuple[Running, Running]:
    return await start_server(), await start_server()


async def test_a_danmaku_sent_to_one_is_seen_on_the_other(start_server: StartServer) -> None:
    one, other = await two(start_server)
    async with (
        Raw(one.url, one.mint("viewer", "ann")) as ann,
        Raw(other.url, one.mint("viewer", "bob")) as bob,
    ):
        await ann.join("r1")
        await bob.join("r1")
        receipt = await ann.ask(c.SendDanmaku(id="d1", room="r1", text="你们好"), Receipt)
        await bob.see_text("你们好")
        merged = await bob.ask(c.SendDanmaku(id="d1", room="r1", text="你们好"), Receipt)
        assert (merged.fate, merged.danmaku_id) == (Fate.MERGED, receipt.danmaku_id)
        await ann.until(
            lambda m: (
                isinstance(m, Frame)
                and m.danmaku is not None
                and [(r.danmaku_id, r.count) for r in m.danmaku.repeats] == [(receipt.danmaku_id, 2)]
            )
        )
        assert ann.texts() == bob.texts() == ["你们好"], "shown once on each, its echo is skipped"


@pytest.mark.parametrize("muted", [False, True])
async def test_what_was_taken_away_is_told_to_nobody_who_comes(
    start_server: StartServer, muted: bool
) -> None:
    """It was said and taken away while one process alone held the room; the next one comes a moment later."""
    one, other = await two(start_server)
    async with (
        Raw(one.url, one.mint("viewer", "ann")) as ann,
        Raw(one.url, one.mint("viewer", "cem")) as cem,
        Raw(one.url, one.mint("streamer", "eve")) as eve,
        Raw(other.url, other.mint("viewer", "bob")) as bob,
    ):
        for who in (ann, cem, eve):
            await who.join("r1")
        await eve.until(is_counted)  # by a beat: from then on the process knows that it is alone
        bad = await ann.ask(c.SendDanmaku(id="d1", room="r1", text="坏话"), Receipt)
        await cem.ask(c.SendDanmaku(id="d2", room="r1", text="你们好"), Receipt)
        if muted:
            await eve.ask(c.Mute(id="m1", room="r1", user_id="ann"), Done)
        else:
            await eve.ask(c.DeleteDanmaku(id="m1", room="r1", danmaku_id=bad.danmaku_id), Done)
        await bob.join("r1")
        await cem.ask(c.SendDanmaku(id="d3", room="r1", text="再见"), Receipt)
        await bob.see_text("再见")
        recent = [line.text for frame in bob.frames() if frame.snapshot for line in frame.snapshot.recent]
        assert "坏话" not in recent + bob.texts()
        assert "你们好" in recent + bob.texts()


def is_counted(message: object) -> bool:
    return isinstance(message, Frame) and message.state is not None and message.state.viewers == 3


async def test_a_session_moves_from_one_to_the_other_without_a_gap(start_server: StartServer) -> None:
    one, other = await two(start_server)
    async with Raw(one.url, one.mint("streamer", "eve")) as eve:
        await eve.join("r1")
        async with Raw(one.url, one.mint("viewer", "ann")) as ann:
            joined = await ann.join("r1")
            await list_oil(eve)
            await ann.see_event(ListingPublished)
        await list_oil(eve, listing_id="soy")
        await list_oil(eve, listing_id="tea")
        async with Raw(other.url, one.mint("viewer", "ann")) as ann:
            resumed = await ann.join("r1", joined.epoch, 1)
            assert (resumed.mode, resumed.replayed) == ("replayed", 2)
            await list_oil(eve, listing_id="jam")
            await ann.until(lambda m: isinstance(m, Frame) and any(e.offset == 4 for e in m.critical))
            assert [envelope.offset for envelope in ann.events()] == [2, 3, 4]


async def test_both_may_write_at_once_and_the_log_stays_gapless(start_server: StartServer) -> None:
    one, other = await two(start_server)
    each = 15
    async with (
        Raw(one.url, one.mint("streamer", "eve")) as eve,
        Raw(other.url, one.mint("streamer", "bea")) as bea,
        Raw(other.url, one.mint("viewer", "ann")) as ann,
    ):
        for who in (eve, bea, ann):
            await who.join("r1")

        async def publish(who: Raw, name: str) -> list[int]:
            dones = [
                await who.ask(c.PublishListing(id=f"{name}{n}", room="r1", listing=draft(f"{name}{n}")), Done)
                for n in range(each)
            ]
            return [done.offset for done in dones]

        by_eve, by_bea = await asyncio.gather(publish(eve, "e"), publish(bea, "b"))
        assert sorted(by_eve + by_bea) == list(range(1, 2 * each + 1))
        for who in (eve, bea, ann):
            await who.until(lambda m: isinstance(m, Frame) and any(e.offset == 2 * each for e in m.critical))
            assert [envelope.offset for envelope in who.events()] == list(range(1, 2 * each + 1))
        numbers = [e.event.listing.number for e in ann.events() if isinstance(e.event, ListingPublished)]
        assert sorted(numbers) == list(range(1, 2 * each + 1)), "a number is given once"


async def test_one_stock_for_both(start_server: StartServer) -> None:
    one, other = await two(start_server)
    async with (
        Raw(one.url, one.mint("streamer", "eve")) as eve,
        Raw(other.url, one.mint("viewer", "ann")) as ann,
        Raw(one.url, one.mint("viewer", "bob")) as bob,
    ):
        for who in (eve, ann, bob):
            await who.join("r1")
        await list_oil(eve, stock=4)
        await open_oil_sale(eve)
        await ann.see_event(SaleOpened)
        await bob.see_event(SaleOpened)
        line = [OrderLine(item_id="jar", quantity=1)]

        async def buy(who: Raw, n: int) -> str:
            command = c.Purchase(id=f"p{n}", room="r1", sale_id="s1", lines=line)
            return (await who.ask(command, PurchaseOutcome)).outcome

        told = await asyncio.gather(*(buy(who, n) for who in (ann, bob) for n in range(4)))
        assert sorted(told) == ["reserved"] * 4 + ["sold_out"] * 4
        for who in (eve, ann, bob):
            await who.see_event(SaleSoldOut)
            await who.see_available("s1", {"jar": 0})
        assert [type(e.event) for e in ann.events()].count(SaleSoldOut) == 1, (
            "whoever is first, it is told once"
        )


async def test_a_mute_and_its_notice_cross_over(start_server: StartServer) -> None:
    one, other = await two(start_server)
    async with (
        Raw(one.url, one.mint("moderator", "max")) as moderator,
        Raw(other.url, one.mint("viewer", "ann")) as ann,
    ):
        await moderator.join("r1")
        await ann.join("r1")
        await moderator.ask(c.Mute(id="m", room="r1", user_id="ann", seconds=60), Done)
        await ann.see_event(UserMuted)
        await ann.until(lambda m: getattr(m, "kind", "") == "muted")
        receipt = await ann.ask(c.SendDanmaku(id="d", room="r1", text="喂"), Receipt)
        assert receipt.reason == "muted"


async def test_viewers_and_likes_are_counted_over_both(start_server: StartServer) -> None:
    one, other = await two(start_server)
    async with (
        Raw(one.url, one.mint("viewer", "ann")) as ann,
        Raw(other.url, one.mint("viewer", "bob")) as bob,
    ):
        await ann.join("r1")
        await bob.join("r1")
        await bob.ask(c.Like(id="l", room="r1", count=7), Done)
        for who in (ann, bob):
            await who.until(lambda m: isinstance(m, Frame) and m.state is not None and m.state.viewers == 2)
            await who.until(lambda m: isinstance(m, Frame) and m.state is not None and m.state.likes == 7)


async def test_one_budget_for_both_and_each_sender_is_told(start_server: StartServer) -> None:
    """Both are flooded; once their beats have told each other, they show together what the room may show."""
    clock = ManualClock(int(time.time() * 1000))
    settings: dict[str, Any] = {
        "clock": clock,
        "danmaku_budget_per_s": 6,
        "danmaku_per_s": 1_000,
        "danmaku_burst": 1_000,
    }
    one, other = await start_server(**settings), await start_server(**settings)
    async with (
        Raw(one.url, one.mint("viewer", "ann", ttl_ms=10**9)) as ann,
        Raw(other.url, other.mint("viewer", "bob", ttl_ms=10**9)) as bob,
    ):
        await ann.join("r1")
        await bob.join("r1")

        async def flood(who: Raw, second: int) -> int:
            """How many of twenty were shown."""
            said = [
                c.SendDanmaku(id=who.new_id(), room="r1", text=f"{id(who)} {second} {n} x") for n in range(20)
            ]
            receipts = await asyncio.gather(*(who.ask(one, Receipt) for one in said))
            assert {(r.fate, r.reason) for r in receipts} <= {(Fate.SHOWN, ""), (Fate.LIMITED, "budget")}
            return sum(receipt.fate is Fate.SHOWN for receipt in receipts)

        shown: list[tuple[int, int]] = []  # until it is so: beats reach the store and come back in real time
        while [sum(both) for both in shown[-3:]] != [6, 6, 6] and len(shown) < SECONDS_MAX:
            second = len(shown)
            shown.append(await asyncio.gather(flood(ann, second), flood(bob, second)))
            await clock.advance(1_000)
        assert [sum(both) for both in shown[-3:]] == [6, 6, 6], shown
        assert all(min(both) >= 2 for both in shown[-3:]), "both ask for as much"

        quiet = [0]
        while quiet[-1] != 5 and len(quiet) < SECONDS_MAX:
            quiet.append(await flood(ann, len(shown) + len(quiet)))
            await clock.advance(1_000)
        assert quiet[-1] == 5, "what bob doesn't want is ann's, but for his word"
