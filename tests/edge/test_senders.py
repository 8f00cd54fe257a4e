"""One frame to many descriptors, in C and in Python: the same bytes, the same odd places."""

from __future__ import annotations

import socket
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from liveserver.edge import senders
from liveserver.edge.descriptors import DESCRIPTORS, NO_FD, NO_SLOT, Descriptors
from liveserver.edge.senders import WRITES_PER_LOOK, NoNativeSenderError, Sender, sender

LONG_S = 60.0  # no slice is that long: it ends by what there is to do
FRAME = bytes(range(256)) * 4  # zeros among them


@pytest.fixture(params=["python", "native"])
def either(request: pytest.FixtureRequest) -> Sender:
    try:
        return sender(request.param)
    except NoNativeSenderError as error:
        pytest.skip(str(error))


class Peers:
    """Socket pairs: a slot for this side, and the other side to read from."""

    def __init__(self) -> None:
        self.slots = array("i")
        self.there: list[socket.socket] = []
        self._here: list[socket.socket] = []

    def add(self, count: int = 1) -> None:
        for _ in range(count):
            here, there = socket.socketpair()
            here.setblocking(False)
            there.setblocking(False)
            slot = DESCRIPTORS.take(here.fileno())
            DESCRIPTORS.show(slot)
            self.slots.append(slot)
            self._here.append(here)
            self.there.append(there)

    def heard(self, place: int) -> bytes:
        try:
            return self.there[place].recv(1 << 20)
        except BlockingIOError:
            return b""

    def fill(self, place: int, *, room_for: int = 0) -> None:
        """Until the kernel takes no more, or little."""
        here, there = self._here[place], self.there[place]
        here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        try:
            while True:
                here.send(b"x" * 64)
        except BlockingIOError:
            pass
        if room_for:
            there.recv(room_for)

    def end(self) -> None:
        for one in (*self._here, *self.there):
            one.close()
        for slot in self.slots:
            DESCRIPTORS.give_back(slot)


@pytest.fixture
def peers() -> Iterator[Peers]:
    made = Peers()
    yield made
    made.end()


def sent(sender: Sender, slots: array[int], at: int, end: int) -> list[tuple[int, int]]:
    """To the end, in as many calls as it takes."""
    odd: list[tuple[int, int]] = []
    for _ in range(len(slots) + 1):
        if at == end:
            return odd
        reached, more = sender.send(slots, at, end, FRAME, LONG_S)
        assert at < reached <= end
        odd += more
        at = reached
    raise AssertionError("it does not come to an end")


def test_each_place_in_between_gets_the_frame_once(either: Sender, peers: Peers) -> None:
    count = 2 * WRITES_PER_LOOK + 5
    peers.add(count)
    assert sent(either, peers.slots, 3, count - 2) == []
    heard = [peers.heard(place) for place in range(count)]
    assert heard == [b""] * 3 + [FRAME] * (count - 5) + [b""] * 2


def test_who_takes_nothing_or_has_nothing_is_odd(either: Sender, peers: Peers) -> None:
    peers.add(6)
    peers.fill(1)
    peers.there[2].close()
    DESCRIPTORS.hide(peers.slots[3])
    peers.slots[4] = NO_SLOT
    assert sent(either, peers.slots, 0, 6) == [(1, 0), (2, 0), (3, 0), (4, 0)]
    assert peers.heard(0) == peers.heard(5) == FRAME
    assert peers.heard(3) == b""


def test_a_frame_that_is_taken_in_part_is_odd_with_what_was_taken(either: Sender) -> None:
    here, there = socket.socketpair()
    here.setblocking(False)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    slot = DESCRIPTORS.take(here.fileno())
    DESCRIPTORS.show(slot)
    with here, there:
        frame = bytes(range(250)) * 80
        reached, odd = either.send(array("i", [slot]), 0, 1, frame, LONG_S)
        assert reached == 1
        ((place, taken),) = odd
        assert place == 0 and 0 < taken < len(frame)
        assert there.recv(1 << 20) == frame[:taken]
    DESCRIPTORS.give_back(slot)


def test_many_odd_ones_come_in_portions(either: Sender) -> None:
    count = 3 * WRITES_PER_LOOK
    slots = array("i", [NO_SLOT] * count)
    reached, odd = either.send(slots, 0, count, FRAME, LONG_S)
    assert reached == WRITES_PER_LOOK and len(odd) == WRITES_PER_LOOK
    assert sent(either, slots, 0, count) == [(place, 0) for place in range(count)]


def test_time_that_is_over_is_noticed_at_the_next_look(either: Sender, peers: Peers) -> None:
    peers.add(3 * WRITES_PER_LOOK)
    reached, odd = either.send(peers.slots, 0, len(peers.slots), FRAME, -1.0)
    assert (reached, list(odd)) == (WRITES_PER_LOOK, [])
    reached, _ = either.send(peers.slots, 5, len(peers.slots), FRAME, -1.0)
    assert reached == 5 + WRITES_PER_LOOK, "so many are always done"


def test_the_native_one_goes_on_while_there_is_time(peers: Peers) -> None:
    try:
        native = sender("native")
    except NoNativeSenderError as error:
        pytest.skip(str(error))
    peers.add(3 * WRITES_PER_LOOK + 1)
    assert sender().name == native.name == "native", "where it is, it is taken"
    assert native.send(peers.slots, 0, len(peers.slots), FRAME, LONG_S) == (len(peers.slots), ())


def test_without_a_library_frames_go_from_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(senders, "library", lambda: tmp_path / "none.so")
    assert sender("auto").name == sender("python").name == "python"
    with pytest.raises(NoNativeSenderError, match=r"python -m liveserver\.native.*gcc"):
        sender("native")


def test_a_library_that_is_none_is_as_good_as_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken.so").write_bytes(b"half a file")
    monkeypatch.setattr(senders, "library", lambda: tmp_path / "broken.so")
    assert sender("auto").name == "python"


def test_slots_are_used_again_and_the_first_is_nobodys() -> None:
    table = Descriptors()
    one, other = table.take(7), table.take(8)
    assert len({one, other, NO_SLOT}) == 3
    assert list(table.fds) == [NO_FD] * 3, "taken is not shown yet"
    table.show(one)
    table.show(other)
    assert (table.fds[one], table.fds[other]) == (7, 8)
    table.give_back(one)
    assert (table.fds[one], table.fds[other]) == (NO_FD, 8)
    table.show(one)
    assert table.fds[one] == NO_FD, "it has no owner"
    for do in (table.show, table.hide, table.give_back):
        do(NO_SLOT)
    assert table.take(9) == one and table.take(10) not in (one, other, NO_SLOT)
    table.show(one)
    table.hide(other)
    assert (table.fds[NO_SLOT], table.fds[one], table.fds[other]) == (NO_FD, 9, NO_FD)
