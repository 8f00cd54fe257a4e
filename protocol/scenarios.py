"""The client's behaviour as vectors: what is fed to a session, and what it must say, send and know.

``SCENARIOS`` lists the steps; ``play`` runs one and records. The recordings are committed in ``golden/``,
and a client in another language replays them against its own session. Times are milliseconds of a local
clock that starts at 0; ``random`` always draws 0.5.
"""

from __future__ import annotations

from typing import Any

import msgspec

from . import commands, events, examples, replies
from .client.session import Session
from .codec import JSON, Downward
from .examples import LISTING, SALE, STOCK, T
from .frames import DanmakuBlock, Frame, Snapshot, State
from .types import Danmaku, Fate, HeldReservation, OrderLine

CONNECTED, TICK = "connected", "tick"

Step = Downward | commands.Command | str | int | tuple[str, int]
"""A downward message; a command of the application; "connected"; "tick"; ("join", room) …; ("cut", close
code); ("later", milliseconds)."""

_WELCOME = msgspec.structs.replace(examples.REPLIES["welcome"], id="")
_LINED = msgspec.structs.replace(SALE, waitlist=200)
_PLACE = HeldReservation(
    reservation_id="sale-1/ann/k3Jy",
    sale_id="sale-1",
    command_id="buy-1",
    state="waiting",
    lines=[OrderLine(item_id="red")],
    expires_at_ms=0,
)
_MUG = msgspec.structs.replace(LISTING, listing_id="mug", number=4, title="Mug")


def _joined(
    serial: int, offset: int, *, replayed: int | None = None, epoch: int = T, n: int = 200
) -> Downward:
    return replies.Joined(
        id=f"s.{serial}",
        t=T,
        room="r1",
        epoch=epoch,
        offset=offset,
        mode="snapshot" if replayed is None else "replayed",
        replayed=replayed or 0,
        n=n,
        me=replies.Me(),
    )


def _snapshot(offset: int, epoch: int = T) -> Frame:
    snapshot = Snapshot(offset=offset, listings=[LISTING], explaining="scarf", sales=[SALE])
    return Frame(room="r1", t=T, epoch=epoch, head=offset, snapshot=snapshot)


def _tick(n: int, *comments: Danmaku, state: State | None = None) -> Frame:
    block = DanmakuBlock(offered=len(comments), danmaku=list(comments)) if comments else None
    return Frame(room="r1", t=T, n=n, head=10, state=state, danmaku=block)


_ENTER: list[Step] = [("join", 0), CONNECTED, _WELCOME, _joined(1, 10), _snapshot(10)]
_BUY = commands.Purchase(id="buy-1", room="r1", sale_id="sale-1", lines=[OrderLine(item_id="red")])
_SAY = commands.SendDanmaku(id="say-1", room="r1", text="hello")

SCENARIOS: dict[str, list[Step]] = {
    "joins by snapshot, then follows": [
        *_ENTER,
        examples.critical(events.ListingPublished(listing=_MUG), first=11),
        examples.critical(events.CartOrdered(listing_ids=["mug", "scarf"]), first=12),
    ],
    "frames may come before the reply": [
        ("join", 0),
        CONNECTED,
        _WELCOME,
        _snapshot(10),
        examples.critical(events.ExplainingStopped(listing_id="scarf"), first=11),
        _tick(203, Danmaku("d1", "bob", "Bob", "hi")),
        _joined(1, 10),
    ],
    "every event": [*_ENTER, examples.critical(*examples.EVENTS.values(), first=11)],
    "a sale is detached from the room, and comes back": [
        *_ENTER,
        examples.critical(events.SaleDetached(sale_id="sale-1"), first=11),
        _tick(201, state=State(version=T, stock=[STOCK])),
        examples.critical(events.SaleOpened(sale=msgspec.structs.replace(SALE, guest=True)), first=12),
    ],
    "resumes where it was after a cut": [
        *_ENTER,
        ("cut", 1006),
        ("later", 600),
        CONNECTED,
        _WELCOME,
        _joined(2, 12, replayed=2),
        examples.critical(
            events.ExplainingStopped(listing_id="scarf"), events.ListingPublished(listing=_MUG), first=11
        ),
    ],
    "an overlap is skipped": [
        *_ENTER,
        examples.critical(
            events.ListingWithdrawn(listing_id="gone"),
            events.ExplainingStopped(listing_id="scarf"),
            first=10,
        ),
        examples.critical(events.ExplainingStopped(listing_id="scarf"), first=11),
    ],
    "a gap is not applied: it resumes": [
        *_ENTER,
        examples.critical(events.ListingPublished(listing=_MUG), first=12),
        _joined(2, 12, replayed=2),
        examples.critical(
            events.ExplainingStopped(listing_id="scarf"), events.ListingPublished(listing=_MUG), first=11
        ),
    ],
    "another epoch is taken by snapshot": [
        *_ENTER,
        examples.critical(events.ExplainingStopped(listing_id="scarf"), epoch=T + 9, first=1),
        _joined(2, 1, epoch=T + 9),
        _snapshot(1, epoch=T + 9),
        examples.critical(events.ListingPublished(listing=_MUG), first=11),
    ],
    "a gap in n is counted": [*_ENTER, _tick(201), _tick(204), _tick(205)],
    "stock never goes back": [
        *_ENTER,
        _tick(201, state=State(version=T, viewers=10, stock=[STOCK])),
        _tick(
            202,
            state=State(version=T - 1, viewers=9, likes=3, stock=[msgspec.structs.replace(STOCK, seq=57)]),
        ),
        _tick(
            203,
            state=State(
                version=T + 1, viewers=11, stock=[msgspec.structs.replace(STOCK, epoch=T + 1, seq=2)]
            ),
        ),
    ],
    "deleted and muted ones do not come back": [
        *_ENTER,
        examples.critical(
            events.DanmakuDeleted(danmaku_id="d1"),
            events.UserMuted(user_id="troll", until_ms=T + 9),
            first=11,
        ),
        _tick(
            201,
            Danmaku("d1", "bob", "Bob", "rude"),
            Danmaku("d2", "troll", "Troll", "x"),
            Danmaku("d3", "bob", "Bob", "fine"),
        ),
    ],
    "an own comment is shown once, receipt first": [
        *_ENTER,
        _SAY,
        replies.Receipt(id="say-1", t=T, room="r1", fate=Fate.SHOWN, danmaku_id="d1"),
        _tick(201, Danmaku("d1", "ann", "Ann", "hello"), Danmaku("d2", "bob", "Bob", "hi")),
    ],
    "an own comment is shown once, frame first": [
        *_ENTER,
        _SAY,
        _tick(201, Danmaku("d1", "ann", "Ann", "hello")),
        replies.Receipt(id="say-1", t=T, room="r1", fate=Fate.SHOWN, danmaku_id="d1"),
    ],
    "a cut: a purchase is asked again, a comment is unknown": [
        *_ENTER,
        _BUY,
        _SAY,
        ("cut", 1006),
        ("later", 600),
        CONNECTED,
        _WELCOME,
        _joined(2, 10, replayed=0),
        replies.PurchaseOutcome(id="buy-1", t=T, sale_id="sale-1", outcome="sold_out", epoch=T, seq=9),
    ],
    "a leaving process says retry: the next one is asked": [
        *_ENTER,
        _BUY,
        replies.ErrorReply(id="buy-1", t=T, code="retry"),
        replies.Bye(t=T, reason="draining", reconnect=True, retry_ms=500, spread_ms=20_000),
        ("cut", 1001),
        ("later", 11_000),
        CONNECTED,
        _WELCOME,
    ],
    "a bad token is the end": [*_ENTER, _BUY, ("cut", 4002)],
    "a last goodbye is the end": [
        *_ENTER,
        replies.Bye(t=T, reason="ended", reconnect=False),
        ("cut", 1001),
    ],
    "silence of two keepalives": [*_ENTER, ("later", 49_999), TICK, ("later", 1), TICK],
    "a join refused for the moment": [
        ("join", 0),
        CONNECTED,
        _WELCOME,
        replies.ErrorReply(id="s.1", t=T, code="rate_limited", retry_ms=2_000),
        ("later", 1_999),
        TICK,
        ("later", 1),
        TICK,
    ],
    "a join refused for good": [
        ("join", 0),
        CONNECTED,
        _WELCOME,
        replies.ErrorReply(id="s.1", t=T, code="forbidden"),
    ],
    "a sale with a waitlist: sold out, waited for, served": [
        ("join", 0),
        CONNECTED,
        _WELCOME,
        _joined(1, 10),
        Frame(
            room="r1", t=T, epoch=T, head=10, snapshot=Snapshot(offset=10, listings=[LISTING], sales=[_LINED])
        ),
        examples.critical(examples.EVENTS["saleSoldOut"], first=11),
        _BUY,
        replies.PurchaseOutcome(
            id="buy-1",
            t=T,
            sale_id="sale-1",
            outcome="waiting",
            epoch=T,
            seq=102,
            reservation=_PLACE,
            ahead=1,
        ),
        replies.Notice(
            t=T,
            kind="reservationServed",
            reservation=msgspec.structs.replace(_PLACE, state="held", expires_at_ms=T + 900_000),
        ),
    ],
}


def play(steps: list[Step]) -> list[dict[str, Any]]:
    """Per step: what was fed, the happenings, what is sent, and the mirror of ``r1`` where it changed."""
    session = Session(JSON, random=lambda: 0.5)
    now_ms = 0.0
    recording: list[dict[str, Any]] = []
    mirror_before: Any = None
    for step in steps:
        happenings: list[Any] = []
        fed: Any
        match step:
            case "connected":
                session.connected(now_ms)
                fed = {"connected": True}
            case "tick":
                happenings = session.tick(now_ms)
                fed = {"tick": True}
            case ("join", _):
                session.join("r1", now_ms)
                fed = {"join": "r1"}
            case ("cut", int(code)):
                happenings = session.disconnected(code, now_ms)
                fed = {"disconnected": code}
            case ("later", int(milliseconds)):
                now_ms += milliseconds
                fed = {"laterMs": milliseconds}
            case commands.CommandBase():
                session.send(step, now_ms)
                fed = {"command": msgspec.to_builtins(step)}
            case _:
                assert isinstance(step, msgspec.Struct)
                happenings = session.receive(JSON.encode(step), now_ms)
                fed = {"received": msgspec.to_builtins(step)}
        took: dict[str, Any] = {"feed": fed}
        if happenings:
            took["happenings"] = [msgspec.to_builtins(each) for each in happenings]
        sent = session.payloads_to_send()
        if sent:
            took["sends"] = [msgspec.json.decode(payload) for payload in sent]
        link = session.rooms.get("r1")
        if link is not None and link.mirror.epoch is not None:
            mirror = {
                "epoch": link.mirror.epoch,
                "viewers": link.mirror.viewers,
                "likes": link.mirror.likes,
                **msgspec.to_builtins(link.mirror.snapshot()),
            }
            if mirror != mirror_before:
                took["mirror"] = mirror_before = mirror
        recording.append(took)
    return recording
