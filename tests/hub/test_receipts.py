"""A flood's receipts: each once, in slices, behind what is critical."""

from __future__ import annotations

import asyncio

import pytest

from liveserver.commands.session import Session
from liveserver.core.danmaku import Settled
from liveserver.core.limits import SessionRates
from liveserver.core.rate import SessionLimits
from liveserver.hub import broadcaster
from liveserver.hub import receipts as r
from liveserver.hub.broadcaster import Broadcaster
from protocol.replies import Bye, Notice, Receipt, Reply
from protocol.types import Fate
from tests.clock import ManualClock


class Sender:
    def __init__(self, heard: list[Receipt]) -> None:
        self.session = Session("s", SessionLimits(SessionRates()), self._reply)
        self._heard = heard

    def _reply(self, message: Reply | Notice | Bye) -> None:
        assert isinstance(message, Receipt)
        self._heard.append(message)

    def settled(self, command_id: str) -> Settled:
        self.session.in_flight += 1
        return Settled((self.session, command_id), Fate.LIMITED, "", "rate", 700)


class EndlessTime:
    """Every look at the clock says that the slice is over."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


class Critical:
    def __init__(self, heard: list[Receipt]) -> None:
        self._heard = heard
        self.after = -1

    def write(self, until_s: float) -> bool:
        self.after = len(self._heard)
        return True


async def test_each_sender_is_told_once_and_owes_nothing() -> None:
    heard: list[Receipt] = []
    clock = ManualClock()
    senders = [Sender(heard) for _ in range(50)]
    caster = Broadcaster(asyncio.get_running_loop())
    caster.submit_tick(r.ReceiptsJob("r1", [s.settled(f"d{n}") for n, s in enumerate(senders)], clock))
    assert all(sender.session.in_flight == 1 for sender in senders)
    for _ in range(50):
        await asyncio.sleep(0)
    assert [one.id for one in heard] == [f"d{n}" for n in range(50)]
    assert heard[0] == Receipt(
        id="d0", t=clock.now_ms(), room="r1", fate=Fate.LIMITED, reason="rate", retry_ms=700
    )
    assert all(sender.session.in_flight == 0 for sender in senders)


async def test_a_thousand_receipts_let_the_critical_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    time = EndlessTime()
    for module in (r, broadcaster):
        monkeypatch.setattr(module, "perf_counter", time)
    heard: list[Receipt] = []
    sender = Sender(heard)
    caster = Broadcaster(asyncio.get_running_loop())
    caster.submit_tick(r.ReceiptsJob("r1", [sender.settled(f"d{n}") for n in range(1_000)], ManualClock()))
    await asyncio.sleep(0)
    critical = Critical(heard)
    caster.submit_critical(critical)
    while len(heard) < 1_000:
        before = len(heard)
        await asyncio.sleep(0)
        assert len(heard) - before <= r.RECEIPTS_PER_LOOK, "between two slices the loop has its turn"
    assert 0 <= critical.after <= 2 * r.RECEIPTS_PER_LOOK
