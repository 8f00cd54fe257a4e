from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from liveserver.core import room as room_module
from liveserver.core.decide import check_attach_sale, check_open_sale, decide, decide_detach, decide_sale
from liveserver.core.limits import CLOSED_SALES_MAX, MUTES_MAX
from liveserver.core.room import Room
from protocol import commands, events
from protocol.errors import CommandError
from protocol.events import Envelope, Event
from protocol.types import RoomStatus

from .make import (
    NOW_MS,
    ROOM,
    a_room,
    attach_sale,
    begin_sale,
    comment,
    detach_sale,
    draft,
    envelope,
    happen,
    learn,
    many,
    open_sale,
    publish,
    sale,
    say,
    stock,
)

ids = st.sampled_from(["a", "b", "c:1", "d"])


class Store:
    """What the store does with ``changes``: keep the last value of each key."""

    def __init__(self) -> None:
        self.state: dict[str, bytes] = {}

    def append(self, room: Room, event: Event, at_ms: int = NOW_MS) -> None:
        for key, value in room.changes(event).items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        room.apply(envelope(room, event, at_ms))

    def load(self, room: Room) -> Room:
        return Room.load(self.state, room.epoch, room.offset)


def _commands() -> st.SearchStrategy[commands.CommandBase]:
    said: list[st.SearchStrategy[Any]] = [
        st.builds(
            lambda i, t, n: commands.PublishListing(id="c", room=ROOM, listing=draft(i, n, title=t)),
            ids,
            st.sampled_from(["one", "two"]),
            st.integers(0, 2),
        ),
        st.builds(
            lambda i, t: commands.UpdateListing(id="c", room=ROOM, listing_id=i, title=t),
            ids,
            st.sampled_from(["one", "three", None]),
        ),
        st.builds(
            lambda i, n: commands.UpdateListing(id="c", room=ROOM, listing_id=i, items=draft(i, n).items),
            ids,
            st.integers(0, 2),
        ),
        st.builds(lambda i: commands.WithdrawListing(id="c", room=ROOM, listing_id=i), ids),
        st.builds(lambda i: commands.OrderCart(id="c", room=ROOM, listing_ids=i), st.lists(ids, unique=True)),
        st.builds(lambda i: commands.StartExplaining(id="c", room=ROOM, listing_id=i), ids),
        st.just(commands.StopExplaining(id="c", room=ROOM)),
        st.builds(
            lambda u, s: commands.Mute(id="c", room=ROOM, user_id=u, seconds=s),
            ids,
            st.sampled_from([0, 1, 60]),
        ),
        st.builds(lambda i: commands.DeleteDanmaku(id="c", room=ROOM, danmaku_id=i), ids),
        st.just(commands.PauseRoom(id="c", room=ROOM)),
        st.just(commands.StartRoom(id="c", room=ROOM)),
        st.builds(open_sale, st.sampled_from(["s1", "s2", "s3"]), ids),
        st.builds(attach_sale, st.sampled_from(["s1", "s2", "s3"]), ids),
        st.builds(detach_sale, st.sampled_from(["s1", "s2", "s3"])),
    ]
    return st.one_of(said)


views = st.builds(
    lambda i, n, u, s: stock(i, n, u, status=s),
    st.sampled_from(["s1", "s2", "s3"]),
    st.integers(2, 40),
    st.integers(0, 1),
    st.sampled_from(["open", "open", "open", "closed"]),
)
nights = st.lists(st.one_of(_commands(), views), max_size=40)


def _next_event(room: Room, wish: Any, now_ms: int) -> Event | None:
    try:
        if isinstance(wish, commands.OpenSale):
            check_open_sale(room, wish, now_ms)
            opened = sale(wish.sale_id, wish.listing_id)
            return decide_sale(room, wish.sale_id, opened.stock, opened)
        if isinstance(wish, commands.AttachSale):
            check_attach_sale(room, wish, ["i0"], now_ms)
            opened = replace(sale(wish.sale_id, wish.listing_id), guest=True)
            return decide_sale(room, wish.sale_id, opened.stock, opened)
        if isinstance(wish, commands.DetachSale):
            return decide_detach(room, wish.sale_id)
        if isinstance(wish, commands.CommandBase):
            return decide(room, wish, now_ms)
        return decide_sale(room, wish.sale_id, wish, None)
    except CommandError:
        return None


@many
@given(nights)
def test_what_the_store_keeps_loads_as_the_projection(night: list[Any]) -> None:
    room, store = Room.load({}, 7, 0), Store()
    for step, wish in enumerate(night):
        event = _next_event(room, wish, NOW_MS + step)
        if event is not None:
            store.append(room, event, NOW_MS + step)
            assert store.load(room) == room, event


@many
@given(nights)
def test_a_cart_stays_whole(night: list[Any]) -> None:
    room = Room.load({}, 7, 0)
    numbers: dict[int, str] = {}
    for wish in night:
        event = _next_event(room, wish, NOW_MS)
        if event is None:
            continue
        happen(room, event)
        if isinstance(event, events.ListingPublished):
            assert event.listing.number not in numbers, "a number was given again"
            numbers[event.listing.number] = event.listing.listing_id
        assert sorted(room.order) == sorted(room.listings)
        assert room.explaining == "" or room.explaining in room.listings
        assert all(number < room.next_number for number in numbers)
        assert set(room.closed) <= set(room.sales)
        sold_here = [s for s in room.sales.values() if s.stock.status != "closed" and not s.detached]
        assert all(sale.listing_id in room.listings for sale in sold_here)


def test_every_event_has_a_meaning() -> None:
    assert set(room_module._MEANINGS) == set(get_args(Event))


def test_only_the_next_offset_is_applied() -> None:
    room = a_room("a")
    stopped = events.ExplainingStopped(listing_id="a")
    for offset in (0, room.offset, room.offset + 2):
        with pytest.raises(AssertionError):
            room.apply(Envelope(offset=offset, at_ms=NOW_MS, event=stopped))


def test_deciding_and_packing_change_nothing() -> None:
    room = a_room("a", "b")
    before = msgspec.json.encode(room)
    event = decide(room, commands.WithdrawListing(id="c", room=ROOM, listing_id="a"), NOW_MS)
    assert event is not None
    room.changes(event)
    assert msgspec.json.encode(room) == before


def test_the_last_closed_sales_are_kept_and_older_ones_dropped_here_and_in_the_store() -> None:
    room, store = Room.load({}, 7, 0), Store()
    for number in range(CLOSED_SALES_MAX + 3):
        opened = sale(f"s{number}", "a")
        store.append(room, events.SaleOpened(sale=opened))
        store.append(room, events.SaleClosed(stock=stock(f"s{number}", 2, 0, status="closed")))
    running = sale("last", "a")
    store.append(room, events.SaleOpened(sale=running))

    assert len(room.sales) == CLOSED_SALES_MAX + 1
    assert {"s0", "s1", "s2"}.isdisjoint(room.sales)
    assert {"s3", "last"} <= set(room.sales)
    assert store.load(room) == room
    assert sum(key.startswith("sale:") for key in store.state) == CLOSED_SALES_MAX + 1


def test_the_oldest_close_goes_first_not_the_oldest_opening() -> None:
    room = Room.load({}, 7, 0)
    for number in range(CLOSED_SALES_MAX + 1):
        happen(room, events.SaleOpened(sale=sale(f"s{number}", "a")))
    for number in reversed(range(CLOSED_SALES_MAX + 1)):
        happen(room, events.SaleClosed(stock=stock(f"s{number}", 2, status="closed")))
    assert f"s{CLOSED_SALES_MAX}" not in room.sales
    assert "s0" in room.sales


def test_mutes_are_bounded_and_the_soonest_to_end_makes_room() -> None:
    room, store = Room.load({}, 7, 0), Store()
    for number in range(MUTES_MAX):
        store.append(room, events.UserMuted(user_id=f"u{number}", until_ms=NOW_MS + 1_000 + number))
    store.append(room, events.UserMuted(user_id="u5", until_ms=NOW_MS + 9_000_000))  # known: replaces
    assert "u0" in room.muted
    store.append(room, events.UserMuted(user_id="new", until_ms=NOW_MS + 9_000_000))
    assert "u0" not in room.muted
    assert len(room.muted) == MUTES_MAX
    assert store.load(room) == room


def test_a_lifted_mute_leaves_nothing() -> None:
    room, store = Room.load({}, 7, 0), Store()
    store.append(room, events.UserMuted(user_id="u", until_ms=NOW_MS + 1_000))
    assert room.muted_until_ms("u", NOW_MS) == NOW_MS + 1_000
    assert room.muted_until_ms("u", NOW_MS + 1_000) == 0
    store.append(room, events.UserMuted(user_id="u", until_ms=0))
    assert store.state == {}
    assert room.muted == {}


def test_a_snapshot_says_the_room_in_the_carts_order() -> None:
    room = a_room("a", "b")
    say(room, commands.OrderCart(id="c", room=ROOM, listing_ids=["b", "a"]))
    say(room, commands.StartExplaining(id="c", room=ROOM, listing_id="a"))
    begin_sale(room, "s", "b", 3)
    learn(room, stock("s", 9, 0))
    say(room, commands.Mute(id="c", room=ROOM, user_id="over", seconds=1))
    say(room, commands.Mute(id="c", room=ROOM, user_id="rude", seconds=60))
    say(room, commands.PauseRoom(id="c", room=ROOM))
    recent = [comment("d1", "hi")]

    snapshot = room.snapshot(recent, NOW_MS + 1_000)

    assert [listing.listing_id for listing in snapshot.listings] == ["b", "a"]
    assert [listing.number for listing in snapshot.listings] == [2, 1]
    assert snapshot.offset == room.offset == 9
    assert snapshot.explaining == "a"
    assert snapshot.status is RoomStatus.PAUSED
    assert [(s.sale_id, s.sold_out, s.stock.seq) for s in snapshot.sales] == [("s", True, 9)]
    assert snapshot.muted == {"rude": NOW_MS + 60_000}
    assert snapshot.recent == recent
    assert set(room.snapshot([]).muted) == {"over", "rude"}


def test_state_of_a_newer_version_is_skipped() -> None:
    room = Room.load({"coupon:x": b"\xc0", "explaining": msgspec.msgpack.encode("a")}, 3, 5)
    assert room == Room(epoch=3, offset=5, explaining="a")


def test_withdrawing_what_is_explained_ends_the_explaining() -> None:
    room = a_room("a", "b")
    say(room, commands.StartExplaining(id="c", room=ROOM, listing_id="a"))
    say(room, commands.WithdrawListing(id="c", room=ROOM, listing_id="b"))
    assert room.explaining == "a"
    say(room, commands.WithdrawListing(id="c", room=ROOM, listing_id="a"))
    assert room.explaining == ""
    assert room.order == []


def test_a_number_is_not_given_again_after_a_withdrawal() -> None:
    room = a_room("a")
    say(room, commands.WithdrawListing(id="c", room=ROOM, listing_id="a"))
    say(room, publish("a"))
    assert room.listings["a"].number == 2
