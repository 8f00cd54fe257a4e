"""``bench flood``: a short run measures; what did not come in time is counted or said, never a traceback."""

from __future__ import annotations

import argparse
import asyncio
import sys

import pytest

from loadtest import machine
from loadtest.bench import child
from loadtest.bench.child import Child, EndedError, SilentError
from loadtest.bench.flood import command
from loadtest.bench.flood import rounds as flood
from loadtest.bench.flood.probe import Probe, Watcher
from loadtest.bench.flood.took import UNKNOWN_MS, NotMeasuredError, Took
from loadtest.bench.stock.buyer import Buyer, NoAnswerError
from protocol.commands import Command, OpenSale, Ping

two_cores = pytest.mark.skipif(len(machine.cores()) < 2, reason="a benchmark needs two cores")
BUYERS = ["a token"] * 4
SECONDS = 1.5  # a few commands of each part
MUTE = "import sys; sys.stdin.read()"


def test_a_floods_ratio_is_taken_round_by_round() -> None:
    parts = {part: [2.0, 20.0, 4.0] for part in flood.PARTS}
    slow = {part: [3.0, 30.0, 8.0] for part in flood.PARTS}
    measured = flood.Measured(
        {"none": parts, "quiet": parts, "flood": slow},
        {"none": parts, "quiet": parts, "flood": slow},
        {"none": [0], "quiet": [0], "flood": [0]},
        {"none": [0], "quiet": [0], "flood": [0]},
        {"none": [0.1], "quiet": [0.1], "flood": [0.5]},
        [10_000.0],
        False,
    )
    figures = flood.figures(measured)
    ratio = figures["flood_p99_ratio_to_quiet.ping"]
    assert (ratio.value, ratio.high, ratio.met) == (1.5, 2.0, True)
    assert figures["quiet_p99_ratio_to_none.ping"].value == 1.0


@two_cores
async def test_a_short_flood_is_measured() -> None:
    said: list[str] = []
    async with asyncio.timeout(60):
        measured = await flood.run(flood.Size(20, 200, 1, 0.6), 1, said.append)
    assert all(
        len(measured.p99_ms[arm][part]) == 1 for arm in ("none", "quiet", "flood") for part in flood.PARTS
    )
    assert measured.offered[0] > 0


# -- what does not come ------------------------------------------------------------------------------------


def test_what_is_unknown_is_among_the_times_with_as_long_as_it_was_waited_for() -> None:
    assert Took([1.0, 1.0], unknown=0).percentile(99) == 1.0
    assert Took([1.0] * 9, unknown=9).percentile(99) == UNKNOWN_MS
    assert Took([], unknown=1).percentile(50) == UNKNOWN_MS
    with pytest.raises(NotMeasuredError):
        Took().percentile(50)


class Server:
    """Answers what ``silent`` doesn't name. A purchase is answered as ``outcome``."""

    def __init__(self, outcome: str, *silent: type[Command]) -> None:
        self.silent = silent
        self.outcome = outcome

    async def ask(self, _buyer: Buyer, command: Command) -> bytes:
        if isinstance(command, self.silent):
            raise NoAnswerError(f"{command.id} had no answer")
        return f'{{"outcome":"{self.outcome}"}}'.encode()

    async def measure(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Took]:
        async def ask(buyer: Buyer, command: Command) -> bytes:
            return await self.ask(buyer, command)

        monkeypatch.setattr(Buyer, "ask", ask)
        return await Probe("ws://127.0.0.1:1", "a token", BUYERS, 1).measure(SECONDS)


async def test_an_answer_that_does_not_come_is_counted_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loadtest.bench.flood.probe.ANSWER_S_MAX", 0.01)  # no critical event is seen
    took = await Server("reserved", Ping).measure(monkeypatch)
    assert took["ping"].unknown > 0 and took["ping"].ms == []
    assert took["purchase"].ms and took["purchase"].unknown == 0
    assert took["critical"].unknown > 0 and took["critical"].ms == []


@pytest.mark.parametrize("outcome", ["pending", "unavailable"])
async def test_a_purchase_that_is_not_decided_is_counted(
    outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watcher, "next_event", _seen)
    took = await Server(outcome).measure(monkeypatch)
    assert took["purchase"].undecided == len(took["purchase"].ms) > 0
    assert took["critical"].ms and took["critical"].unknown == 0


async def test_without_a_sale_or_with_one_that_does_not_sell_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Watcher, "next_event", _seen)
    with pytest.raises(NoAnswerError):
        await Server("reserved", OpenSale).measure(monkeypatch)
    with pytest.raises(NotMeasuredError, match="sold_out"):
        await Server("sold_out").measure(monkeypatch)


async def _seen(_watcher: Watcher) -> float:
    return asyncio.get_running_loop().time()


async def test_a_process_that_does_not_answer_or_has_ended_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "ANSWER_S_MAX", 0.1)
    mute = await Child.run([sys.executable, "-c", MUTE])
    with pytest.raises(SilentError, match=r"-c .* did not answer within 0\.1 s"):
        await mute.ask({})
    await mute.end()
    with pytest.raises(EndedError, match="has ended"):
        await mute.answer()


@pytest.mark.parametrize("error", [SilentError, EndedError, NotMeasuredError])
def test_it_ends_with_a_line_that_says_what_did_not_come(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run(*_: object) -> flood.Measured:
        raise error("purchase b-1 had no answer")

    monkeypatch.setattr(flood, "run", run)
    given = argparse.Namespace(rounds=1, quick=True, sockets=10, offered=1, seed=1, json=None)
    assert command.run(given, argparse.ArgumentParser()) == 2
    assert "not measured: purchase b-1 had no answer" in capsys.readouterr().err
