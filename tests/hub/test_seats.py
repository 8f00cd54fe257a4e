"""Who is listed: places, empty places, and what a broadcast under way may rely on."""

from __future__ import annotations

import gc
import itertools
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from liveserver.edge.descriptors import NO_SLOT
from liveserver.hub.encoded import Variant
from liveserver.hub.seats import Captured, Seat, Seats, SeatState
from protocol.codec import JSON, MSGPACK

VARIANTS = (Variant(JSON, False), Variant(MSGPACK, True))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.sampled_from(VARIANTS)),
        st.tuples(st.just("leave"), st.integers(0, 1 << 16)),
        st.tuples(st.sampled_from(["capture", "let go"]), st.none()),
    ),
    max_size=80,
)
slots = itertools.count(1)


def new_seat(variant: Variant = VARIANTS[0]) -> Seat:
    return Seat(cast(Any, None), cast(Any, SimpleNamespace(slot=next(slots))), variant, 0)


def seats_in(part: Captured) -> list[Seat | None]:
    return part.table.seats[: part.end]


def there(seat: Seat | None) -> Seat | None:
    return None if seat is None or seat.state is SeatState.GONE else seat


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_whatever_happens_tables_are_aligned_and_a_capture_only_loses(steps: list[tuple[str, Any]]) -> None:
    seats = Seats()
    listed: list[Seat] = []
    held: list[tuple[list[Captured], list[list[Seat | None]]]] = []
    for what, which in steps:
        if what == "join":
            listed.append(new_seat(which))
            seats.add(listed[-1])
        elif what == "leave" and listed:
            gone = listed.pop(which % len(listed))
            seats.remove(gone)
            assert gone.state is SeatState.GONE
        elif what == "capture":
            captured = seats.captured()
            assert sum(part.count for part in captured) == len(listed)
            now = [one for part in captured for one in seats_in(part) if one is not None]
            assert set(now) == set(listed) and len(now) == len(listed)
            if not held:
                assert all(part.count == part.end for part in captured), "empty places are filled"
            held.append((captured, [seats_in(part) for part in captured]))
            del captured
        elif what == "let go" and held:
            held.pop()
        assert len(seats) == len(listed)
        assert set(seats) == set(listed)
        for parts, then in held:
            assert [seats_in(part) for part in parts] == [[there(one) for one in before] for before in then]
        parts = []
        for seat in listed:
            table = seats._of[seat.variant]
            assert seat in table
            assert table.slots[seat.place] == seat.writer.slot
        for table in seats._of.values():
            assert len(table.slots) == len(table.seats)
            empty = [slot for slot, one in zip(table.slots, table.seats, strict=True) if one is None]
            assert set(empty) <= {NO_SLOT}


def test_places_fill_again_once_a_broadcast_is_over() -> None:
    seats = Seats()
    some = [new_seat() for _ in range(10)]
    for one in some:
        seats.add(one)
    captured = seats.captured()
    for one in some[:9]:
        seats.remove(one)
    (part,) = captured
    assert part.count == part.end == len(part.table.seats) == 10
    del captured, part
    gc.collect()
    (part,) = seats.captured()
    assert part.count == part.end == len(part.table.seats) == 1
    assert list(seats) == [some[9]]


def test_a_second_capture_beside_the_first_counts_only_who_is_there() -> None:
    seats = Seats()
    some = [new_seat() for _ in range(4)]
    for one in some:
        seats.add(one)
    first = seats.captured()
    seats.remove(some[1])
    (part,) = seats.captured()
    assert (part.count, part.end) == (3, 4)
    del first


def test_who_is_in_no_table_leaves_none() -> None:
    seats = Seats()
    one, stranger = new_seat(), new_seat()
    seats.add(one)
    seats.remove(stranger)
    assert list(seats) == [one]
