"""Slices, lane order, turns: what is written when, and what is counted."""

from __future__ import annotations

import asyncio
import itertools
from array import array
from collections.abc import Callable

import pytest

from liveserver.commands.session import Session
from liveserver.core.limits import SessionRates
from liveserver.core.rate import SessionLimits
from liveserver.edge.descriptors import NO_SLOT
from liveserver.edge.senders import WRITES_PER_LOOK, Odd
from liveserver.hub import broadcaster as b
from liveserver.hub.encoded import Encoded, Variant
from liveserver.hub.seats import Seat, Seats, SeatState
from protocol.codec import JSON, MSGPACK
from protocol.frames import Frame

pytestmark = pytest.mark.usefixtures("either_sender")
PLAIN = Variant(JSON, False)


class Pen:
    """Writes down what is written, and may do something at a certain write."""

    slot = NO_SLOT

    def __init__(self, log: list[tuple[str, bytes]], name: str) -> None:
        self.log = log
        self.name = name
        self.then: Callable[[], None] = lambda: None

    def write(self, frame: bytes) -> None:
        self.log.append((self.name, frame))
        self.then()

    say = write


def seat(log: list[tuple[str, bytes]], name: str, variant: Variant = PLAIN, cursor: int = 0) -> Seat:
    session = Session(name, SessionLimits(SessionRates()), lambda _: None)
    return Seat(session, Pen(log, name), variant, cursor)


def seats_of(log: list[tuple[str, bytes]], count: int) -> list[Seat]:
    return [seat(log, f"{n}") for n in range(count)]


def listed(seats: list[Seat]) -> Seats:
    made = Seats()
    for one in seats:
        made.add(one)
    return made


def submit(caster: b.Broadcaster, encoded: Encoded, seats: Seats, sums: Sums) -> None:
    caster.submit_tick(b.TickJob(encoded, seats.captured(), sums, caster.sender))


class Sums:
    def __init__(self) -> None:
        self.told: list[dict[str, int]] = []

    def __call__(self, **sums: int) -> None:
        self.told.append(sums)


class EndlessTime:
    """Every look at the clock says that the slice is over."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


async def turns(count: int = 200) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_everybody_captured_gets_the_same_bytes_once() -> None:
    log: list[tuple[str, bytes]] = []
    seats = Seats()
    for n in range(100):
        seats.add(seat(log, f"j{n}"))
        seats.add(seat(log, f"m{n}", Variant(MSGPACK, False)))
    sums = Sums()
    encoded = Encoded(Frame(room="r", t=1, n=1))
    caster = b.Broadcaster(asyncio.get_running_loop())
    submit(caster, encoded, seats, sums)
    await turns()
    assert sums.told == [{"captured": 200, "written": 200, "paused": 0, "closed": 0}]
    assert sorted(name for name, _ in log) == sorted(
        [f"j{n}" for n in range(100)] + [f"m{n}" for n in range(100)]
    )
    assert {frame for name, frame in log if name[0] == "j"} == {encoded.bytes_for(PLAIN)}
    assert len({id(frame) for _, frame in log}) == 2, "encoded once per variant"


async def test_a_large_audience_is_written_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(b, "perf_counter", EndlessTime())
    log: list[tuple[str, bytes]] = []
    seats = seats_of(log, 10 * WRITES_PER_LOOK)
    sums = Sums()
    caster = b.Broadcaster(asyncio.get_running_loop())
    submit(caster, Encoded(Frame(room="r", t=1, n=1)), listed(seats), sums)
    written = []
    while not sums.told:
        await asyncio.sleep(0)
        written.append(len(log))
    steps = [after - before for before, after in zip([0, *written], written, strict=False)]
    assert max(steps) == WRITES_PER_LOOK, "between two slices the loop has its turn"
    assert len(log) == 10 * WRITES_PER_LOOK


async def test_between_two_slices_what_a_reply_needs_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A purchase's answer is several turns of the loop, one after the other: no slice for each of them."""
    monkeypatch.setattr(b, "perf_counter", EndlessTime())
    log: list[tuple[str, bytes]] = []
    seats = seats_of(log, 5 * WRITES_PER_LOOK)
    caster = b.Broadcaster(asyncio.get_running_loop())
    submit(caster, Encoded(Frame(room="r", t=1, n=1)), listed(seats), Sums())
    slices = []
    for turn in range(100):
        before = len(log)
        await asyncio.sleep(0)
        if len(log) > before:
            slices.append(turn)
    assert len(slices) == 5
    assert min(later - earlier for earlier, later in itertools.pairwise(slices)) > b.RESTS


async def test_critical_goes_before_ticks_even_in_the_middle_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(b, "perf_counter", EndlessTime())
    log: list[tuple[str, bytes]] = []
    seats = seats_of(log, 4 * WRITES_PER_LOOK)
    caster = b.Broadcaster(asyncio.get_running_loop())
    tick = Encoded(Frame(room="r", t=1, n=1))
    submit(caster, tick, listed(seats), Sums())
    await turns(2)
    under_way = len(log)
    assert 0 < under_way < len(seats)
    done: list[bool] = []

    def bring(one: Seat) -> None:
        one.writer.write(b"critical")

    caster.submit_critical(b.CriticalJob(seats, bring, lambda: done.append(True)))
    await turns()
    order = [frame == b"critical" for _, frame in log[under_way:]]
    assert order == [True] * len(seats) + [False] * (len(seats) - under_way)
    assert done == [True]


async def test_a_mistake_with_one_viewer_costs_the_others_nothing() -> None:
    log: list[tuple[str, bytes]] = []
    viewers = seats_of(log, 2 * WRITES_PER_LOOK)
    for poor in (0, 5, WRITES_PER_LOOK):
        pen = viewers[poor].writer
        assert isinstance(pen, Pen)
        pen.then = _fails
    caster, sums = b.Broadcaster(asyncio.get_running_loop()), Sums()
    submit(caster, Encoded(Frame(room="r", t=1, n=1)), listed(viewers), sums)
    brought: list[str] = []

    def bring(seat: Seat) -> None:
        brought.append(seat.session.session_id)
        if seat is viewers[5]:
            _fails()

    done: list[bool] = []

    def is_done() -> None:
        done.append(True)
        _fails()

    caster.submit_critical(b.CriticalJob(viewers, bring, is_done))
    await turns()
    everybody = [f"{n}" for n in range(len(viewers))]
    assert brought == everybody
    assert done == [True], "told once, though it failed"
    assert sorted(name for name, _ in log) == sorted(everybody)
    assert len(sums.told) == 1


def _fails() -> None:
    raise RuntimeError("a mistake of ours")


async def test_rooms_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(b, "perf_counter", EndlessTime())
    log: list[tuple[str, bytes]] = []
    caster = b.Broadcaster(asyncio.get_running_loop())
    for room in ("a", "b"):
        seats = [seat(log, room) for _ in range(3 * WRITES_PER_LOOK)]
        submit(caster, Encoded(Frame(room=room, t=1, n=1)), listed(seats), Sums())
    await turns()
    names = "".join(name for name, _ in log)
    chunk = WRITES_PER_LOOK
    assert names == ("a" * chunk + "b" * chunk) * 3


async def test_who_pauses_or_goes_in_the_middle_is_counted_not_written() -> None:
    log: list[tuple[str, bytes]] = []
    first, second, third = seats_of(log, 3)
    seats = listed([first, second, third])
    pen = first.writer
    assert isinstance(pen, Pen)

    def meanwhile() -> None:
        second.state = SeatState.PAUSED
        seats.remove(third)

    pen.then = meanwhile
    sums = Sums()
    caster = b.Broadcaster(asyncio.get_running_loop())
    submit(caster, Encoded(Frame(room="r", t=1, n=1)), seats, sums)
    await turns()
    assert [name for name, _ in log] == ["0"]
    assert sums.told == [{"captured": 3, "written": 1, "paused": 1, "closed": 1}]
    assert second.missed, "he is owed the full state"


async def test_empty_places_of_an_earlier_broadcast_are_in_no_sum() -> None:
    log: list[tuple[str, bytes]] = []
    some = seats_of(log, 4)
    seats = listed(some)
    earlier = seats.captured()
    seats.remove(some[1])
    sums = Sums()
    caster = b.Broadcaster(asyncio.get_running_loop())
    submit(caster, Encoded(Frame(room="r", t=1, n=1)), seats, sums)
    await turns()
    assert sums.told == [{"captured": 3, "written": 3, "paused": 0, "closed": 0}]
    del earlier


class Cutting:
    """It says that the kernel has taken a part of everybody's frame."""

    name = "cutting"
    taken = 5

    def send(self, slots: array[int], at: int, end: int, frame: bytes, seconds: float) -> tuple[int, Odd]:
        return end, [(place, self.taken) for place in range(at, end)]


async def test_a_frame_that_has_begun_is_finished_whatever_the_seat_says() -> None:
    log: list[tuple[str, bytes]] = []
    one = seat(log, "0")
    one.state = SeatState.PAUSED
    sums = Sums()
    encoded = Encoded(Frame(room="r", t=1, n=1))
    caster = b.Broadcaster(asyncio.get_running_loop(), Cutting())
    submit(caster, encoded, listed([one]), sums)
    await turns()
    assert log == [("0", encoded.bytes_for(PLAIN)[Cutting.taken :])]
    assert sums.told == [{"captured": 1, "written": 1, "paused": 0, "closed": 0}]


def test_a_seat_leaves_its_list_once() -> None:
    log: list[tuple[str, bytes]] = []
    seats = Seats()
    one, two = seats_of(log, 2)
    seats.add(one)
    seats.add(two)
    seats.remove(one)
    seats.remove(one)
    assert len(seats) == 1
    assert list(seats) == [two]
    assert one.state is SeatState.GONE
    seats.remove(two)
    assert seats.captured() == []
