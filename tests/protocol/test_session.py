"""The session, step by step, where the random machine and the scenario vectors don't go."""

from __future__ import annotations

from typing import Any

import pytest

from protocol import commands
from protocol.client.errors import NotConnected, TooManyInFlight
from protocol.client.happenings import (
    Answered,
    DanmakuShown,
    Disconnected,
    GaveUp,
    Missed,
    NotWelcome,
    Unknown,
)
from protocol.client.limits import BACKOFF_BASE_MS, CATCH_UP_MS_MAX, SALES_MAX, SETTLED_MS, WELCOME_MS_MAX
from protocol.client.mirror import Mirror
from protocol.client.session import Session
from protocol.close import CATALOGUE, may_reconnect
from protocol.codec import JSON, MSGPACK, Downward
from protocol.commands import Command
from protocol.errors import NotOurs
from protocol.events import CartOrdered, Envelope
from protocol.examples import COMMANDS as EXAMPLES
from protocol.frames import DanmakuBlock, Frame, Snapshot, State
from protocol.lanes import COMMANDS, Repeatable
from protocol.limits import CLOSED_SALES_MAX, COMMANDS_IN_FLIGHT_MAX, ROOMS_PER_SESSION_MAX
from protocol.replies import Bye, Done, ErrorReply, Joined, Me, Pong, Receipt, Welcome
from protocol.types import Danmaku, Fate, Role, RoomStatus, Stock

from .tiny_room import TinyRoom


def welcome(command_id: str = "") -> Welcome:
    return Welcome(
        id=command_id,
        t=1,
        user_id="ann",
        role=Role.VIEWER,
        session_id="s",
        process="p",
        keepalive_ms=25_000,
        expires_at_ms=1,
    )


def sent(session: Session) -> list[Command]:
    return [JSON.decode_command(payload) for payload in session.payloads_to_send()]


def answers(room: TinyRoom, join: commands.Join, n: int) -> list[Downward]:
    reply, frames = room.join(join, n)
    return [reply, *frames]


def connected(*rooms: str) -> Session:
    session = Session(JSON, random=lambda: 0.5)
    for room in rooms:
        session.join(room, 0)
    session.connected(0)
    session.take(welcome(), 0)
    return session


def entered(room: TinyRoom) -> Session:
    session = connected("r1")
    (join,) = sent(session)
    assert isinstance(join, commands.Join)
    for message in answers(room, join, n=0):
        session.take(message, 0)
    assert session.rooms["r1"].entered
    return session


# -- commands ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in EXAMPLES if not name.startswith(("join", "leave"))])
def test_a_lost_connection_means_what_the_contract_says(name: str) -> None:
    """Every command: repeatable ones are sent again on the next connection, the rest are unknown."""
    command = EXAMPLES[name]
    repeatable = COMMANDS[type(command)].repeat is not Repeatable.AT_MOST_ONCE
    session = connected()
    session.send(command, 0)
    assert sent(session) == [command]
    unknown = [each for each in session.disconnected(1006, 5) if isinstance(each, Unknown)]
    session.connected(10)
    session.take(welcome(), 10)
    again = sent(session)
    if repeatable:
        assert unknown == []
        assert [each.id for each in again] == [command.id]
        if isinstance(command, commands.Purchase):
            assert isinstance(again[0], commands.Purchase) and again[0].attempt == command.attempt + 1
        else:
            assert again == [command]
    else:
        assert unknown == [Unknown(command_id=command.id, why="disconnected", repeatable=False)]
        assert again == []


def test_what_waits_unsent_is_a_first_attempt() -> None:
    session = Session(JSON, random=lambda: 0.5)
    buy = EXAMPLES["purchase"]
    session.send(buy, 0)
    assert sent(session) == []
    session.connected(0)
    session.take(welcome(), 0)
    assert sent(session) == [buy]


def test_at_most_once_commands_need_a_connection() -> None:
    session = Session(JSON, random=lambda: 0.5)
    with pytest.raises(NotConnected):
        session.send(EXAMPLES["danmaku"], 0)
    assert session.waiting == 0


def test_a_reply_is_matched_once() -> None:
    session = connected()
    session.send(commands.Ping(id="c1"), 0)
    pong = Pong(id="c1", t=1)
    assert session.take(pong, 1) == [Answered(command_id="c1", reply=pong)]
    assert session.take(pong, 2) == []
    assert session.unmatched_replies == 1


def test_a_forgotten_command_gets_no_answer_and_no_end() -> None:
    session = connected()
    session.send(commands.Ping(id="c1"), 0)
    session.forget("c1")
    assert session.take(Pong(id="c1", t=1), 1) == []
    assert session.end() == []


def test_a_deadline_makes_it_unknown_and_the_late_reply_nobodys() -> None:
    session = connected()
    session.send(commands.Ping(id="c1"), 0, timeout_ms=100)
    assert session.wake_at_ms() == 100
    assert session.tick(99) == []
    assert session.tick(100) == [Unknown(command_id="c1", why="timeout", repeatable=True)]
    assert session.take(Pong(id="c1", t=1), 101) == []


def test_commands_in_flight_are_bounded() -> None:
    session = connected()
    for serial in range(COMMANDS_IN_FLIGHT_MAX):
        session.send(commands.Ping(id=f"c{serial}"), 0)
    with pytest.raises(TooManyInFlight):
        session.send(commands.Ping(id="one-more"), 0)
    session.take(Pong(id="c0", t=1), 1)
    session.send(commands.Ping(id="one-more"), 2)
    with pytest.raises(ValueError, match="waits for its reply"):
        session.send(commands.Ping(id="one-more"), 3)


def test_the_end_leaves_nothing_waiting() -> None:
    session = connected()
    session.send(commands.Ping(id="c1"), 0)
    assert session.end() == [Unknown(command_id="c1", why="ended", repeatable=True)]
    assert sent(session) == []
    assert session.disconnected(1006, 1) == [Disconnected(code=1006, retry_in_ms=None)]
    with pytest.raises(NotConnected):
        session.send(commands.Ping(id="c2"), 2)


def test_an_error_to_a_likewise_retry_is_the_applications_when_it_may_count_twice() -> None:
    session = connected()
    session.send(EXAMPLES["danmaku"], 0)
    error = ErrorReply(id=EXAMPLES["danmaku"].id, t=1, code="retry")
    assert session.take(error, 1) == [Answered(command_id=error.id, reply=error)]


# -- rooms ---------------------------------------------------------------------------------------------


def test_rooms_are_bounded_and_joined_once() -> None:
    session = connected(*(f"r{serial}" for serial in range(ROOMS_PER_SESSION_MAX)))
    assert len(sent(session)) == ROOMS_PER_SESSION_MAX
    session.join("r0", 1)
    assert sent(session) == []
    with pytest.raises(ValueError, match="at most"):
        session.join("one-more", 1)
    session.leave("r0")
    session.join("one-more", 2)
    assert [type(each) for each in sent(session)] == [commands.Leave, commands.Join]


def test_a_room_that_was_left_says_nothing_more() -> None:
    session = entered(TinyRoom())
    session.leave("r1")
    block = DanmakuBlock(offered=1, danmaku=[Danmaku("d1", "bob", "Bob", "hi")])
    assert session.take(Frame(room="r1", t=1, n=1, danmaku=block), 1) == []
    assert session.disconnected(1001, 2)[-1] == Disconnected(code=1001, retry_in_ms=500)
    session.connected(600)
    session.take(welcome(), 600)
    assert [each for each in sent(session) if isinstance(each, commands.Join)] == []


def test_a_lost_last_event_is_noticed_by_the_head() -> None:
    """Nothing follows that would show the gap, but frames say how far the room is."""
    room = TinyRoom()
    session = entered(room)
    room.turn(RoomStatus.PAUSED)  # its frame never comes
    late = Frame(room="r1", t=1, n=1, head=room.offset, state=State(version=1, viewers=3))
    session.take(late, 10)
    session.tick(10 + CATCH_UP_MS_MAX - 1)
    assert sent(session) == []
    session.tick(10 + CATCH_UP_MS_MAX)
    (join,) = sent(session)
    assert isinstance(join, commands.Join) and (join.epoch, join.offset) == (room.epoch, 0)
    for message in answers(room, join, n=1):
        session.take(message, 6_000)
    assert session.rooms["r1"].mirror.status is RoomStatus.PAUSED
    assert session.wake_at_ms() == 6_000 + 50_000  # only the keepalive is left


def test_an_event_that_is_just_slower_than_the_head_asks_for_nothing() -> None:
    room = TinyRoom()
    session = entered(room)
    room.turn(RoomStatus.PAUSED)
    session.take(Frame(room="r1", t=1, n=1, head=room.offset, state=State(version=1, viewers=3)), 10)
    session.take(room.critical(room.log), 500)
    session.tick(10 + CATCH_UP_MS_MAX)
    assert sent(session) == []


def test_a_join_whose_frames_never_come_is_asked_again() -> None:
    session = connected("r1")
    (join,) = sent(session)
    joined = Joined(id=join.id, t=1, room="r1", epoch=5, offset=9, mode="snapshot", n=0, me=Me())
    assert session.take(joined, 0) == []
    session.tick(CATCH_UP_MS_MAX)
    (again,) = sent(session)
    assert isinstance(again, commands.Join) and again.epoch is None


def test_a_history_set_back_starts_over() -> None:
    """The server's epoch is smaller than ours: nothing of ours can be continued."""
    session = entered(TinyRoom(epoch=1_000))
    session.disconnected(1006, 1)
    session.connected(2)
    session.take(welcome(), 2)
    older = TinyRoom(epoch=500)
    older.publish("l9")
    (join,) = sent(session)
    assert isinstance(join, commands.Join)
    for message in answers(older, join, n=0):
        session.take(message, 3)
    (again,) = sent(session)
    assert isinstance(again, commands.Join) and again.epoch is None
    for message in answers(older, again, n=0):
        session.take(message, 4)
    assert session.rooms["r1"].mirror.snapshot() == older.snapshot()


def test_numbering_begins_anew_with_a_connection() -> None:
    room = TinyRoom()
    session = entered(room)
    session.take(Frame(room="r1", t=1, n=1, state=State(version=1, viewers=1)), 1)
    session.disconnected(1006, 2)
    session.connected(3)
    session.take(welcome(), 3)
    (join,) = sent(session)
    assert isinstance(join, commands.Join)
    for message in answers(room, join, n=70):
        session.take(message, 4)
    assert session.take(Frame(room="r1", t=1, n=71), 5) == []
    assert session.take(Frame(room="r1", t=1, n=73), 6) == [Missed(room="r1", frames=1)]
    assert session.rooms["r1"].missed_frames == 1


@pytest.mark.parametrize(("first", "missed"), [(41, 0), (43, 2)])
def test_numbered_frames_may_come_before_the_reply(first: int, missed: int) -> None:
    room = TinyRoom()
    session = connected("r1")
    (join,) = sent(session)
    assert isinstance(join, commands.Join)
    reply, *frames = answers(room, join, n=40)
    told = []
    for message in (*frames, Frame(room="r1", t=1, n=first), Frame(room="r1", t=1, n=first + 1), reply):
        told += session.take(message, 1)
    told += session.take(Frame(room="r1", t=1, n=first + 2), 1)
    assert [each.frames for each in told if isinstance(each, Missed)] == ([missed] if missed else [])
    assert session.rooms["r1"].missed_frames == missed


# -- the connection ------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [*CATALOGUE, 3999, 4999])
def test_the_catalogue_says_whether_to_come_back(code: int) -> None:
    session = connected()
    (disconnected,) = session.disconnected(code, 100)
    assert isinstance(disconnected, Disconnected)
    assert (disconnected.retry_in_ms is not None) == may_reconnect(code)
    assert (session.reconnect_at_ms is not None) == may_reconnect(code)


@pytest.mark.parametrize("code", [1000, 1001, 1006, 4002])
@pytest.mark.parametrize("reconnect", [True, False])
def test_a_goodbye_weighs_more_than_the_code(code: int, reconnect: bool) -> None:
    session = connected()
    session.take(Bye(t=1, reason="drain", reconnect=reconnect, retry_ms=4_000, spread_ms=1_000), 1)
    session.disconnected(code, 100)
    assert session.reconnect_at_ms == (4_600 if reconnect else None)


def test_failures_grow_the_wait_until_a_connection_settles() -> None:
    session = connected()
    session.disconnected(1006, 0)
    waits = []
    for _ in range(3):
        session.refused(0, comes_back=True)
        waits.append(session.reconnect_at_ms)
    assert waits == [BACKOFF_BASE_MS * 2**k * 0.5 for k in (1, 2, 3)]
    session.connected(0)
    session.take(welcome(), 0)
    session.disconnected(1006, SETTLED_MS - 1)
    assert session.reconnect_at_ms == SETTLED_MS - 1 + BACKOFF_BASE_MS * 16 * 0.5
    session.connected(0)
    session.take(welcome(), 0)
    session.disconnected(1006, SETTLED_MS)
    assert session.reconnect_at_ms == SETTLED_MS + BACKOFF_BASE_MS * 0.5


def test_a_refused_handshake_may_be_the_end() -> None:
    session = Session(JSON, random=lambda: 0.5)
    session.send(commands.Ping(id="c1"), 0)
    assert session.refused(0, comes_back=False) == [
        Unknown(command_id="c1", why="ended", repeatable=True),
        Disconnected(code=1006, retry_in_ms=None),
    ]
    session.refused(0, comes_back=True, retry_ms=7_000)
    assert session.reconnect_at_ms == 7_000


def test_no_welcome_in_time_is_given_up() -> None:
    session = Session(JSON, random=lambda: 0.5, token="secret")
    session.connected(0)
    assert [type(each) for each in sent(session)] == [commands.Authenticate]
    assert session.tick(WELCOME_MS_MAX - 1) == []
    assert session.tick(WELCOME_MS_MAX) == [GaveUp(silent_ms=WELCOME_MS_MAX)]
    assert session.tick(WELCOME_MS_MAX + 1) == []  # said once
    assert session.wake_at_ms() is None


def test_a_ping_keeps_it_alive() -> None:
    session = connected()
    session.heard(40_000)
    assert session.tick(89_999) == []
    assert session.tick(90_000) == [GaveUp(silent_ms=50_000)]


def test_a_refused_token_is_told() -> None:
    session = Session(JSON, random=lambda: 0.5, token="secret")
    session.connected(0)
    (authenticate,) = sent(session)
    refusal = ErrorReply(id=authenticate.id, t=1, code="bad_token")
    assert session.take(refusal, 1) == [NotWelcome(reply=refusal)]


def test_the_codec_of_the_handshake_is_spoken() -> None:
    session = Session(JSON, random=lambda: 0.5)
    session.connected(0, MSGPACK)
    session.receive(MSGPACK.encode(welcome()), 0)
    session.send(commands.Ping(id="c1"), 0)
    (payload,) = session.payloads_to_send()
    assert MSGPACK.decode_command(payload) == commands.Ping(id="c1")
    with pytest.raises(NotOurs):
        session.receive(b"\xc1", 1)


def test_the_servers_time_comes_from_every_message() -> None:
    session = connected()
    session.send(commands.Ping(id="c1"), 0)
    session.take(Done(id="c1", t=5_000), 1_000)
    assert session.clock.server_ms(1_500) == 5_500


# -- the mirror ----------------------------------------------------------------------------------------


def mirror_of(room: TinyRoom) -> Mirror:
    mirror = Mirror("r1")
    mirror.apply(Frame(room="r1", t=1, epoch=room.epoch, snapshot=room.snapshot()), 0)
    return mirror


def shown(mirror: Mirror, *comments: Danmaku, t: int = 1, now_ms: float = 0) -> list[str]:
    block = DanmakuBlock(offered=len(comments), danmaku=list(comments))
    (happening,) = mirror.apply(Frame(room="r1", t=t, n=1, danmaku=block), now_ms)
    assert isinstance(happening, DanmakuShown)
    return [each.danmaku_id for each in happening.danmaku]


def test_a_tombstone_stands_for_a_minute() -> None:
    room = TinyRoom()
    mirror = mirror_of(room)
    room.delete("d1")
    mirror.apply(room.critical(room.log), 1_000)
    comment = Danmaku("d1", "bob", "Bob", "rude")
    assert shown(mirror, comment, now_ms=60_999) == []
    assert shown(mirror, comment, now_ms=61_000) == ["d1"]


def test_a_muted_user_is_hidden_until_the_end_of_the_mute() -> None:
    room = TinyRoom()
    mirror = mirror_of(room)
    room.mute("troll", 5_000)
    mirror.apply(room.critical(room.log), 0)
    comment = Danmaku("d1", "troll", "Troll", "x")
    assert shown(mirror, comment, t=4_999) == []
    assert shown(mirror, comment, t=5_000) == ["d1"]
    room.mute("troll", 9_000)
    room.mute("troll", 0)
    mirror.apply(room.critical(room.log), 0)
    assert shown(mirror, comment, t=1) == ["d1"]


def test_stock_heard_before_its_sale_is_kept_and_bounded() -> None:
    room = TinyRoom()
    mirror = mirror_of(room)
    newer = Stock(sale_id="sale1", epoch=7, seq=9, status="open", available={"red": 1})
    mirror.apply(Frame(room="r1", t=1, n=1, state=State(version=1, stock=[newer])), 0)
    room.open_sale("sale1", 5)
    mirror.apply(room.critical(room.log), 0)
    sale = mirror.sale("sale1")
    assert sale is not None and sale.stock == newer
    for serial in range(5_000):
        loose = Stock(sale_id=f"x{serial}", epoch=1, seq=1, status="open", available={})
        mirror.apply(Frame(room="r1", t=1, n=1, state=State(version=1, stock=[loose])), 0)
    assert len(mirror._stock) < 1_000
    assert mirror.stock("sale1") == newer
    assert mirror.stock("x4999") is not None


def test_sales_are_bounded() -> None:
    """Of closed ones the last fifty stay, as at the server; and whatever runs is bounded too."""
    room = TinyRoom()
    mirror = mirror_of(room)
    for serial in range(CLOSED_SALES_MAX + 5):
        first = room.offset
        room.open_sale(f"s{serial}", 5)
        room.close_sale(f"s{serial}")
        mirror.apply(room.critical(room.log[first:]), 0)
    assert sorted(sale.sale_id for sale in mirror.sales) == sorted(
        f"s{serial}" for serial in range(5, CLOSED_SALES_MAX + 5)
    )
    for serial in range(SALES_MAX + 5):
        first = room.offset
        room.open_sale(f"open{serial}", 5)
        mirror.apply(room.critical(room.log[first:]), 0)
    assert len(mirror.sales) <= SALES_MAX


def test_a_new_epoch_of_a_sale_counts_from_one_again() -> None:
    mirror = mirror_of(TinyRoom())
    for epoch, seq in [(7, 9), (8, 1), (7, 10)]:
        stock = Stock(sale_id="s1", epoch=epoch, seq=seq, status="open", available={})
        mirror.apply(Frame(room="r1", t=1, n=1, state=State(version=1, stock=[stock])), 0)
    newest = mirror.stock("s1")
    assert newest is not None and (newest.epoch, newest.seq) == (8, 1)


def test_an_event_of_a_past_epoch_is_not_applied() -> None:
    room = TinyRoom(epoch=2_000)
    room.publish("l1")
    mirror = mirror_of(room)
    past = Envelope(offset=2, at_ms=1, event=CartOrdered(listing_ids=[]))
    assert mirror.apply(Frame(room="r1", t=1, epoch=1_000, critical=[past]), 0) == []
    assert mirror.snapshot() == room.snapshot()


def test_a_listing_the_new_order_does_not_name_stays_at_the_end() -> None:
    room = TinyRoom()
    mirror = mirror_of(room)
    for listing_id in ["l1", "l2", "l3"]:
        room.publish(listing_id)
    mirror.apply(room.critical(room.log), 0)
    ordered = CartOrdered(listing_ids=["l3", "unheard of", "l1"])
    envelope = Envelope(offset=room.offset + 1, at_ms=1, event=ordered)
    mirror.apply(room.critical([envelope]), 0)
    assert [each.listing_id for each in mirror.listings] == ["l3", "l1", "l2"]


def test_an_older_snapshot_changes_nothing_but_newer_stock() -> None:
    room = TinyRoom()
    room.open_sale("sale1", 5)
    old = room.snapshot()
    room.publish("l1")
    mirror = mirror_of(room)
    assert mirror.apply(Frame(room="r1", t=1, epoch=room.epoch, snapshot=old), 0) == []
    assert mirror.snapshot() == room.snapshot()


def test_a_snapshot_brings_newer_stock_and_no_older() -> None:
    room = TinyRoom()
    room.open_sale("sale1", 5)
    mirror = mirror_of(room)
    room.publish("l1")
    for seq, available in [(9, 1), (3, 4)]:
        room.stock["sale1"] = Stock(
            sale_id="sale1", epoch=7, seq=seq, status="open", available={"red": available}
        )
        mirror.apply(Frame(room="r1", t=1, epoch=room.epoch, snapshot=room.snapshot()), 0)
        sale = mirror.sale("sale1")
        assert sale is not None and sale.stock.seq == 9 and sale.stock.available == {"red": 1}


def test_two_counts_of_one_room_have_their_own_versions() -> None:
    mirror = mirror_of(TinyRoom())
    steps: list[dict[str, Any]] = [
        {"version": 5, "viewers": 50},
        {"version": 9, "likes": 90},
        {"version": 7, "viewers": 70},
        {"version": 8, "likes": 80},
        {"version": 6, "viewers": 60},
    ]
    for step in steps:
        mirror.apply(Frame(room="r1", t=1, n=1, state=State(**step)), 0)
    assert (mirror.viewers, mirror.likes) == (70, 90)


def test_an_empty_room_is_a_snapshot_too() -> None:
    mirror = Mirror("r1")
    assert not mirror.follows(3, 0)
    mirror.apply(Frame(room="r1", t=1, epoch=3, snapshot=Snapshot(offset=0)), 0)
    assert mirror.follows(3, 0)


# -- own comments, and a leaving process ---------------------------------------------------------------


def test_an_own_comment_is_shown_once_whichever_comes_first() -> None:
    said = EXAMPLES["danmaku"]
    for frame_first in (True, False):
        session = entered(TinyRoom())
        session.send(said, 0)
        block = DanmakuBlock(offered=1, danmaku=[Danmaku("d1", "ann", "Ann", "hello")])
        receipt = Receipt(id=said.id, t=1, room="r1", fate=Fate.SHOWN, danmaku_id="d1")
        messages: list[Downward] = [receipt, Frame(room="r1", t=1, n=1, danmaku=block)]
        told = []
        for message in reversed(messages) if frame_first else messages:
            told += session.take(message, 1)
        comments = [one.danmaku_id for each in told if isinstance(each, DanmakuShown) for one in each.danmaku]
        assert comments == ["d1"]


@pytest.mark.parametrize("fate", [fate for fate in Fate if fate is not Fate.SHOWN])
def test_a_comment_that_is_not_shown_is_not_shown_by_us(fate: Fate) -> None:
    said = EXAMPLES["danmaku"]
    session = entered(TinyRoom())
    session.send(said, 0)
    receipt = Receipt(id=said.id, t=1, room="r1", fate=fate, danmaku_id="d1")
    assert session.take(receipt, 1) == [Answered(command_id=said.id, reply=receipt)]


def test_a_leaving_process_leaves_a_repeatable_command_to_the_next() -> None:
    session = connected()
    session.send(EXAMPLES["purchase"], 0)
    sent(session)
    assert session.take(ErrorReply(id=EXAMPLES["purchase"].id, t=1, code="retry"), 1) == []
    session.disconnected(1001, 2)
    session.connected(3)
    session.take(welcome(), 3)
    (again,) = sent(session)
    assert isinstance(again, commands.Purchase) and again.attempt == 1


def test_nothing_of_one_connection_is_written_to_the_next() -> None:
    session = connected()
    session.send(commands.Ping(id="c1"), 0)  # never written
    session.disconnected(1006, 1)
    session.connected(2)
    assert session.payloads_to_send() == []
    session.take(welcome(), 3)
    assert sent(session) == [commands.Ping(id="c1")]


def test_a_goodbye_counts_for_its_own_connection_alone() -> None:
    session = connected()
    session.take(Bye(t=1, reason="drain", reconnect=True, retry_ms=4_000), 1)
    session.disconnected(1001, 2)
    session.connected(5_000)
    session.take(welcome(), 5_000)
    session.disconnected(4002, 6_000)
    assert session.reconnect_at_ms is None
