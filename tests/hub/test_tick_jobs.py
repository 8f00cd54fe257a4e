"""A tick's frame to a room where people come, go, stop reading and break off in its middle, over sockets of
the kernel: whole frames, nobody's but those who were there, and the same with either sender."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liveserver.edge import senders
from liveserver.edge.descriptors import DESCRIPTORS
from liveserver.edge.senders import Choice, NoNativeSenderError, Sender, sender
from liveserver.hub.broadcaster import TickJob
from liveserver.hub.seats import SeatState
from tests.hub.pairs import Room, Viewer

PER_LOOK = 3  # places in a slice
SMALL_BYTES = 1_000
LARGE_BYTES = 6_000  # more than a socket takes at once
OVER = 0.0  # a slice that ends at its first look


class Counts(NamedTuple):
    captured: int
    written: int
    paused: int
    closed: int


def frame_of(tick: int) -> bytes:
    return bytes([tick]) * (SMALL_BYTES if tick % 2 else LARGE_BYTES)


class Night:
    """A room and at most one broadcast under way, as a room has it."""

    def __init__(self, sender: Sender) -> None:
        self.room = Room()
        self.sender = sender
        self.job: TickJob | None = None
        self.tick = 0
        self.told: list[Counts] = []
        self.since: dict[Viewer, int] = {}  # the first tick that is for him

    def join(self, owed: bytes = b"", *, encrypted: bool = False) -> Viewer:
        viewer = self.room.join(owed, encrypted=encrypted)
        self.since[viewer] = self.tick + 1
        return viewer

    def begin(self) -> None:
        if self.job is None and len(self.room.seats):
            self.tick += 1
            encoded = cast(Any, SimpleNamespace(bytes_for=lambda variant: frame_of(self.tick)))
            self.job = TickJob(encoded, self.room.seats.captured(), self._done, self.sender)

    def _done(self, **counts: int) -> None:
        self.told.append(Counts(**counts))

    def slice(self) -> None:
        if self.job is not None and self.job.write(OVER):
            self.job = None

    def finish(self) -> None:
        while self.job is not None:
            self.slice()

    def one(self, which: int) -> Viewer | None:
        there = [viewer for viewer in self.room.viewers if not viewer.lost]
        return there[which % len(there)] if there else None

    def ticks_of(self, viewer: Viewer) -> list[int]:
        """Which frames his peer has read; all whole, but for one that is cut where the connection ended."""
        heard, ticks = bytes(viewer.heard), []
        while heard:
            tick = heard[0]
            whole = heard.startswith(frame_of(tick))
            assert whole or (viewer.socket.closed and frame_of(tick).startswith(heard)), "in one piece"
            if whole:
                ticks.append(tick)
            heard = heard[len(frame_of(tick)) :]
        return ticks


@contextmanager
def night(choice: Choice) -> Iterator[Night]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(senders, "WRITES_PER_LOOK", PER_LOOK)
        made = Night(sender(choice))
        try:
            yield made
        finally:
            made.room.end()


@pytest.fixture(params=["python", "native"])
def choice(request: pytest.FixtureRequest) -> Choice:
    needs(request.param)
    return cast(Choice, request.param)


def needs(choice: Choice) -> None:
    try:
        sender(choice)
    except NoNativeSenderError as error:
        pytest.skip(str(error))


PEOPLE = st.integers(0, 1 << 10)
STEP = st.one_of(
    st.tuples(st.sampled_from(["begin", "slice", "slice", "slice", "join"]), st.just(0)),
    st.tuples(st.sampled_from(["read", "leave", "abort", "lose"]), PEOPLE),
)


Outcome = tuple[list[Counts], list[list[int]]]


def played(choice: Choice, steps: list[tuple[str, int]], at_first: int) -> Outcome:
    """What was counted, and which frames each viewer has heard."""
    with night(choice) as it:
        for _ in range(at_first):
            it.join()
        for what, which in steps:
            viewer = it.one(which)
            if what == "join":
                it.join()
            elif what == "begin":
                it.begin()
            elif what == "slice":
                it.slice()
            elif viewer is not None:
                if what == "abort":
                    viewer.socket.abort()
                elif what == "lose":
                    viewer.lose()
                elif what == "leave":
                    viewer.leave()
                else:
                    viewer.read()
        it.finish()
        for viewer in it.room.viewers:
            viewer.read()
        heard = [it.ticks_of(viewer) for viewer in it.room.viewers]
        for viewer, ticks in zip(it.room.viewers, heard, strict=True):
            assert all(tick >= it.since[viewer] for tick in ticks), "composed before he came"
            assert ticks == sorted(set(ticks)), "once, in order"
        for counts in it.told:
            assert counts.captured == counts.written + counts.paused + counts.closed
        if not any(viewer.socket.closed for viewer in it.room.viewers):
            assert sum(counts.written for counts in it.told) == sum(map(len, heard))
        return it.told, heard


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, max_size=60), st.integers(1, 10))
def test_both_senders_do_the_same_to_everybody(steps: list[tuple[str, int]], at_first: int) -> None:
    needs("native")
    assert played("native", steps, at_first) == played("python", steps, at_first)


def test_a_stranger_with_the_same_number_and_slot_gets_nothing(choice: Choice) -> None:
    with night(choice) as it:
        viewers = [it.join() for _ in range(3 * PER_LOOK)]
        it.begin()
        it.slice()
        gone = viewers[-1]
        slot, number = gone.socket.slot, gone.transport.kernel.fileno()
        gone.lose()
        stranger = it.join()
        assert (stranger.socket.slot, stranger.transport.kernel.fileno()) == (slot, number)
        it.finish()
        stranger.read()
        assert it.ticks_of(stranger) == []
        assert it.told == [Counts(len(viewers), len(viewers) - 1, 0, 1)]
        it.begin()
        it.finish()
        stranger.read()
        assert it.ticks_of(stranger) == [2]


def test_a_slot_is_nobody_elses_before_the_seat_is_gone(choice: Choice) -> None:
    """Between its end and the loop's word of it a connection is listed still."""
    with night(choice) as it:
        viewers = [it.join() for _ in range(3 * PER_LOOK)]
        it.begin()
        it.slice()
        viewers[-1].socket.abort()
        stranger = it.join()
        it.finish()
        stranger.read()
        assert it.ticks_of(stranger) == []
        assert it.told == [Counts(len(viewers), len(viewers), 0, 0)], "as ever: written, and dropped"


def test_a_frame_cut_by_the_kernel_is_finished_by_the_transport(choice: Choice) -> None:
    with night(choice) as it:
        slow, quick = it.join(), it.join()
        while slow.seat.state is SeatState.READS:
            it.begin()
            it.finish()
            quick.read()
            assert it.tick < 100, "a full socket is noticed"
        cut = it.tick
        assert 0 < len(slow.transport.unsent) < LARGE_BYTES and not cut % 2, "in part"
        assert slow.socket.fd < 0
        it.begin()
        it.finish()
        quick.read()
        slow.read()
        assert it.ticks_of(slow) == list(range(1, cut + 1))
        assert it.ticks_of(quick) == list(range(1, cut + 2))
        assert slow.seat.missed and it.told[-1] == Counts(2, 1, 1, 0)
        assert slow.socket.fd >= 0, "its way back"


def test_who_is_full_when_he_comes_gets_nothing_until_he_has_read(choice: Choice) -> None:
    with night(choice) as it:
        owed = frame_of(200) * 5
        slow = it.join(owed)
        it.begin()
        it.finish()
        assert slow.socket.slot and slow.socket.fd < 0
        assert it.told == [Counts(1, 0, 1, 0)]
        slow.read()
        it.begin()
        it.finish()
        slow.read()
        assert it.ticks_of(slow) == [200] * 5 + [2]


def test_what_a_transport_encrypts_goes_by_it(choice: Choice) -> None:
    with night(choice) as it:
        plain, encrypted = it.join(), it.join(encrypted=True)
        assert plain.socket.fd >= 0 > encrypted.socket.fd
        it.begin()
        it.finish()
        for viewer in (plain, encrypted):
            viewer.read()
            assert it.ticks_of(viewer) == [1]
        assert it.told == [Counts(2, 2, 0, 0)]


def test_an_owner_that_fails_at_the_end_keeps_the_slot_from_others(
    choice: Choice, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its seat may be listed still: then the slot is nobody's for ever, rather than a stranger's."""
    with night(choice) as it:
        viewer = it.join()
        slot = viewer.socket.slot
        monkeypatch.setattr(viewer.room, "closed", None)
        viewer.lose()
        stranger = it.join()
        assert stranger.socket.slot != slot
        it.begin()
        it.finish()
        stranger.read()
        assert it.ticks_of(stranger) == [1]
        assert DESCRIPTORS.fds[slot] < 0
        assert "the owner failed" in caplog.text
        monkeypatch.undo()
