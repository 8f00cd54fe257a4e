"""The sequential model, walked along a feed one change at a time, and asked on the way.

``liveserver.stock.model`` is the oracle. To ask what an operation would do *here*, without doing it, it is
asked of a slice: the sale with its counters and one buyer copied. Time is the last change's; what expires
does so by rows of its own, so nothing falls due by asking, and the line is served in a step of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Generator
from typing import cast

import msgspec

from liveserver.stock.checks import numbered_lines
from liveserver.stock.model import ModelLedger, ModelSale
from liveserver.stock.port import Change, LedgerError, StockView, Swept
from liveserver.stock.rows import AnyRow, Expired, Opened
from tests.linear.history import Answer, Asked, Refused


class StoppedClock:
    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    async def sleep_ms(self, delay_ms: float) -> None:
        raise AssertionError("the model never waits")


class _Slice(ModelSale):
    """It doesn't know those who wait, so it doesn't serve them."""

    def serve(self, now_ms: int) -> None:
        pass


class Oracle:
    def __init__(self, opened: Opened) -> None:
        self.sale = ModelSale(opened.spec, opened.at_ms, opened.command_id)
        self.sale.epoch = opened.epoch
        self.sale.feed = []

    def copy(self) -> Oracle:
        twin = copy.copy(self)
        twin.sale = copy.deepcopy(self.sale)
        return twin

    def would(self, asked: Asked, at_ms: int | None = None) -> tuple[Answer, list[AnyRow], ModelSale]:
        """What it answers here, what it writes, and the slice after it (for ``adopt``)."""
        here = self._slice(asked.user_id)
        ledger = ModelLedger(StoppedClock(self.sale.at_ms if at_ms is None else at_ms))
        ledger.sales[here.spec.sale_id] = here
        try:
            answer = now(asked.of(ledger))
        except LedgerError as error:
            answer = Refused.of(error)
        return plain(answer), here.feed, here

    def expires(self, row: Expired) -> bool:
        """The clock ends what the row names. False: it doesn't."""
        for k, ref in enumerate(row.refs):
            here = self._slice(ref.user_id)
            record = here.record(ref)
            if record is not None:
                here.due = [(record.due_ms, [ref])]
            here.sweep(row.at_ms)
            seq = row.first + k
            if here.feed != [msgspec.structs.replace(row, first=seq, last=seq, refs=(ref,))]:
                return False
            self.adopt(here)
        return True

    def serves(self, at_ms: int) -> list[AnyRow]:
        """What is free goes to the line. Answers what that writes. To be asked after every row: only in the
        middle of a step is a unit free that somebody waits for."""
        self.sale.serve(at_ms)
        written, self.sale.feed, self.sale.due = self.sale.feed, [], []
        return written

    def at_end(self, answer: Answer) -> Answer:
        """An answer with the view that is true here."""
        match answer:
            case Change() | Swept():
                return msgspec.structs.replace(answer, view=self.view)
            case StockView():
                return self.view
            case _:
                return answer

    @property
    def view(self) -> StockView:
        return self.sale.view(self.sale.at_ms)

    def sold_out(self, asked: Asked) -> bool:
        """Whether there is too little here for this order, whoever asks."""
        lines = numbered_lines(asked.order, self.sale.number_of)
        assert lines is not None
        return any(self.sale.counters[number].available < units for number, units in lines)

    def adopt(self, here: ModelSale) -> None:
        """Takes a slice for what is so from now on."""
        buyers = self.sale.buyers
        buyers.update(here.buyers)
        vars(self.sale).update(vars(here), buyers=buyers, feed=[], due=[])

    def _slice(self, user_id: str) -> _Slice:
        here = _Slice.__new__(_Slice)
        vars(here).update(vars(self.sale))
        here.counters = [copy.copy(one) for one in here.counters]
        here.buyers = {}
        if user_id in self.sale.buyers:
            here.buyers[user_id] = [copy.copy(one) for one in self.sale.buyers[user_id]]
        here.commands = dict(here.commands)
        here.lines = [list(line) for line in here.lines]
        here.due, here.feed = [], []
        return here


def now(asked: Awaitable[object]) -> object:
    """The answer of a coroutine that never waits."""
    steps = cast(Generator[object, None, object], asked.__await__())
    try:
        next(steps)
    except StopIteration as done:
        return done.value
    raise AssertionError("the model never waits")


def plain(answer: Answer) -> Answer:
    """Without what the model can't know here: whether more is due."""
    return msgspec.structs.replace(answer, more=False) if isinstance(answer, Swept) else answer
