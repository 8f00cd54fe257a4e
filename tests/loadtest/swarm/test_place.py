"""The laws of one viewer: what an honest stream may do, and what breaks each."""

from __future__ import annotations

from loadtest.swarm.heard import Heard
from loadtest.swarm.place import Broken, Place
from protocol.frames import Frame


def frame(**fields: object) -> Heard:
    heard = Heard(Frame(room="r1", t=1))
    heard.room = "r1"
    for name, value in fields.items():
        setattr(heard, name, value)
    return heard


def critical(first: int, last: int, epoch: int = 1) -> Heard:
    return frame(epoch=epoch, first_offset=first, last_offset=last, head=last)


def snapshot(offset: int, epoch: int = 1) -> Heard:
    return frame(epoch=epoch, snapshot_offset=offset, head=offset)


def tick(n: int, *, version: int = 0, stock: tuple[int, int] | None = None) -> Heard:
    return frame(n=n, version=version, stock=(("s1", stock),) if stock else ())


def entered(offset: int = 4, n: int = 10) -> Place:
    place = Place()
    assert place.joined(1, offset, n) is None
    assert place.take(snapshot(offset)) is None
    assert place.in_step
    return place


def law(broken: Broken | None) -> str:
    return broken.law if broken is not None else ""


def test_an_honest_stream_breaks_nothing() -> None:
    place = entered()
    stream = [critical(5, 5), tick(11, version=7, stock=(1, 3)), critical(4, 6), tick(12, stock=(1, 4))]
    assert [law(place.take(each)) for each in stream] == [""] * 4
    assert (place.offset, place.events, place.missed) == (6, 2, 0)
    assert place.digest() == "1-6 s1@1.4"


def test_a_gap_in_offsets_breaks_critical_only_in_step() -> None:
    place = entered()
    assert law(place.take(critical(6, 6))) == "critical"
    late = Place()
    late.take(snapshot(4))
    late.joined(1, 9, 10)  # what comes between is on its way
    assert late.take(critical(8, 9)) is None and not late.in_step
    assert late.take(critical(5, 9)) is None and late.in_step


def test_another_epoch_without_a_snapshot_breaks_critical() -> None:
    assert law(entered().take(critical(5, 5, epoch=2))) == "critical"
    place = entered()
    assert place.take(snapshot(20, epoch=2)) is None
    assert place.take(critical(21, 21, epoch=2)) is None
    assert place.take(critical(5, 5, epoch=1)) is None and place.offset == 21  # of a life that is over


def test_a_gap_in_numbers_is_counted_and_an_older_one_breaks_n() -> None:
    place = entered(n=10)
    assert place.take(tick(11)) is None
    assert place.take(tick(14)) is None and place.missed == 2
    assert law(place.take(tick(14))) == "n"
    assert law(place.take(tick(12))) == "n"


def test_numbers_that_came_before_the_joined_reply_count_from_it() -> None:
    place = Place()
    assert place.take(tick(13)) is None
    assert place.joined(1, 4, 10) is None
    assert place.missed == 2
    other = Place()
    other.take(tick(9))
    assert law(other.joined(1, 4, 10)) == "n"


def test_counts_never_go_back_in_version() -> None:
    place = entered()
    assert place.take(tick(11, version=7)) is None
    assert place.take(tick(12, version=7)) is None
    assert law(place.take(tick(13, version=6))) == "state"


def test_stock_of_numbered_frames_never_goes_back_and_a_catch_up_is_merged() -> None:
    place = entered()
    assert place.take(tick(11, stock=(2, 5))) is None
    older = frame(stock=(("s1", (2, 4)),))  # a catch-up, composed before the tick: no law of the wire's
    assert place.take(older) is None
    assert place.stock == {"s1": (2, 5)}
    assert law(place.take(tick(12, stock=(2, 4)))) == "stock"
    assert law(place.take(tick(13, stock=(1, 99)))) == "stock"
    assert place.stock == {"s1": (2, 5)}


def test_a_new_connection_keeps_the_place_and_forgets_the_numbers() -> None:
    place = entered()
    place.take(tick(11, version=7, stock=(1, 3)))
    place.connected()
    in_step = [place.in_step]
    assert place.joined(1, 6, 2) is None
    assert place.take(critical(5, 6)) is None
    assert [*in_step, place.in_step] == [False, True]
    assert place.take(tick(3, version=6, stock=(1, 2))) is None  # another process may be a little behind
    assert place.stock == {"s1": (1, 3)}


def test_a_join_set_back_to_an_older_epoch_breaks_critical() -> None:
    place = entered()
    place.take(snapshot(20, epoch=2))
    assert law(place.joined(1, 9, 10)) == "critical"
