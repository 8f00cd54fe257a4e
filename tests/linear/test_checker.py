"""The checker: what it must find, and at whom; and that it agrees with a plain search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from liveserver.stock.port import Outcome, Verdict
from liveserver.stock.rows import AnyRow, Confirmed, Ref, Reserved, Row, Served, Waited
from tests.linear.checker import check
from tests.linear.history import Asked, Kind, Op
from tests.linear.search import linearizable
from tests.linear.small import HOLD_MS, STEP, Small, Step, adjust, buy, end

EXAMPLES = 1_500


def story() -> Small:
    """0 ann buys the only unit, 1 bob is sold out, 2 ann pays, 3 eve adds one, 4 bob buys it, 5 gives it
    back, 6 looks it up; 7 cem buys it, 8 bob asks for his again, 9 eve counts."""
    made = Small((1,), limit=1)
    for asked in (
        buy("ann", "c1"),
        buy("bob", "c1"),
        end(Kind.CONFIRM, "ann", "p1"),
        adjust("a1", 1),
        buy("bob", "c2"),
        end(Kind.RELEASE, "bob", "r1"),
        Asked(Kind.LOOKUP, user_id="bob", command_id="c2"),
        buy("cem", "c1"),
        buy("bob", "c2"),
        Asked(Kind.VIEW),
    ):
        made.run(Step(asked))
    return made


def without(feed: list[AnyRow], place: int) -> list[AnyRow]:
    """As if that row of one change had never been written."""
    kept = feed[:place]
    for row in feed[place + 1 :]:
        kept.append(msgspec.structs.replace(row, first=row.first - 1, last=row.last - 1))
    return kept


def again(feed: list[AnyRow], row: Row) -> list[AnyRow]:
    after = feed[-1].last
    last = after + row.last - row.first + 1
    return [*feed, msgspec.structs.replace(row, first=after + 1, last=last)]  # type: ignore[list-item]


def named(ops: list[Op], feed: list[AnyRow]) -> set[int | None]:
    assert not linearizable(ops, feed), "the search finds an order: the plan is no violation"
    return {violation.op for violation in check(ops, feed)}


def test_a_true_history_is_true() -> None:
    made = story()
    assert made.ops[1].answer == Verdict(Outcome.SOLD_OUT, made.feed[0].epoch, 2)
    assert check(made.ops, made.feed) == []
    assert linearizable(made.ops, made.feed)


def test_a_double_grant_is_found_at_the_second_who_was_told() -> None:
    made = story()
    twin = Op(10, buy("ann", "c1"), 200, 210, made.ops[0].answer)  # not replayed, so granted anew
    assert 10 in named([*made.ops, twin], made.feed)


def test_a_grant_nobody_asked_for_is_found_at_its_row() -> None:
    made = story()
    feed = again(made.feed, made.feed[1])
    assert not linearizable(made.ops, feed)
    assert [violation.seq for violation in check(made.ops, feed)] == [feed[-1].last]


def test_what_certainly_did_nothing_did_nothing() -> None:
    made = story()
    made.ops[4].answer = "certainly not executed"
    feed = made.feed
    assert not linearizable(made.ops, feed)
    assert feed[4].last in {violation.seq for violation in check(made.ops, feed)}


def test_a_stale_sold_out_is_found() -> None:
    """Bob is told sold out after eve's unit is there: at a place where it was true, long before he asked."""
    made = story()
    stale = Op(10, buy("dan", "c1"), 4 * STEP + 5, 4 * STEP + 6, made.ops[1].answer)
    assert named([*made.ops, stale], made.feed) == {10}


def test_a_sold_out_that_was_never_true_is_found() -> None:
    made = Small((2,))
    made.run(Step(buy("ann", "c1")))
    refused = made.run(Step(buy("bob", "c1", 2)))
    assert isinstance(refused.answer, Verdict) and refused.answer.outcome is Outcome.SOLD_OUT
    refused.asked = buy("bob", "c1", 1)
    assert named(made.ops, made.feed) == {1}


@pytest.mark.parametrize("number", [0, 4])
def test_an_acknowledged_purchase_missing_from_the_feed_is_found(number: int) -> None:
    made = Small((9,))
    for k in range(6):
        made.run(Step(buy(f"u{k}", "c1")))
    assert number in named(made.ops, without(made.feed, 1 + number))


def test_a_lost_confirm_is_found() -> None:
    made = story()
    feed = made.feed
    assert isinstance(feed[2], Confirmed)
    assert 2 in named(made.ops, without(feed, 2))


def test_a_result_that_contradicts_real_time_is_found() -> None:
    """Two purchases, the second asked after the first was answered; the feed has them the other way round."""
    made = Small((9,))
    for user in ("ann", "bob"):
        made.run(Step(buy(user, "c1"), early=1, late=1))
    made.ops[0].start, made.ops[0].end, made.ops[1].start, made.ops[1].end = 100, 101, 50, 51
    assert named(made.ops, made.feed) == {0}
    made.ops[1].end = 100  # they overlap: now either may be first
    assert check(made.ops, made.feed) == [] and linearizable(made.ops, made.feed)


def test_an_effect_before_it_was_asked_is_found() -> None:
    """An unknown purchase is in the feed before what had been answered when it was asked."""
    made = Small((9,))
    made.run(Step(buy("ann", "c1"), known=False))
    made.run(Step(Asked(Kind.VIEW)))
    assert check(made.ops, made.feed) == []
    made.ops[0].start = 100
    assert named(made.ops, made.feed) == {0}


def test_an_answer_the_model_would_not_give_is_found() -> None:
    made = story()
    answer = made.ops[8].answer
    assert isinstance(answer, Verdict) and answer.replayed and answer.reservation is not None
    grown = msgspec.structs.replace(answer.reservation, expires_at_ms=answer.reservation.expires_at_ms + 1)
    made.ops[8].answer = msgspec.structs.replace(answer, reservation=grown)
    assert named(made.ops, made.feed) == {8}


def test_a_lookup_that_forgets_is_found() -> None:
    made = story()
    made.ops[6].answer = None
    assert named(made.ops, made.feed) == {6}


def test_two_who_were_told_that_they_confirmed_the_same_are_found() -> None:
    made = story()
    twin = Op(10, end(Kind.CONFIRM, "ann", "p1"), 200, 210, made.ops[2].answer)
    assert 10 in named([*made.ops, twin], made.feed)


def line() -> Small:
    """0 ann has the only unit, 1 bob, 2 cem and 3 dan wait for it, 4 ann gives it back, 5 bob looks."""
    made = Small((1,), limit=1, waitlist=9)
    for asked in (
        *(buy(user, "c1") for user in ("ann", "bob", "cem", "dan")),
        end(Kind.RELEASE, "ann", "r1"),
        Asked(Kind.LOOKUP, user_id="bob", command_id="c1"),
    ):
        made.run(Step(asked))
    return made


def test_a_line_served_in_its_order_is_true() -> None:
    made = line()
    assert isinstance(made.feed[-1], Served)
    assert check(made.ops, made.feed) == [] and linearizable(made.ops, made.feed)


def test_a_line_overtaken_and_a_line_forgotten_are_found_at_the_row() -> None:
    made = line()
    served = made.feed[-1]
    assert isinstance(served, Served)
    released = served.last - 1
    for feed in (
        [*made.feed[:-1], msgspec.structs.replace(served, refs=(Ref("cem", 0),))],
        made.feed[:-1],
    ):
        ops = made.ops[:4]  # nobody was told
        ops.append(msgspec.structs.replace(made.ops[4], end=None, answer=None))
        assert not linearizable(ops, feed)
        assert [one.seq for one in check(ops, feed)] == [released]


def test_a_newcomer_who_overtakes_the_line_is_found() -> None:
    made = line()
    twin = made.ops[0].answer
    assert isinstance(twin, Verdict)
    made.ops[3].answer = msgspec.structs.replace(twin, seq=5)
    assert 3 in named(made.ops, made.feed)


def test_an_unknown_one_counts_at_most_once() -> None:
    made = Small((9,))
    made.run(Step(buy("ann", "c1"), known=False))
    made.run(Step(buy("ann", "c1")))  # replayed
    assert check(made.ops, made.feed) == []
    feed = again(made.feed, made.feed[1])
    assert not linearizable(made.ops, feed)
    assert [violation.seq for violation in check(made.ops, feed)] == [feed[-1].last]


def latched(made: Small, start: int, answer: object) -> Op:
    return Op(99, buy("dan", "c9"), start, start + 1, answer, process=1, latched=True)


def test_the_latch_may_be_a_little_behind_and_not_behind_its_own_process() -> None:
    """A unit came back at another process; this one hasn't heard of it yet. Once it has, it can't forget."""
    made = story()
    told = latched(made, 4 * STEP + 5, made.ops[1].answer)
    assert check([*made.ops, told], made.feed, stale=4 * STEP) == []
    late = latched(made, 4 * STEP + 5, made.ops[1].answer)
    assert [one.op for one in check([*made.ops, late], made.feed, stale=STEP // 2)] == [99]
    made.ops[3].process = 1  # it was this very process that added the unit
    assert [one.op for one in check([*made.ops, told], made.feed, stale=4 * STEP)] == [99]


# Agreement with the search

USERS = ("ann", "bob")
small = st.integers(0, 5)
asked = st.one_of(
    st.builds(buy, st.sampled_from(USERS), st.sampled_from(["c1", "c2"]), st.integers(1, 2)),
    st.builds(buy, st.sampled_from(USERS), st.sampled_from(["c1", "c2", "c3"])),
    st.builds(
        end,
        st.sampled_from([Kind.CONFIRM, Kind.CONFIRM, Kind.RELEASE, Kind.RETURN]),
        st.sampled_from(USERS),
        st.sampled_from(["e1", "e2"]),
    ),
    st.builds(adjust, st.sampled_from(["a1", "a2"]), st.sampled_from([-1, 1])),
    st.builds(
        lambda kind, command: Asked(kind, command_id=command),
        st.sampled_from([Kind.PAUSE, Kind.RESUME]),
        st.sampled_from(["x1", "x2"]),
    ),
    st.just(Asked(Kind.VIEW)),
    st.builds(
        lambda kind, user: Asked(kind, user_id=user, command_id="c1"),
        st.sampled_from([Kind.LOOKUP, Kind.RESERVATIONS]),
        st.sampled_from(USERS),
    ),
)
step = st.builds(
    Step,
    asked,
    early=st.integers(0, 35),
    late=st.integers(0, 35),
    known=st.sampled_from([True, True, True, False]),
    runs=st.booleans(),
    wait_ms=st.sampled_from([0, 0, 1, HOLD_MS]),
)
Harm = Callable[[list[Op], list[AnyRow], int, int], list[AnyRow]]


def nothing(ops: list[Op], feed: list[AnyRow], a: int, b: int) -> list[AnyRow]:
    return feed


def moved(ops: list[Op], feed: list[AnyRow], a: int, b: int) -> list[AnyRow]:
    op = ops[a % len(ops)]
    op.start += STEP * (b - 2)
    op.end = None if op.end is None else op.end + STEP * (b - 2)
    return feed


def swapped(ops: list[Op], feed: list[AnyRow], a: int, b: int) -> list[AnyRow]:
    one, two = ops[a % len(ops)], ops[b % len(ops)]
    if one.known and two.known:
        one.answer, two.answer = two.answer, one.answer
    return feed


def forgotten(ops: list[Op], feed: list[AnyRow], a: int, b: int) -> list[AnyRow]:
    place = 1 + a % max(1, len(feed) - 1)
    single = place < len(feed) and feed[place].first == feed[place].last
    return without(feed, place) if single else feed


def doubled(ops: list[Op], feed: list[AnyRow], a: int, b: int) -> list[AnyRow]:
    row = feed[a % len(feed)]
    return again(feed, row) if isinstance(row, Reserved | Waited) else feed


def unheard(ops: list[Op], feed: list[AnyRow], a: int, b: int) -> list[AnyRow]:
    ops[a % len(ops)].end = None
    return feed


def told_twice(ops: list[Op], feed: list[AnyRow], a: int, b: int) -> list[AnyRow]:
    op = ops[a % len(ops)]
    ops.append(msgspec.structs.replace(op, number=len(ops), start=op.start + b))
    return feed


harms = st.sampled_from([nothing, moved, moved, swapped, forgotten, doubled, unheard, told_twice])


def test_checker_and_search_agree(capsys: pytest.CaptureFixture[str]) -> None:
    seen: Counter[str] = Counter()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.lists(step, min_size=1, max_size=6),
        st.lists(st.tuples(harms, small, small), max_size=3),
        st.sampled_from([0, 3]),
    )
    def agree(steps: list[Step], harm: list[tuple[Harm, int, int]], waitlist: int) -> None:
        made = Small((2,), limit=3, waitlist=waitlist)
        for one in steps:
            made.run(one)
        ops, feed = made.ops, made.feed
        assert check(ops, feed) == []  # as it truly was
        for do, a, b in harm:
            feed = do(ops, feed, a, b)
        for op in ops:
            if op.end is not None:
                op.end = max(op.end, op.start)
            else:
                op.answer = None
        expected = linearizable(ops, feed)
        found = check(ops, feed)
        assert (found == []) == expected, found
        seen[f"{'linearizable' if expected else 'not'}, {'harmed' if harm else 'as it was'}"] += 1

    agree()
    with capsys.disabled():
        print(f"\n{dict(seen)}")
    assert (
        min(seen["linearizable, harmed"], seen["not, harmed"], seen["linearizable, as it was"])
        > EXAMPLES / 20
    )
