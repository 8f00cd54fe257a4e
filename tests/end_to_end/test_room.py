"""A room through real sockets: the two walks, moderation, roles, resume."""

from __future__ import annotations

import asyncio

import pytest

from liveserver.app import Running
from protocol import commands as c
from protocol.events import (
    DanmakuDeleted,
    ExplainingStarted,
    ListingPublished,
    SaleClosed,
    SaleOpened,
    SaleSoldOut,
    UserMuted,
)
from protocol.frames import Frame
from protocol.replies import (
    Done,
    ErrorReply,
    Joined,
    Left,
    Pong,
    PurchaseOutcome,
    Receipt,
    ReservationChanged,
    Welcome,
)
from protocol.types import Fate, OrderLine

from .conftest import StartServer
from .raw import Raw
from .shop import list_oil, open_oil_sale

JSON, MSGPACK = "live.v1.json", "live.v1.msgpack"


def buy(who: Raw, quantity: int = 1, sale_id: str = "s1", command_id: str = "") -> c.Purchase:
    return c.Purchase(
        id=command_id or who.new_id(),
        room="r1",
        sale_id=sale_id,
        lines=[OrderLine(item_id="jar", quantity=quantity)],
    )


@pytest.mark.parametrize("subprotocol", [JSON, MSGPACK])
@pytest.mark.parametrize("deflate", [False, True])
async def test_a_danmaku_reaches_everybody_and_its_sender_learns_its_fate(
    server: Running, subprotocol: str, deflate: bool
) -> None:
    async with (
        Raw(server.url, server.mint("viewer", "ann"), subprotocol, deflate) as ann,
        Raw(server.url, server.mint("viewer", "bob")) as bob,
    ):
        await ann.join("r1")
        await bob.join("r1")
        receipt = await ann.ask(c.SendDanmaku(id="d1", room="r1", text="多少钱"), Receipt)
        await bob.see_text("多少钱")
        await ann.see_text("多少钱")
        assert receipt.fate is Fate.SHOWN
        shown = [d for f in bob.frames() if f.danmaku for d in f.danmaku.danmaku]
        assert [(d.user_id, d.danmaku_id) for d in shown] == [("ann", receipt.danmaku_id)]

        again = await bob.ask(c.SendDanmaku(id="d2", room="r1", text="多少钱！"), Receipt)
        assert (again.fate, again.danmaku_id) == (Fate.MERGED, receipt.danmaku_id)
        await ann.until(
            lambda m: (
                isinstance(m, Frame)
                and m.danmaku is not None
                and [(r.danmaku_id, r.count) for r in m.danmaku.repeats] == [(receipt.danmaku_id, 2)]
            )
        )
        for frame in bob.frames():
            if block := frame.danmaku:
                assert block.offered == len(block.danmaku) + len(block.gifts) + block.merged + block.shed


async def test_a_purchase_from_listing_to_sold_out_and_back(server: Running) -> None:
    async with (
        Raw(server.url, server.mint("streamer", "eve", ["r1"])) as eve,
        Raw(server.url, server.mint("viewer", "ann"), MSGPACK) as ann,
        Raw(server.url, server.mint("service", "orders")) as orders,
    ):
        await eve.join("r1")
        await ann.join("r1")
        await list_oil(eve, stock=3)
        await ann.see_event(ListingPublished)
        opened = await open_oil_sale(eve, limit=2, hold_ms=1_000)
        assert opened.offset == 2
        await ann.see_event(SaleOpened)

        first = await ann.ask(buy(ann, 2, command_id="p1"), PurchaseOutcome)
        assert (first.outcome, first.replayed, first.durability) == ("reserved", False, "memory")
        assert first.reservation is not None
        await eve.see_available("s1", {"jar": 1})

        replay = await ann.ask(buy(ann, 2, command_id="p1"), PurchaseOutcome)
        assert (replay.outcome, replay.replayed, replay.reservation) == ("reserved", True, first.reservation)
        conflict = await ann.ask(buy(ann, 1, command_id="p1"), PurchaseOutcome)
        assert conflict.outcome == "conflict"
        assert (await ann.ask(buy(ann), PurchaseOutcome)).outcome == "limit_reached"

        confirm = c.Confirm(id="k1", reservation_id=first.reservation.reservation_id)
        confirmed = await orders.ask(confirm, ReservationChanged)
        assert (confirmed.reservation.state, confirmed.changed) == ("confirmed", True)
        assert (await orders.ask(confirm, ReservationChanged)).changed is False
        await ann.until(lambda m: getattr(m, "kind", "") == "reservationConfirmed")

        taken = await eve.ask(buy(eve), PurchaseOutcome)
        assert taken.outcome == "reserved" and taken.reservation is not None
        await ann.see_event(SaleSoldOut)
        assert (await eve.ask(buy(eve), PurchaseOutcome)).outcome == "sold_out"
        released = await eve.ask(
            c.Release(id="x1", reservation_id=taken.reservation.reservation_id), ReservationChanged
        )
        assert released.reservation.state == "released"

        await eve.ask(
            c.AdjustStock(id="a1", room="r1", sale_id="s1", item_id="jar", delta=4, reason="更多"), Done
        )
        await ann.see_available("s1", {"jar": 5})
        await eve.ask(c.CloseSale(id="z1", room="r1", sale_id="s1"), Done)
        await ann.see_event(SaleClosed)
        assert (await ann.ask(buy(ann, sale_id="s1"), PurchaseOutcome)).outcome in ("closed", "limit_reached")


async def test_a_hold_nobody_pays_expires_and_its_owner_is_told(server: Running) -> None:
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await eve.join("r1")
        await ann.join("r1")
        await list_oil(eve, stock=1)
        await open_oil_sale(eve, hold_ms=1_000)
        outcome = await ann.ask(buy(ann), PurchaseOutcome)
        assert outcome.reservation is not None
        await ann.until(lambda m: getattr(m, "kind", "") == "reservationExpired")
        await eve.see_available("s1", {"jar": 1})
        assert (await eve.ask(buy(eve), PurchaseOutcome)).outcome == "reserved"


async def test_a_thousand_at_once_one_piece_one_winner(server: Running) -> None:
    """The jade case: stock 1."""
    buyers = 200
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await eve.join("r1")
        await list_oil(eve, stock=1)
        await open_oil_sale(eve)
        crowd = [Raw(server.url, server.mint("viewer", f"u{i}"), MSGPACK) for i in range(buyers)]
        async with asyncio.TaskGroup() as group:
            for one in crowd:
                group.create_task(one.__aenter__())
        try:
            await asyncio.gather(*(one.join("r1") for one in crowd))
            answers = await asyncio.gather(
                *(one.ask(buy(one, command_id="x"), PurchaseOutcome) for one in crowd)
            )
        finally:
            await asyncio.gather(*(one.__aexit__(None, None, None) for one in crowd))
    told = sorted(answer.outcome for answer in answers)
    assert told == ["reserved", *["sold_out"] * (buyers - 1)]


async def test_critical_events_are_replayed_on_resume_without_a_gap(server: Running) -> None:
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await eve.join("r1")
        async with Raw(server.url, server.mint("viewer", "ann")) as ann:
            joined = await ann.join("r1")
            assert joined.mode == "snapshot"
            await list_oil(eve)
            await ann.see_event(ListingPublished)
        await eve.ask(c.StartExplaining(id="e1", room="r1", listing_id="oil"), Done)
        await list_oil(eve, listing_id="soy")
        async with Raw(server.url, server.mint("viewer", "ann")) as ann:
            joined = await ann.join("r1", joined.epoch, 1)
            assert (joined.mode, joined.replayed, joined.offset) == ("replayed", 2, 3)
            await ann.until(lambda m: isinstance(m, Frame) and bool(m.critical))
            assert [e.offset for e in ann.events()] == [2, 3]
        async with Raw(server.url, server.mint("viewer", "ann")) as ann:
            joined = await ann.join("r1", joined.epoch, 99)
            assert joined.mode == "snapshot", "an offset that never was is answered with the whole room"
            found = await ann.until(lambda m: isinstance(m, Frame) and m.snapshot is not None)
            assert isinstance(found, Frame) and found.snapshot is not None
            assert [listing.listing_id for listing in found.snapshot.listings] == ["oil", "soy"]
            assert found.snapshot.explaining == "oil"


async def test_who_joins_after_a_change_is_told_the_changed_stock_first(server: Running) -> None:
    """Not what the last tick showed: he may have made the change himself a moment ago."""
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await eve.join("r1")
        await list_oil(eve, stock=3)
        await open_oil_sale(eve)
        for more in range(1, 6):
            adjust = c.AdjustStock(id=eve.new_id(), room="r1", sale_id="s1", item_id="jar", delta=1)
            await eve.ask(adjust, Done)
            async with Raw(server.url, server.mint("viewer", f"u{more}")) as new:
                await new.join("r1")
                first = await new.until(lambda m: isinstance(m, Frame) and m.state is not None)
                assert isinstance(first, Frame) and first.state is not None
                assert [stock.available for stock in first.state.stock] == [{"jar": 3 + more}]


async def test_what_is_said_behind_a_join_waits_for_it(server: Running) -> None:
    """A client that comes back says everything in one breath."""
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await eve.join("r1")
        await list_oil(eve, stock=3)
        await open_oil_sale(eve)
        joins = [c.Join(id="j1", room="r1"), c.Join(id="j2", room="r1")]
        await ann.say(joins[0])
        await ann.say(c.SendDanmaku(id="d", room="r1", text="来了"))
        await ann.say(joins[1])
        await ann.say(buy(ann, command_id="p"))
        await ann.say(c.Join(id="j3", room="elsewhere"))
        await ann.say(c.Leave(id="l", room="elsewhere"))
        await ann.say(c.SendDanmaku(id="e", room="elsewhere", text="?"))
        replies = {}
        for command_id in ("j1", "d", "j2", "p", "j3", "l", "e"):
            replies[command_id] = await ann.until(lambda m, i=command_id: getattr(m, "id", "") == i)  # type: ignore[misc]
        assert [type(reply) for reply in replies.values()] == [
            Joined,
            Receipt,
            Joined,
            PurchaseOutcome,
            Joined,
            Left,
            ErrorReply,
        ]
        assert getattr(replies["p"], "outcome", "") == "reserved"
        assert getattr(replies["e"], "code", "") == "not_joined"


async def test_explaining_twice_is_once(server: Running) -> None:
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await eve.join("r1")
        await list_oil(eve)
        first = await eve.ask(c.StartExplaining(id="e1", room="r1", listing_id="oil"), Done)
        second = await eve.ask(c.StartExplaining(id="e2", room="r1", listing_id="oil"), Done)
        repeated = await eve.ask(c.StartExplaining(id="e1", room="r1", listing_id="oil"), Done)
        assert (first.offset, second.offset, repeated.offset) == (2, 2, 2)
        await eve.see_event(ExplainingStarted)
        await eve.ask(c.Ping(id="p"), Pong)
        assert [type(e.event) for e in eve.events()].count(ExplainingStarted) == 1


async def test_a_critical_command_repeated_after_it_was_undone_tells_what_it_did(server: Running) -> None:
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await eve.join("r1")
        await list_oil(eve)
        withdrawn = await eve.ask(c.WithdrawListing(id="w1", room="r1", listing_id="oil"), Done)
        again = await eve.ask(c.WithdrawListing(id="w1", room="r1", listing_id="oil"), Done)
        assert (again.offset, again.duplicate) == (withdrawn.offset, True)
        other = await eve.refused(c.WithdrawListing(id="w2", room="r1", listing_id="oil"))
        assert (other.code, other.field) == ("unknown_listing", "listingId")


async def test_one_id_is_one_command(server: Running) -> None:
    """The same command again is told that it was done; another one under its id is a conflict, and is not."""
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await eve.join("r1")
        await list_oil(eve)
        await list_oil(eve, listing_id="soy")
        told = await eve.ask(c.StartExplaining(id="one", room="r1", listing_id="oil"), Done)
        again = await eve.ask(c.StartExplaining(id="one", room="r1", listing_id="oil"), Done)
        assert (again.offset, again.duplicate) == (told.offset, True)
        for other in (
            c.StopExplaining(id="one", room="r1"),
            c.StartExplaining(id="one", room="r1", listing_id="soy"),
            c.WithdrawListing(id="one", room="r1", listing_id="soy"),
            c.Mute(id="one", room="r1", user_id="ann"),
            c.PauseRoom(id="one", room="r1"),
            c.OpenSale(id="one", room="r1", sale_id="s1", listing_id="oil"),
        ):
            refused = await eve.refused(other)
            assert (refused.code, refused.field) == ("conflict", "id"), other
        later = await eve.ask(c.OrderCart(id="two", room="r1", listing_ids=["soy", "oil"]), Done)
        assert (later.offset, later.duplicate) == (told.offset + 1, False), "nothing was carried out between"
        assert (await eve.refused(c.CloseSale(id="three", room="r1", sale_id="s1"))).code == "unknown_sale"
        opened = await eve.ask(c.OpenSale(id="four", room="r1", sale_id="s1", listing_id="oil"), Done)
        again = await eve.ask(c.OpenSale(id="four", room="r1", sale_id="s1", listing_id="oil"), Done)
        assert (again.offset, again.duplicate) == (opened.offset, True)
        assert (await eve.refused(c.StopExplaining(id="four", room="r1"))).code == "conflict"


async def test_mute_and_delete_take_danmaku_away(server: Running) -> None:
    async with (
        Raw(server.url, server.mint("moderator", "max")) as max_,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await max_.join("r1")
        await ann.join("r1")
        bad = await ann.ask(c.SendDanmaku(id="d1", room="r1", text="加薇"), Receipt)
        await max_.see_text("加薇")
        await max_.ask(c.DeleteDanmaku(id="x1", room="r1", danmaku_id=bad.danmaku_id), Done)
        await ann.see_event(DanmakuDeleted)
        await max_.ask(c.Mute(id="m1", room="r1", user_id="ann", seconds=60), Done)
        await ann.see_event(UserMuted)
        await ann.until(lambda m: getattr(m, "kind", "") == "muted")
        receipt = await ann.ask(c.SendDanmaku(id="d2", room="r1", text="为什么"), Receipt)
        assert (receipt.fate, receipt.reason) == (Fate.LIMITED, "muted")
        async with Raw(server.url, server.mint("viewer", "new")) as new:
            await new.join("r1")
            found = await new.until(lambda m: isinstance(m, Frame) and m.snapshot is not None)
            assert isinstance(found, Frame) and found.snapshot is not None
            assert found.snapshot.recent == [], "what was deleted is not shown to newcomers"
        await max_.ask(c.Mute(id="m2", room="r1", user_id="ann", seconds=0), Done)
        receipt = await ann.ask(c.SendDanmaku(id="d3", room="r1", text="谢谢"), Receipt)
        assert receipt.fate is Fate.SHOWN


async def test_words_that_are_not_allowed(start_server: StartServer, tmp_path: object) -> None:
    from pathlib import Path

    words = Path(str(tmp_path)) / "words.txt"
    words.write_text("加薇\n\n", "utf-8")
    server = await start_server(block_words_file=words)
    async with Raw(server.url, server.mint("viewer", "ann")) as ann:
        await ann.join("r1")
        receipt = await ann.ask(c.SendDanmaku(id="d1", room="r1", text="来加薇吧"), Receipt)
        assert (receipt.fate, receipt.reason) == (Fate.BLOCKED, "words")


async def test_who_talks_too_fast_is_told(server: Running) -> None:
    async with Raw(server.url, server.mint("viewer", "ann")) as ann:
        await ann.join("r1")
        fates = []
        for number in range(5):
            receipt = await ann.ask(
                c.SendDanmaku(id=f"d{number}", room="r1", text=f"第{number}句话"), Receipt
            )
            fates.append((receipt.fate, receipt.reason))
        assert fates[:3] == [(Fate.SHOWN, "")] * 3
        assert fates[-1] == (Fate.LIMITED, "rate")


async def test_what_a_session_may_not(server: Running) -> None:
    async with (
        Raw(server.url, server.mint("viewer", "ann", ["r1"])) as ann,
        Raw(server.url, server.mint("streamer", "eve", ["r1"])) as eve,
    ):
        assert (await ann.refused(c.Join(id="j", room="r2"))).code == "forbidden"
        assert (await ann.refused(c.SendDanmaku(id="d", room="r1", text="x"))).code == "not_joined"
        await ann.join("r1")
        assert (await ann.refused(c.StartExplaining(id="e", room="r1", listing_id="oil"))).code == "forbidden"
        assert (await eve.refused(c.Confirm(id="k", reservation_id="s1~ann~0"))).code == "forbidden"
        assert (await ann.refused(buy(ann))).code == "unknown_sale"
        assert (
            await eve.refused(c.OpenSale(id="o", room="r1", sale_id="s", listing_id="no"))
        ).field == "listingId"


async def test_a_wrong_command_names_code_and_field_and_the_session_goes_on(server: Running) -> None:
    async with Raw(server.url, server.mint("viewer", "ann")) as ann:
        for payload, code, field in [
            (b'{"type":"fly","id":"1"}', "unknown_command", "type"),
            (b'{"type":"danmaku","id":"2","room":"r1"}', "missing_field", "text"),
            (b'{"type":"danmaku","id":"3","room":"r1","text":"x","colour":"red"}', "unknown_field", "colour"),
            (
                b'{"type":"purchase","id":"4","room":"r1","saleId":"s","lines":[{"itemId":"i","quantity":0}]}',
                "invalid_field",
                "lines[0].quantity",
            ),
        ]:
            before = len(ann.heard)
            await ann.say_bytes(payload)
            error = await ann.until(lambda m: hasattr(m, "code"), after=before)
            assert (getattr(error, "code", ""), getattr(error, "field", "")) == (code, field)
        await ann.ask(c.Ping(id="p"), Pong)


async def test_saying_who_one_is(server: Running) -> None:
    async with Raw(server.url, None) as nobody:
        assert (await nobody.refused(c.Ping(id="p"))).code == "not_authenticated"
        token = server.mint("viewer", "ann")
        welcome = await nobody.ask(c.Authenticate(id="a", token=token), Welcome)
        assert welcome.user_id == "ann"
        assert (await nobody.refused(c.Authenticate(id="b", token=token))).code == "already_authenticated"
    async with Raw(server.url, None) as nobody:
        assert (await nobody.refused(c.Authenticate(id="a", token="nonsense"))).code == "bad_token"
        await nobody.socket.wait_closed()
        assert nobody.socket.close_code == 4002


async def test_leaving_and_many_rooms(server: Running) -> None:
    async with Raw(server.url, server.mint("viewer", "ann")) as ann:
        for number in range(8):
            await ann.join(f"r{number}")
        assert (await ann.refused(c.Join(id="x", room="r9"))).code == "too_many_rooms"
        await ann.ask(c.Leave(id="l", room="r1"), Left)
        await ann.ask(c.Join(id="y", room="r9"), Joined)
        assert (await ann.refused(c.SendDanmaku(id="d", room="r1", text="x"))).code == "not_joined"


async def test_an_ended_room(server: Running) -> None:
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await eve.join("r1")
        await eve.ask(c.EndRoom(id="1", room="r1"), Done)
        assert (await eve.refused(c.SendDanmaku(id="2", room="r1", text="再见"))).code == "room_ended"
        assert (await eve.refused(c.StartRoom(id="3", room="r1"))).code == "room_ended"
