"""One example of every message and of its interesting variants: the reference prints them, the golden
vectors freeze their bytes, the tests walk them. A story told in one room, ``r1``."""

from __future__ import annotations

import msgspec

from . import commands, events, replies
from .codec import Downward
from .commands import Command
from .events import Envelope, Event
from .frames import DanmakuBlock, Frame, Snapshot, State
from .types import (
    Danmaku,
    Fate,
    Gift,
    HeldReservation,
    Item,
    ItemDraft,
    Listing,
    ListingDraft,
    OrderLine,
    Repeat,
    Role,
    RoomStatus,
    Sale,
    Stock,
)

T = 1_767_225_600_000  # the server's time in every example: 2026-01-01T00:00:00Z

_DRAFT = ListingDraft(
    listing_id="scarf",
    title="Silk scarf 真丝围巾",
    line="Hand-rolled hems, 90 × 90 cm",
    photo="https://img.example/scarf.jpg",
    items=[
        ItemDraft(item_id="red", variant="red, M", price_fen=990, stock=100),
        ItemDraft(item_id="blue", price_fen=1_090),
    ],
)
LISTING = Listing(
    listing_id="scarf",
    number=3,
    title="Silk scarf 真丝围巾",
    line="Hand-rolled hems, 90 × 90 cm",
    photo="https://img.example/scarf.jpg",
    items=[
        Item(item_id="red", variant="red, M", price_fen=990, stock=100),
        Item(item_id="blue", price_fen=1_090),
    ],
)
STOCK = Stock(sale_id="sale-1", epoch=T, seq=58, status="open", available={"red": 42, "blue": 0})
SALE = Sale(
    sale_id="sale-1",
    listing_id="scarf",
    limit_per_user=2,
    opens_at_ms=T + 5_000,
    closes_at_ms=T + 605_000,
    hold_ms=900_000,
    spread_ms=300,
    stock=Stock(sale_id="sale-1", epoch=T, seq=1, status="scheduled", available={"red": 100, "blue": 0}),
)
_SOLD_OUT = msgspec.structs.replace(
    SALE, sold_out=True, stock=msgspec.structs.replace(STOCK, seq=101, available={"red": 0, "blue": 0})
)
HELD = HeldReservation(
    reservation_id="sale-1/ann/k3Jx",
    sale_id="sale-1",
    command_id="buy-1",
    state="held",
    lines=[OrderLine(item_id="red", quantity=2)],
    expires_at_ms=T + 900_000,
)
_CONFIRMED = HeldReservation(
    reservation_id=HELD.reservation_id,
    sale_id=HELD.sale_id,
    command_id=HELD.command_id,
    state="confirmed",
    lines=HELD.lines,
    expires_at_ms=HELD.expires_at_ms,
)
_REFUND_DUE = msgspec.structs.replace(_CONFIRMED, state="refund_due")
_RETURNED = msgspec.structs.replace(_CONFIRMED, state="returned")
_WAITING = msgspec.structs.replace(HELD, state="waiting", expires_at_ms=0, lines=[OrderLine(item_id="red")])
_COMMENTS = [
    Danmaku("d-7", "bob", "Bob", "is it real silk?"),
    Danmaku("d-8", "lily", "Lily", "yes, 100% 桑蚕丝 🧣", "streamer"),
]

COMMANDS: dict[str, Command] = {
    "authenticate": commands.Authenticate(id="c1", token="eyJhbGciOi…"),
    "join": commands.Join(id="c2", room="r1"),
    "join to resume": commands.Join(id="c3", room="r1", epoch=T, offset=17),
    "leave": commands.Leave(id="c4", room="r1"),
    "ping": commands.Ping(id="c5"),
    "danmaku": commands.SendDanmaku(id="c6", room="r1", text="多少钱？ 🧣"),
    "like": commands.Like(id="c7", room="r1", count=8),
    "like once": commands.Like(id="c8", room="r1"),
    "gift": commands.SendGift(id="c9", room="r1", user_id="bob", name="Bob", gift="rose", count=10),
    "purchase": commands.Purchase(
        id="buy-1", room="r1", sale_id="sale-1", lines=[OrderLine(item_id="red", quantity=2)]
    ),
    "purchase again": commands.Purchase(
        id="buy-1", room="r1", sale_id="sale-1", lines=[OrderLine(item_id="red", quantity=2)], attempt=1
    ),
    "purchase of two items": commands.Purchase(
        id="buy-2",
        room="r1",
        sale_id="sale-1",
        lines=[OrderLine(item_id="red"), OrderLine(item_id="blue", quantity=3)],
    ),
    "purchase from a shelf": commands.Purchase(
        id="buy-3", sale_id="sale-1", lines=[OrderLine(item_id="red")]
    ),
    "release": commands.Release(id="c10", reservation_id=HELD.reservation_id),
    "confirm": commands.Confirm(id="c11", reservation_id=HELD.reservation_id),
    "return": commands.Return(id="c27", reservation_id=HELD.reservation_id),
    "return with the limit": commands.Return(id="c27", reservation_id=HELD.reservation_id, limit_back=True),
    "publishListing": commands.PublishListing(id="c12", room="r1", listing=_DRAFT, stream_time_ms=3_600_500),
    "updateListing": commands.UpdateListing(id="c13", room="r1", listing_id="scarf", line="Last twenty!"),
    "updateListing of everything": commands.UpdateListing(
        id="c13",
        room="r1",
        listing_id="scarf",
        title="Silk scarf, new colours",
        line="",
        photo="https://img.example/scarves.jpg",
        items=[ItemDraft(item_id="green", price_fen=890, stock=5)],
        stream_time_ms=3_601_000,
    ),
    "withdrawListing": commands.WithdrawListing(
        id="c14", room="r1", listing_id="scarf", stream_time_ms=3_602_000
    ),
    "orderCart": commands.OrderCart(id="c15", room="r1", listing_ids=["scarf", "mug"]),
    "startExplaining": commands.StartExplaining(
        id="c16", room="r1", listing_id="scarf", stream_time_ms=3_603_000
    ),
    "stopExplaining": commands.StopExplaining(id="c17", room="r1", stream_time_ms=3_604_000),
    "openSale": commands.OpenSale(
        id="c18",
        room="r1",
        sale_id="sale-1",
        listing_id="scarf",
        limit_per_user=2,
        opens_in_ms=5_000,
        duration_ms=600_000,
        hold_ms=300_000,
        stream_time_ms=3_605_000,
    ),
    "openSale with a waitlist": commands.OpenSale(
        id="c18", room="r1", sale_id="sale-1", listing_id="scarf", waitlist=200
    ),
    "openSale at once": commands.OpenSale(id="c18", room="r1", sale_id="sale-1", listing_id="scarf"),
    "openSale of a presale, on a shelf too": commands.OpenSale(
        id="c18",
        room="r1",
        sale_id="sale-1",
        listing_id="scarf",
        opens_in_ms=5_000,
        spread_ms=3_000,
        ships_at_ms=T + 864_000_000,
        shelf=True,
    ),
    "openShelfSale": commands.OpenShelfSale(
        id="c31",
        sale_id="sale-2",
        listing=_DRAFT,
        limit_per_user=2,
        opens_in_ms=60_000,
        duration_ms=86_000_000,
        hold_ms=600_000,
        waitlist=50,
        spread_ms=3_000,
        ships_at_ms=T + 864_000_000,
    ),
    "attachSale": commands.AttachSale(
        id="c32", room="r2", sale_id="sale-1", listing_id="scarf", stream_time_ms=3_604_000
    ),
    "detachSale": commands.DetachSale(id="c33", room="r2", sale_id="sale-1", stream_time_ms=3_605_000),
    "adjustStock": commands.AdjustStock(
        id="c19", room="r1", sale_id="sale-1", item_id="red", delta=50, reason="found another box"
    ),
    "pauseSale": commands.PauseSale(id="c28", room="r1", sale_id="sale-1"),
    "resumeSale": commands.ResumeSale(id="c29", room="r1", sale_id="sale-1"),
    "freezeSale": commands.FreezeSale(id="c30", room="r1", sale_id="sale-1"),
    "closeSale": commands.CloseSale(id="c20", room="r1", sale_id="sale-1"),
    "closeSale of no room": commands.CloseSale(id="c20", sale_id="sale-2"),
    "mute": commands.Mute(id="c21", room="r1", user_id="troll", seconds=3_600),
    "mute for ten minutes": commands.Mute(id="c21", room="r1", user_id="troll"),
    "mute lifted": commands.Mute(id="c22", room="r1", user_id="troll", seconds=0),
    "deleteDanmaku": commands.DeleteDanmaku(id="c23", room="r1", danmaku_id="d-7"),
    "startRoom": commands.StartRoom(id="c24", room="r1"),
    "pauseRoom": commands.PauseRoom(id="c25", room="r1"),
    "endRoom": commands.EndRoom(id="c26", room="r1"),
}

REPLIES: dict[str, Downward] = {
    "welcome": replies.Welcome(
        id="c1",
        t=T,
        user_id="ann",
        role=Role.VIEWER,
        session_id="s-5f2c",
        process="p-1",
        keepalive_ms=25_000,
        expires_at_ms=T + 3_600_000,
    ),
    "joined": replies.Joined(
        id="c2", t=T, room="r1", epoch=T, offset=17, mode="snapshot", n=204, me=replies.Me()
    ),
    "joined by replay": replies.Joined(
        id="c3",
        t=T,
        room="r1",
        epoch=T,
        offset=19,
        mode="replayed",
        replayed=2,
        n=204,
        me=replies.Me(muted_until_ms=T + 60_000, reservations=[HELD]),
    ),
    "joined while the ledger is away": replies.Joined(
        id="c2", t=T, room="r1", epoch=T, offset=17, mode="snapshot", n=204, me=replies.Me(known=False)
    ),
    "left": replies.Left(id="c4", t=T, room="r1"),
    "pong": replies.Pong(id="c5", t=T),
    "receipt": replies.Receipt(id="c6", t=T, room="r1", fate=Fate.SHOWN, danmaku_id="d-9"),
    "receipt of a limited one": replies.Receipt(
        id="c6", t=T, room="r1", fate=Fate.LIMITED, reason="rate", retry_ms=1_500
    ),
    "done": replies.Done(id="c12", t=T, epoch=T, offset=18),
    "done before": replies.Done(id="c12", t=T, epoch=T, offset=18, duplicate=True),
    "outcome": replies.PurchaseOutcome(
        id="buy-1",
        t=T,
        sale_id="sale-1",
        outcome="reserved",
        epoch=T,
        seq=58,
        reservation=HELD,
        durability="fsynced",
    ),
    "outcome replayed": replies.PurchaseOutcome(
        id="buy-1",
        t=T,
        sale_id="sale-1",
        outcome="reserved",
        epoch=T,
        seq=60,
        reservation=_CONFIRMED,
        replayed=True,
        durability="fsynced",
    ),
    "outcome waiting": replies.PurchaseOutcome(
        id="buy-2",
        t=T,
        sale_id="sale-1",
        outcome="waiting",
        epoch=T,
        seq=102,
        reservation=_WAITING,
        ahead=4,
        durability="fsynced",
    ),
    "outcome sold out": replies.PurchaseOutcome(
        id="buy-2", t=T, sale_id="sale-1", outcome="sold_out", epoch=T, seq=101
    ),
    "outcome pending": replies.PurchaseOutcome(
        id="buy-2", t=T, sale_id="sale-1", outcome="pending", retry_ms=500
    ),
    "reservation": replies.ReservationChanged(id="c11", t=T, reservation=_CONFIRMED, changed=True),
    "reservation paid too late": replies.ReservationChanged(
        id="c11", t=T, reservation=_REFUND_DUE, changed=True
    ),
    "error": replies.ErrorReply(
        id="c6",
        t=T,
        code="invalid_field",
        field="text",
        detail="Expected `str` of length <= 100",
    ),
    "error for the moment": replies.ErrorReply(
        id="c6", t=T, code="rate_limited", detail="too many commands; wait retryMs", retry_ms=800
    ),
    "notice": replies.Notice(t=T, kind="reservationExpired", reservation=HELD),
    "notice of a late payment": replies.Notice(t=T, kind="reservationRefundDue", reservation=_REFUND_DUE),
    "notice of a return": replies.Notice(t=T, kind="reservationReturned", reservation=_RETURNED),
    "notice of a freeze": replies.Notice(t=T, kind="reservationFrozen", reservation=HELD),
    "notice of a unit for who waited": replies.Notice(t=T, kind="reservationServed", reservation=HELD),
    "notice of a mute": replies.Notice(t=T, kind="muted", until_ms=T + 600_000, room="r1"),
    "bye": replies.Bye(t=T, reason="draining", reconnect=True, retry_ms=500, spread_ms=20_000),
}

EVENTS: dict[str, Event] = {
    "listingPublished": events.ListingPublished(listing=LISTING),
    "listingUpdated": events.ListingUpdated(listing=LISTING),
    "listingWithdrawn": events.ListingWithdrawn(listing_id="scarf"),
    "cartOrdered": events.CartOrdered(listing_ids=["scarf", "mug"]),
    "explainingStarted": events.ExplainingStarted(listing_id="scarf"),
    "explainingStopped": events.ExplainingStopped(listing_id="scarf"),
    "saleOpened": events.SaleOpened(sale=SALE),
    "saleSoldOut": events.SaleSoldOut(
        stock=Stock(sale_id="sale-1", epoch=T, seq=101, status="open", available={"red": 0, "blue": 0})
    ),
    "saleRestocked": events.SaleRestocked(stock=STOCK),
    "saleClosed": events.SaleClosed(
        stock=Stock(sale_id="sale-1", epoch=T, seq=120, status="closed", available={"red": 7, "blue": 0})
    ),
    "danmakuDeleted": events.DanmakuDeleted(danmaku_id="d-7"),
    "userMuted": events.UserMuted(user_id="troll", until_ms=T + 3_600_000),
    "userMuted lifted": events.UserMuted(user_id="troll", until_ms=0),
    "roomStatus": events.RoomStatusChanged(status=RoomStatus.PAUSED),
    "saleDetached": events.SaleDetached(sale_id="sale-1"),
    "saleOpened by another room, a presale": events.SaleOpened(
        sale=msgspec.structs.replace(SALE, guest=True, ships_at_ms=T + 864_000_000)
    ),
}


def critical(*told: Event, epoch: int = T, first: int = 18) -> Frame:
    """Events as they travel: consecutive offsets in one frame."""
    envelopes = [Envelope(offset=first + i, at_ms=T + i, event=event) for i, event in enumerate(told)]
    return Frame(room="r1", t=T, epoch=epoch, head=first + len(told) - 1, critical=envelopes)


FRAMES: dict[str, Frame] = {
    "critical": Frame(
        room="r1",
        t=T,
        epoch=T,
        head=19,
        critical=[
            Envelope(
                offset=18, at_ms=T, stream_time_ms=3_600_500, event=events.ListingPublished(listing=LISTING)
            ),
            Envelope(offset=19, at_ms=T + 4, event=events.ExplainingStarted(listing_id="scarf")),
        ],
    ),
    "tick": Frame(
        room="r1",
        t=T,
        n=205,
        head=19,
        state=State(version=T, viewers=1_834, likes=92_110, stock=[STOCK]),
        danmaku=DanmakuBlock(
            offered=70,
            merged=41,
            shed=26,
            danmaku=_COMMENTS,
            repeats=[Repeat("d-6", 42)],
            gifts=[Gift("bob", "Bob", "rose", 10)],
            entered=12,
        ),
    ),
    "state alone": Frame(room="r1", t=T, n=206, head=19, state=State(version=T, stock=[STOCK])),
    "snapshot": Frame(
        room="r1",
        t=T,
        epoch=T,
        head=19,
        snapshot=Snapshot(
            offset=19,
            listings=[LISTING],
            explaining="scarf",
            sales=[SALE],
            muted={"troll": T + 3_600_000},
            recent=_COMMENTS,
        ),
    ),
    "snapshot of a paused room": Frame(
        room="r1",
        t=T,
        epoch=T,
        head=20,
        snapshot=Snapshot(
            offset=20, status=RoomStatus.PAUSED, listings=[LISTING], sales=[_SOLD_OUT], recent=[]
        ),
    ),
    "snapshot with a sale that was detached": Frame(
        room="r1",
        t=T,
        epoch=T,
        head=21,
        snapshot=Snapshot(
            offset=21, listings=[LISTING], sales=[msgspec.structs.replace(SALE, guest=True, detached=True)]
        ),
    ),
    "snapshot of an empty room": Frame(room="r1", t=T, epoch=T, snapshot=Snapshot(offset=0)),
}
FRAMES |= {f"critical {name}": critical(event) for name, event in EVENTS.items()}
FRAMES["critical saleOpened with a waitlist"] = critical(
    events.SaleOpened(sale=msgspec.structs.replace(SALE, waitlist=200))
)

MESSAGES: dict[str, Command | Downward] = {
    **{f"command: {name}": command for name, command in COMMANDS.items()},
    **{f"reply: {name}": reply for name, reply in REPLIES.items()},
    **{f"frame: {name}": frame for name, frame in FRAMES.items()},
}
