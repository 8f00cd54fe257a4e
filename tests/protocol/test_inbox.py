"""What a slow application has not read: merged, dropped and counted, or covered by a snapshot."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.client import limits
from protocol.client.happenings import (
    DanmakuShown,
    Dropped,
    Happened,
    Missed,
    RoomHappening,
    Snapshotted,
    StateChanged,
)
from protocol.client.inbox import Inbox
from protocol.client.mirror import Mirror
from protocol.frames import Frame, State
from protocol.types import RoomStatus, Stock

from .tiny_room import TinyRoom


def filled(room: TinyRoom) -> tuple[Mirror, Inbox]:
    mirror = Mirror("r1")
    inbox = Inbox(mirror)
    mirror.apply(Frame(room="r1", t=1, epoch=room.epoch, snapshot=room.snapshot()), 0)
    return mirror, inbox


def read_out(inbox: Inbox) -> list[RoomHappening]:
    read: list[RoomHappening] = []
    while (happening := inbox.take()) is not None:
        read.append(happening)
    return read


def stock(seq: int, sale_id: str = "s1") -> Stock:
    return Stock(sale_id=sale_id, epoch=1, seq=seq, status="open", available={"red": seq})


def test_state_is_merged_and_the_latest_wins() -> None:
    _, inbox = filled(TinyRoom())
    inbox.put(StateChanged(room="r1", stock=[stock(1), stock(1, "s2")], viewers=5))
    inbox.put(Missed(room="r1", frames=1))
    inbox.put(StateChanged(room="r1", stock=[stock(2)], likes=7))
    merged = StateChanged(room="r1", stock=[stock(2), stock(1, "s2")], viewers=5, likes=7)
    assert read_out(inbox) == [merged, Missed(room="r1", frames=1)]
    inbox.put(StateChanged(room="r1", viewers=6))
    assert read_out(inbox) == [StateChanged(room="r1", viewers=6)]


def test_danmaku_beyond_the_limit_is_counted_and_dropped() -> None:
    _, inbox = filled(TinyRoom())
    blocks = limits.DANMAKU_BACKLOG_MAX + 3
    for serial in range(blocks):
        inbox.put(DanmakuShown(room="r1", offered=serial))
    read = read_out(inbox)
    assert read[0] == Dropped(room="r1", danmaku_blocks=3)
    assert [each.offered for each in read if isinstance(each, DanmakuShown)] == list(range(blocks - 3))
    inbox.put(DanmakuShown(room="r1", offered=99))
    assert len(inbox) == 1


@settings(max_examples=25, deadline=None)
@given(reads=st.lists(st.integers(0, 700), max_size=8), a_frame=st.integers(1, 50))
def test_critical_events_are_told_or_covered_by_a_snapshot(reads: list[int], a_frame: int) -> None:
    """However the reader pauses: places follow one another, or a snapshot stands at the place it names."""
    room = TinyRoom()
    mirror, inbox = filled(room)
    told, counted = 0, 0
    for pause in [*reads, 1]:
        for _ in range(0, max(pause * 4, 1), a_frame):
            first = room.offset
            for _ in range(a_frame):
                room.turn(RoomStatus.LIVE)
            for happening in mirror.apply(room.critical(room.log[first:]), 0):
                inbox.put(happening)
            assert len(inbox) <= limits.CRITICAL_BACKLOG_MAX + 1
        for happening in read_out(inbox):
            if isinstance(happening, Happened):
                told += 1
                assert happening.envelope.offset == told
            elif isinstance(happening, Snapshotted):
                assert happening.skipped > 0
                assert happening.snapshot == room.truth[(room.epoch, happening.snapshot.offset)]
                told = happening.snapshot.offset
                counted += 1
        assert told == room.offset
    assert counted <= len(reads) + 1


def test_a_snapshot_of_our_own_keeps_pending_state() -> None:
    room = TinyRoom()
    mirror, inbox = filled(room)
    for each in mirror.apply(Frame(room="r1", t=1, n=1, state=State(version=1, viewers=9)), 0):
        inbox.put(each)
    for _ in range(limits.CRITICAL_BACKLOG_MAX + 1):
        room.turn(RoomStatus.LIVE)
        for each in mirror.apply(room.critical(room.log[-1:]), 0):
            inbox.put(each)
    first, *rest = read_out(inbox)
    assert isinstance(first, Snapshotted)
    assert rest[0] == StateChanged(room="r1", viewers=9)
