"""Answers, outcomes, delays and tallies: the pure parts that add up."""

from __future__ import annotations

from collections import Counter

from loadtest import replay
from loadtest.swarm.answers import Answers, Asked, Outcomes
from loadtest.swarm.arrivals import moments
from loadtest.swarm.delays import Delays, OverTime, merged, ms_at, percentile_of
from loadtest.swarm.group import Group
from loadtest.swarm.herd import Herd
from loadtest.swarm.place import Broken
from loadtest.swarm.tally import Tally
from protocol.replies import PurchaseOutcome
from protocol.types import HeldReservation


def outcome(command_id: str, word: str, reservation_id: str = "") -> PurchaseOutcome:
    held = (
        HeldReservation(
            reservation_id=reservation_id,
            sale_id="s1",
            command_id=command_id,
            state="held",
            lines=[],
            expires_at_ms=1,
        )
        if reservation_id
        else None
    )
    return PurchaseOutcome(id=command_id, t=1, sale_id="s1", outcome=word, reservation=held)


def test_one_reply_per_command_and_none_unasked() -> None:
    answers = Answers()
    answers.ask("c1", "ping", 5)
    assert answers.answered("c1") == Asked("ping", 5)
    again = answers.answered("c1")
    assert isinstance(again, Broken) and again.law == "reply"
    answers.ask("c2", "ping", 6)
    assert answers.cut() == {"c2": Asked("ping", 6)} and not answers.waiting


def test_a_purchase_has_one_true_outcome() -> None:
    outcomes = Outcomes()
    outcomes.asked |= {"b1", "b2"}
    assert outcomes.take(outcome("b1", "reserved", "r1")) is None
    assert outcomes.take(outcome("b1", "reserved", "r1")) is None  # said again, replayed
    assert outcomes.take(outcome("b2", "sold_out")) is None
    assert dict(outcomes.counts) == {"reserved": 1, "sold_out": 1} and outcomes.known == 2
    for wrong in (outcome("b1", "reserved", "r2"), outcome("b1", "sold_out"), outcome("b9", "sold_out")):
        broken = outcomes.take(wrong)
        assert broken is not None and broken.law == "outcome"


def test_delays_of_several_processes_are_one_histogram() -> None:
    one, other = Delays(), Delays()
    for ms in range(1, 100):
        one.record(ms * 1_000)
    other.record(60_000_000)
    whole = merged([one.encoded(), other.encoded()])
    assert whole.get_total_count() == 100
    assert abs((ms_at(whole, 50) or 0) - 50) < 0.1
    assert abs((ms_at(whole, 100) or 0) - 60_000) < 60  # three digits
    assert ms_at(merged([]), 50) is None


def test_percentiles_of_counts() -> None:
    over = OverTime()
    for ms in (1, 1, 2, 9):
        over.record(7, ms * 1_000)
    assert over.plain() == {"7": {"1": 2, "2": 1, "9": 1}}
    assert percentile_of(Counter({1: 2, 2: 1, 9: 1}), 50) == 1
    assert percentile_of(Counter({1: 2, 2: 1, 9: 1}), 99) == 9


def test_a_phase_that_comes_again_goes_on() -> None:
    group = Group("fast")
    for phase, delay_us in (("A", 1_000), ("B", 2_000), ("A", 3_000)):
        group.enter_phase(phase)
        group.replied("ping", delay_us, 1)
    counted = {phase: merged([text]).get_total_count() for phase, _, text in group.report()["delays"]}
    assert counted == {"A": 2, "B": 1}


def herd(index: int = 0) -> Herd:
    return Herd(index=index, secret="s" * 32, host="127.0.0.1", port=1, path="/", seed=1, deflate_every=2)


def test_reports_of_two_processes_are_one_tally() -> None:
    reports = []
    for index in (0, 1):
        one = herd(index)
        viewer = one.add(f"v{index}", "r1", "fast")
        viewer.place.epoch, viewer.place.offset = 1, 5 + index
        viewer.group.enter_phase("A")
        viewer.group.replied("ping", 1_000, 1)
        one.broke("stock", "went back")
        reports.append(one.report())
    tally = Tally(reports)
    assert tally.sums["viewers"] == 2 and tally.counters["laws_broken"] == {"stock": 2}
    assert tally.delays("fast", "A", "ping").get_total_count() == 2
    assert tally.delays("", "", "ping", "critical").get_total_count() == 2
    assert tally.delays("slow", "A", "ping").get_total_count() == 0
    assert tally.divided_rooms == ["r1"]  # one ended at 5, the other at 6


def test_codecs_and_compression_take_turns() -> None:
    one = herd()
    kinds = {(each.codec.text, each.deflate) for each in (one.add(f"v{k}", "r1", "g") for k in range(4))}
    assert len(kinds) == 4


def test_arrivals_come_in_the_rhythm_of_a_recording() -> None:
    recording = replay.read(replay.DEFAULT)
    times = moments(recording, 2_000, 30, seed=3)
    assert len(times) == 2_000 and times == sorted(times) and times[0] >= 0 and times[-1] <= 30
    assert times == moments(recording, 2_000, 30, seed=3) != moments(recording, 2_000, 30, seed=4)
    per_second = [sum(second <= at_s < second + 1 for at_s in times) for second in range(30)]
    mean = sum(per_second) / 30
    fano = sum((each - mean) ** 2 for each in per_second) / 30 / mean
    assert fano > 3  # even arrivals have 0, a Poisson stream 1
