"""The pure core: what is given out when, and when an entry is acknowledged; when a row is tried again."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveserver.orders.attempts import Again, Dead, Patience
from liveserver.orders.rows import OrderRow
from liveserver.orders.sink import Failed, Refused
from liveserver.orders.window import Under, Window


def row(seq: int, user: str = "ann") -> OrderRow:
    return OrderRow(
        id=f"s1/7-{seq}",
        sale_id="s1",
        epoch=7,
        seq=seq,
        at_ms=1,
        kind="held",
        reservation_id=f"s1~{user}~0",
        user_id=user,
        command_id="c1",
        by_command_id="c1",
        lines=[],
        expires_at_ms=2,
    )


def out(window: Window, now_ms: int = 0) -> list[Under]:
    return list(iter(lambda: window.next(now_ms), None))


def seqs(given_out: list[Under]) -> list[int]:
    return [one.row.seq for one in given_out]


def test_one_reservation_waits_for_itself_and_nobody_else() -> None:
    window = Window()
    window.take("7-2", [row(1, "ann"), row(2, "bob")])
    window.take("7-3", [row(3, "ann")])
    first = out(window)
    assert seqs(first) == [1, 2]
    window.again(first[0], due_ms=500)
    window.ended(first[1])
    assert out(window, 499) == [] and window.due_ms() == 500
    (again,) = out(window, 500)
    assert (again.row.seq, again.attempts) == (1, 1)
    assert out(window, 10_000) == []
    window.ended(again)
    assert seqs(out(window)) == [3]


def test_an_entry_is_acknowledged_with_its_last_row() -> None:
    window = Window()
    assert window.take("7-3", [row(1, "a"), row(2, "b"), row(3, "c")], done={"7-2"}, attempts={"7-3": 4})
    one, three = out(window)
    assert three.attempts == 4
    assert not window.closes(three)
    window.ended(three)
    assert window.closes(one)
    assert window.places(one) == ("7-1", "7-2", "7-3")
    window.ended(one)
    assert window.rows == 0 and window.due_ms() is None


def test_an_entry_without_anything_left_is_not_taken() -> None:
    window = Window()
    assert not window.take("7-1", [])
    assert not window.take("7-2", [row(2)], done={"7-2"})
    assert window.rows == 0


def test_a_dead_letter_tried_again_is_under_way_once() -> None:
    window = Window()
    window.redrive(row(1))
    window.redrive(row(1))
    (one,) = out(window)
    assert window.rows == 1 and not window.closes(one)
    window.ended(one)
    window.redrive(row(1))
    assert seqs(out(window)) == [1]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 6))
def test_whatever_happens_order_holds_and_every_entry_is_acknowledged_once(
    seed: int, entries: int, users: int
) -> None:
    draw, window, seq = random.Random(seed), Window(), itertools.count(1)
    waiting = [
        [row(next(seq), f"u{draw.randrange(users)}") for _ in range(draw.randint(1, 4))]
        for _ in range(entries)
    ]
    every = [one for rows in waiting for one in rows]
    under_way: list[Under] = []
    ended: list[int] = []
    acknowledged: list[str] = []
    now_ms = 0
    while waiting or window.rows:
        if waiting and draw.random() < 0.5:
            rows = waiting.pop(0)
            assert window.take(f"7-{rows[-1].seq}", rows)
        while (one := window.next(now_ms)) is not None:
            under_way.append(one)
        assert len({one.row.reservation_id for one in under_way}) == len(under_way)
        if under_way and draw.random() < 0.8:
            one = under_way.pop(draw.randrange(len(under_way)))
            if draw.random() < 0.3:
                window.again(one, now_ms + draw.randint(0, 30))
            else:
                if window.closes(one):
                    acknowledged.append(one.entry_id)
                window.ended(one)
                ended.append(one.row.seq)
        now_ms += 10
    assert sorted(ended) == [one.seq for one in every]
    assert len(acknowledged) == len(set(acknowledged)) == entries
    for user in {one.user_id for one in every}:
        mine = [one.seq for one in every if one.user_id == user]
        assert [number for number in ended if number in mine] == mine


def test_waits_double_up_to_the_longest() -> None:
    patience = Patience(attempts_max=9, wait_ms_first=100, wait_ms_most=1_000)
    assert [patience.wait_ms(n, lambda: 1.0) for n in (1, 2, 3, 4, 5, 60)] == [100, 200, 400, 800, 1000, 1000]
    assert [patience.wait_ms(n, lambda: 0.0) for n in (1, 2, 5)] == [50, 100, 500]


@pytest.mark.parametrize(
    ("answer", "attempts", "verdict"),
    [
        (Refused("no"), 1, Dead("no")),
        (Failed("busy"), 1, Again(100)),
        (Failed("busy"), 2, Again(200)),
        (Failed("busy"), 3, Dead("3 attempts, the last: busy")),
    ],
)
def test_when_a_row_is_given_up(answer: Refused | Failed, attempts: int, verdict: Again | Dead) -> None:
    patience = Patience(attempts_max=3, wait_ms_first=100, wait_ms_most=1_000)
    assert patience.after(answer, attempts, lambda: 1.0) == verdict
