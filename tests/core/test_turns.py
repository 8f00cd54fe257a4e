"""Turns: each once in a round, evenly spread."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from liveserver.core.turns import Turns

STEPS = 8


def walk(turns: Turns, steps: int = STEPS) -> list[list[str]]:
    return [turns.step() for _ in range(steps)]


@given(st.integers(0, 50), st.integers(0, STEPS))
def test_each_has_one_turn_in_a_round_and_no_step_more_than_another(count: int, walked: int) -> None:
    turns = Turns(STEPS)
    walk(turns, walked)
    names = [f"r{k}" for k in range(count)]
    for name in names:
        turns.add(name)
        turns.add(name)
    made = walk(turns)
    assert sorted(name for step in made for name in step) == sorted(names)
    sizes = [len(step) for step in made]
    assert max(sizes) - min(sizes) <= 1
    assert walk(turns) == made, "each keeps its step"
    assert len(turns) == count


def test_who_comes_in_waits_a_whole_round() -> None:
    turns = Turns(STEPS)
    walk(turns, 3)
    turns.add("new")
    assert walk(turns) == [[]] * (STEPS - 1) + [["new"]]


def test_who_goes_leaves_a_gap_for_the_next() -> None:
    turns = Turns(STEPS)
    for k in range(2 * STEPS):
        turns.add(f"r{k}")
    first, *_ = walk(turns)
    for name in first:
        turns.remove(name)
        turns.remove(name)
    assert walk(turns)[0] == []
    turns.add("new")
    assert walk(turns)[0] == ["new"]
