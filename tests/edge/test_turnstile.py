"""A crowd by slices: in order, everybody, and others in between."""

from __future__ import annotations

import asyncio
import time

from liveserver.edge.turnstile import Turnstile


async def until_through(turnstile: Turnstile) -> None:
    for _ in range(1_000):
        if not len(turnstile) and not turnstile._scheduled:
            return
        await asyncio.sleep(0)
    raise AssertionError("somebody waits for ever")


def busy(duration_s: float) -> None:
    until_s = time.perf_counter() + duration_s
    while time.perf_counter() < until_s:
        pass


async def test_who_comes_alone_comes_in_at_once() -> None:
    turnstile, came = Turnstile(), []
    for number in range(3):
        assert turnstile.enter(lambda number=number: came.append(number))  # type: ignore[misc]
    assert came == [0, 1, 2]
    await until_through(turnstile)


async def test_a_crowd_comes_in_order_and_others_between_its_slices() -> None:
    """Each piece takes a slice, so each has a turn of its own."""
    turnstile, came = Turnstile(slice_s=0.001), []

    def come(who: str) -> None:
        came.append(who)
        busy(0.0011)

    assert turnstile.enter(lambda: come("a"))
    assert [turnstile.enter(lambda who=who: come(who)) for who in "bcd"] == [False] * 3  # type: ignore[misc]
    for _ in range(4):
        asyncio.get_running_loop().call_soon(came.append, "-")
        await asyncio.sleep(0)
    assert "".join(came) == "ab-c-d--"
    await until_through(turnstile)


async def test_nobody_overtakes_who_waits() -> None:
    turnstile, came = Turnstile(slice_s=0.0005), []
    turnstile.enter(lambda: busy(0.001))
    turnstile.enter(lambda: came.append("waited"))
    assert len(turnstile) == 1
    assert not turnstile.enter(lambda: came.append("came later"))
    await until_through(turnstile)
    assert came == ["waited", "came later"]


async def test_each_turn_has_its_own_time() -> None:
    turnstile = Turnstile(slice_s=0.001)
    for _ in range(5):
        assert turnstile.enter(lambda: busy(0.0015)), "the turn before is over, and so is its time"
        await asyncio.sleep(0)


async def test_even_a_slice_of_nothing_lets_one_in() -> None:
    turnstile, came = Turnstile(slice_s=0.0), []
    for number in range(20):
        assert not turnstile.enter(lambda number=number: came.append(number))  # type: ignore[misc]
    await until_through(turnstile)
    assert came == list(range(20))


async def test_one_who_fails_keeps_nobody_out() -> None:
    turnstile, came = Turnstile(slice_s=0.0), []
    turnstile.enter(lambda: [][0])
    turnstile.enter(lambda: came.append("in"))
    await until_through(turnstile)
    assert came == ["in"]
