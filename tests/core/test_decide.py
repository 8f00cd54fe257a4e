from __future__ import annotations

from collections.abc import Callable

import pytest

from liveserver.core.decide import CRITICAL_COMMANDS, check_open_sale, decide, decide_sale, made
from liveserver.core.room import Room
from protocol import commands, events
from protocol.errors import CommandError
from protocol.events import Event
from protocol.limits import LISTINGS_PER_CART_MAX
from protocol.types import Item, ItemDraft, RoomStatus, Stock

from .make import NOW_MS, ROOM, a_room, begin_sale, draft, learn, open_sale, publish, sale, say, stock

C = commands
AFTER_CLOSING_MS = NOW_MS + 3_600_000


def explain(listing_id: str) -> C.StartExplaining:
    return C.StartExplaining(id="c", room=ROOM, listing_id=listing_id)


def order(*listing_ids: str) -> C.OrderCart:
    return C.OrderCart(id="c", room=ROOM, listing_ids=list(listing_ids))


def withdraw(listing_id: str) -> C.WithdrawListing:
    return C.WithdrawListing(id="c", room=ROOM, listing_id=listing_id)


def update(
    listing_id: str,
    *,
    title: str | None = None,
    line: str | None = None,
    photo: str | None = None,
    items: list[ItemDraft] | None = None,
) -> C.UpdateListing:
    return C.UpdateListing(
        id="c", room=ROOM, listing_id=listing_id, title=title, line=line, photo=photo, items=items
    )


def mute(user_id: str, seconds: int) -> C.Mute:
    return C.Mute(id="c", room=ROOM, user_id=user_id, seconds=seconds)


STOP = C.StopExplaining(id="c", room=ROOM)
START, PAUSE, END = (shape(id="c", room=ROOM) for shape in (C.StartRoom, C.PauseRoom, C.EndRoom))


def empty() -> Room:
    return a_room()


def two() -> Room:
    return a_room("a", "b")


def explaining_a() -> Room:
    room = two()
    say(room, explain("a"))
    return room


def selling_a() -> Room:
    room = two()
    begin_sale(room, "s", "a", 10)
    return room


def sold_a() -> Room:
    room = selling_a()
    learn(room, stock("s", 9, 0, status="closed"))
    return room


def paused() -> Room:
    room = two()
    say(room, PAUSE)
    return room


def ended() -> Room:
    room = explaining_a()
    say(room, END)
    return room


def full() -> Room:
    return a_room(*(f"l{number}" for number in range(LISTINGS_PER_CART_MAX)))


def muted() -> Room:
    room = two()
    say(room, mute("u", 60))
    return room


Start = Callable[[], Room]

EVENTS: list[tuple[Start, C.CommandBase, Event]] = [
    (two, order("b", "a"), events.CartOrdered(listing_ids=["b", "a"])),
    (two, explain("a"), events.ExplainingStarted(listing_id="a")),
    (explaining_a, explain("b"), events.ExplainingStarted(listing_id="b")),
    (explaining_a, STOP, events.ExplainingStopped(listing_id="a")),
    (two, withdraw("a"), events.ListingWithdrawn(listing_id="a")),
    (explaining_a, withdraw("a"), events.ListingWithdrawn(listing_id="a")),
    (selling_a, withdraw("b"), events.ListingWithdrawn(listing_id="b")),
    (sold_a, withdraw("a"), events.ListingWithdrawn(listing_id="a")),
    (two, mute("u", 60), events.UserMuted(user_id="u", until_ms=NOW_MS + 60_000)),
    (muted, mute("u", 5), events.UserMuted(user_id="u", until_ms=NOW_MS + 5_000)),
    (muted, mute("u", 0), events.UserMuted(user_id="u", until_ms=0)),
    (ended, mute("u", 60), events.UserMuted(user_id="u", until_ms=NOW_MS + 60_000)),
    (ended, C.DeleteDanmaku(id="c", room=ROOM, danmaku_id="d"), events.DanmakuDeleted(danmaku_id="d")),
    (two, PAUSE, events.RoomStatusChanged(status=RoomStatus.PAUSED)),
    (paused, START, events.RoomStatusChanged(status=RoomStatus.LIVE)),
    (two, END, events.RoomStatusChanged(status=RoomStatus.ENDED)),
    (paused, END, events.RoomStatusChanged(status=RoomStatus.ENDED)),
    (paused, explain("a"), events.ExplainingStarted(listing_id="a")),
]

ALREADY: list[tuple[Start, C.CommandBase]] = [
    (two, publish("a")),
    (full, publish("l0")),
    (selling_a, publish("a")),
    (two, order("a", "b")),
    (empty, order()),
    (explaining_a, explain("a")),
    (two, STOP),
    (two, update("a")),
    (two, update("a", title="a cup")),
    (selling_a, update("a", items=draft("a", 10).items)),
    (two, mute("u", 0)),
    (two, START),
    (paused, PAUSE),
    (ended, END),
]

REFUSED: list[tuple[Start, C.CommandBase, str, str]] = [
    (two, publish("a", title="other"), "listing_exists", "listing.listingId"),
    (two, publish("a", 10, 5), "listing_exists", "listing.listingId"),
    (full, publish("one more"), "cart_full", "listing"),
    (two, order("a"), "cart_mismatch", "listingIds"),
    (two, order("a", "a"), "cart_mismatch", "listingIds"),
    (two, order("a", "b", "b"), "cart_mismatch", "listingIds"),
    (two, order("a", "x"), "cart_mismatch", "listingIds"),
    (two, explain("x"), "unknown_listing", "listingId"),
    (two, withdraw("x"), "unknown_listing", "listingId"),
    (two, update("x", title="t"), "unknown_listing", "listingId"),
    (selling_a, withdraw("a"), "sale_running", "listingId"),
    (selling_a, update("a", items=draft("a", 11).items), "sale_running", "items"),
    (selling_a, update("a", items=draft("a", 10, price_fen=1).items), "sale_running", "items"),
    (selling_a, update("a", items=[ItemDraft(item_id="z", price_fen=1)]), "sale_running", "items"),
    (
        two,
        update("a", items=[ItemDraft(item_id="i", price_fen=1), ItemDraft(item_id="i", price_fen=2)]),
        "invalid_field",
        "items",
    ),
    (ended, publish("x"), "room_ended", "room"),
    (ended, update("a", title="t"), "room_ended", "room"),
    (ended, withdraw("a"), "room_ended", "room"),
    (ended, order("b", "a"), "room_ended", "room"),
    (ended, explain("b"), "room_ended", "room"),
    (ended, STOP, "room_ended", "room"),
    (ended, START, "room_ended", "room"),
    (ended, PAUSE, "room_ended", "room"),
]


@pytest.mark.parametrize(("start", "command", "event"), EVENTS)
def test_makes_an_event(start: Start, command: C.CommandBase, event: Event) -> None:
    assert decide(start(), command, NOW_MS) == event


@pytest.mark.parametrize(("start", "command"), ALREADY)
def test_is_so_already(start: Start, command: C.CommandBase) -> None:
    assert decide(start(), command, NOW_MS) is None


@pytest.mark.parametrize(("start", "command", "code", "field"), REFUSED)
def test_is_refused(start: Start, command: C.CommandBase, code: str, field: str) -> None:
    with pytest.raises(CommandError) as refused:
        decide(start(), command, NOW_MS)
    assert (refused.value.code, refused.value.field) == (code, field)


def test_a_refused_command_stands_for_each_kind_the_tables_know() -> None:
    seen = {type(row[1]) for table in (EVENTS, ALREADY, REFUSED) for row in table}
    assert seen == CRITICAL_COMMANDS


@pytest.mark.parametrize("command", [publish("x"), update("a", title="t"), withdraw("a"), order("b", "a")])
def test_what_an_ended_room_refuses_a_running_one_allows(command: C.CommandBase) -> None:
    assert decide(two(), command, NOW_MS) is not None


def test_publishing_takes_the_next_number_and_all_that_was_said() -> None:
    room = two()
    command = publish("x", 3, 0, title="tea")
    event = say(room, command)
    assert isinstance(event, events.ListingPublished)
    assert event.listing.number == 3
    assert event.listing.title == "tea"
    assert event.listing.items == [
        Item(item_id="i0", price_fen=990, stock=3),
        Item(item_id="i1", price_fen=990, stock=0),
    ]
    assert room.order == ["a", "b", "x"]


def test_an_item_named_twice_is_refused_in_a_new_listing() -> None:
    twice = publish("x", 1, 1)
    twice.listing.items[1] = twice.listing.items[0]
    with pytest.raises(CommandError) as refused:
        decide(empty(), twice, NOW_MS)
    assert (refused.value.code, refused.value.field) == ("invalid_field", "listing.items")


def test_an_update_changes_what_is_given_and_keeps_the_rest() -> None:
    room = two()
    say(room, update("a", line="one line", photo="p.jpg"))
    before = room.listings["a"]
    event = say(room, update("a", title="new"))
    assert isinstance(event, events.ListingUpdated)
    assert event.listing.title == "new"
    assert (event.listing.line, event.listing.photo) == ("one line", "p.jpg")
    assert (event.listing.number, event.listing.items) == (before.number, before.items)
    say(room, update("a", line=""))
    assert room.listings["a"].line == ""


def test_while_a_sale_runs_an_item_may_join_and_words_may_change() -> None:
    room = selling_a()
    say(room, update("a", title="new", items=draft("a", 10, 4).items))
    assert [item.item_id for item in room.listings["a"].items] == ["i0", "i1"]


def test_a_sale_whose_time_is_over_holds_no_listing_back() -> None:
    room = selling_a()
    for command in (withdraw("a"), update("a", items=draft("a", 11).items)):
        with pytest.raises(CommandError):
            decide(room, command, AFTER_CLOSING_MS - 1)
        assert decide(room, command, AFTER_CLOSING_MS) is not None


def test_an_ended_mute_needs_no_lifting() -> None:
    assert decide(muted(), mute("u", 0), NOW_MS + 59_999) is not None
    assert decide(muted(), mute("u", 0), NOW_MS + 60_000) is None


# -- sales ---------------------------------------------------------------------------------------------


def refusal(room: Room, command: C.OpenSale, now_ms: int = NOW_MS) -> tuple[str, str]:
    with pytest.raises(CommandError) as refused:
        check_open_sale(room, command, now_ms)
    return refused.value.code, refused.value.field


def test_a_sale_needs_a_listing_with_stock_in_a_room_that_goes_on() -> None:
    room = a_room("a")
    say(room, publish("none", 0, 0))
    assert check_open_sale(room, open_sale("s", "a"), NOW_MS) == room.listings["a"]
    assert refusal(room, open_sale("s", "x")) == ("unknown_listing", "listingId")
    assert refusal(room, open_sale("s", "none")) == ("invalid_field", "listingId")
    say(room, END)
    assert refusal(room, open_sale("s", "a")) == ("room_ended", "room")


def test_one_running_sale_a_listing() -> None:
    room = selling_a()
    assert refusal(room, open_sale("s2", "a")) == ("sale_running", "listingId")
    assert check_open_sale(room, open_sale("s2", "b"), NOW_MS).listing_id == "b"
    assert check_open_sale(room, open_sale("s2", "a"), AFTER_CLOSING_MS).listing_id == "a"
    assert check_open_sale(sold_a(), open_sale("s2", "a"), NOW_MS).listing_id == "a"


def test_the_same_sale_again_is_the_ledgers_question() -> None:
    room = selling_a()
    assert check_open_sale(room, open_sale("s", "a"), NOW_MS).listing_id == "a"
    assert refusal(room, open_sale("s", "b")) == ("sale_conflict", "saleId")


def view(seq: int, *units: int, status: str = "open", epoch: int = 1) -> Stock:
    return stock("s", seq, *units, status=status, epoch=epoch)


def test_a_new_sale_is_opened_with_the_newest_view() -> None:
    opened = sale("s", "a", 1, 10)
    event = decide_sale(two(), "s", view(4, 7), opened)
    assert isinstance(event, events.SaleOpened)
    assert event.sale.stock == view(4, 7)
    assert event.sale.sold_out is False
    sold = decide_sale(two(), "s", view(11, 0), opened)
    assert isinstance(sold, events.SaleOpened)
    assert sold.sale.sold_out is True


def test_a_sale_nobody_described_or_that_is_over_is_not_opened() -> None:
    assert decide_sale(two(), "s", view(1, 10), None) is None
    assert decide_sale(two(), "s", view(4, 0, status="closed"), sale("s", "a")) is None


def test_sold_out_restocked_and_closed_are_told_once_each() -> None:
    room = selling_a()
    assert decide_sale(room, "s", view(2, 9), None) is None
    assert learn(room, view(5, 0)) == events.SaleSoldOut(stock=view(5, 0))
    assert (room.sales["s"].sold_out, room.sales["s"].stock) == (True, view(5, 0))
    assert decide_sale(room, "s", view(6, 0), None) is None
    assert learn(room, view(7, 1)) == events.SaleRestocked(stock=view(7, 1))
    assert (room.sales["s"].sold_out, room.sales["s"].stock) == (False, view(7, 1))
    closed = view(8, 0, status="closed")
    assert learn(room, closed) == events.SaleClosed(stock=closed)
    assert room.sales["s"].stock == closed
    for later in (view(9, 5), view(9, 0), view(10, 5, status="closed"), view(1, 5, epoch=2)):
        assert decide_sale(room, "s", later, None) is None


def test_one_item_left_is_not_sold_out() -> None:
    room = two()
    begin_sale(room, "s", "a", 5, 5)
    assert decide_sale(room, "s", view(3, 0, 1), None) is None
    assert decide_sale(room, "s", view(4, 0, 0), None) == events.SaleSoldOut(stock=view(4, 0, 0))


def test_a_view_that_is_not_newer_says_nothing() -> None:
    room = selling_a()
    learn(room, view(5, 0))
    for old in (view(4, 3), view(5, 3), view(5, 3, status="closed"), view(9, 3, epoch=0)):
        assert decide_sale(room, "s", old, None) is None
    assert isinstance(decide_sale(room, "s", view(1, 3, epoch=2), None), events.SaleRestocked)


# -- one id, one command -------------------------------------------------------------------------------

EVERY: list[tuple[C.CommandBase, Callable[[], Room]]] = [
    (publish("c"), two),
    (publish("c", title="a cup, red"), two),
    (update("a", title="a mug"), two),
    (update("a", line="hot"), two),
    (update("b", title="a mug"), two),
    (withdraw("a"), two),
    (withdraw("b"), two),
    (order("b", "a"), two),
    (explain("a"), two),
    (explain("b"), two),
    (mute("u", 60), two),
    (mute("v", 60), two),
    (C.DeleteDanmaku(id="c", room=ROOM, danmaku_id="d1"), two),
    (C.DeleteDanmaku(id="c", room=ROOM, danmaku_id="d2"), two),
    (PAUSE, two),
    (END, two),
]


def test_each_event_is_known_for_its_own_command_s() -> None:
    for command, room in EVERY:
        event = decide(room(), command, NOW_MS)
        assert event is not None
        makers = [other for other, _ in EVERY if made(other, event)]
        assert makers == [command]
    assert {type(command) for command, _ in EVERY} == CRITICAL_COMMANDS - {C.StopExplaining, C.StartRoom}


def test_what_ends_something_is_known_too() -> None:
    explaining, paused, muted = two(), two(), two()
    say(explaining, explain("a"))
    say(paused, PAUSE)
    say(muted, mute("u", 60))
    for room, command in ((explaining, STOP), (paused, START), (muted, mute("u", 0))):
        event = decide(room, command, NOW_MS)
        assert event is not None and made(command, event)
        assert not any(made(other, event) for other, _ in EVERY)
