"""Small histories: sequential ones, stretched in time so that operations overlap, some of them unknown."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from liveserver.stock.model import ModelLedger
from liveserver.stock.port import LedgerError, Line, SaleItem, SaleSpec
from liveserver.stock.rows import AnyRow
from tests.linear.history import Asked, Kind, Op, Refused
from tests.linear.oracle import now

HOLD_MS = 50
STEP = 10  # between the instants at which two operations truly happen


class Clock:
    now_ms_ = 1_767_000_000_000

    def now_ms(self) -> int:
        return self.now_ms_

    async def sleep_ms(self, delay_ms: float) -> None:
        raise AssertionError("the model never waits")


class Step(msgspec.Struct, frozen=True):
    """``early`` and ``late``: how long before and after its instant it was asked and answered."""

    asked: Asked
    early: int = 1
    late: int = 1
    known: bool = True
    runs: bool = True
    wait_ms: int = 0


class Small:
    """Runs steps one after another on the model, and notes them as operations."""

    def __init__(self, stock: Sequence[int] = (3,), *, limit: int = 2, waitlist: int = 0) -> None:
        self.clock = Clock()
        self.ledger = ModelLedger(self.clock)
        self.ops: list[Op] = []
        at_ms = self.clock.now_ms()
        items = tuple(SaleItem(f"i{number}", units) for number, units in enumerate(stock))
        spec = SaleSpec("s1", items, limit, at_ms, at_ms + 3_600_000, HOLD_MS, waitlist)
        now(self.ledger.open(spec, command_id="open-1"))

    def run(self, step: Step) -> Op:
        self.clock.now_ms_ += step.wait_ms
        at = STEP * (len(self.ops) + 1)
        op = Op(len(self.ops), step.asked, at - step.early)
        self.ops.append(op)
        if step.runs or step.known:
            try:
                answer = now(step.asked.of(self.ledger))
            except LedgerError as error:
                answer = Refused.of(error)
            if step.known:
                op.end, op.answer = at + step.late, answer
        return op

    @property
    def feed(self) -> list[AnyRow]:
        return list(self.ledger.sales["s1"].feed)


def buy(user: str, command: str, units: int = 1, item: int = 0) -> Asked:
    return Asked(Kind.PURCHASE, user_id=user, command_id=command, lines=(Line(f"i{item}", units),))


def end(kind: Kind, user: str, command: str, place: int = 0) -> Asked:
    return Asked(kind, user_id=user, place=place, command_id=command)


def adjust(command: str, delta: int, item: int = 0) -> Asked:
    return Asked(Kind.ADJUST, command_id=command, delta=delta, item_id=f"i{item}")
