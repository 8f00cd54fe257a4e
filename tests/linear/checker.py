"""Is this history linearizable, with the feed for its order? Pure, in linear time but for the last point.

What is taken from the system is the feed, and nothing else: its changes, in order, are the effects.

1. Every change is what the model writes there, done by exactly one operation that asked for it (an expiry: by
   the clock), with the line served right after it; and what that operation was told, if anything, is what the
   model answers there.
2. Whoever was told that he changed something is the one who did it. What certainly did nothing did none.
3. Every other answer is the model's at some place between two changes: at the seq the answer names, or, where
   it names none, anywhere that 4 allows.
4. If A was answered before B was asked, A's place is not after B's. An unknown operation was never answered,
   so it may come late, but not before it was asked.

Places are keys: the change with seq s has ``2 s``, between it and the next is ``2 s + 1``. Since the effects'
order is given, giving everybody else the least key that is right for him finds an order if there is one.

An answer of the sold-out latch is older than its question, by design, and knows nothing of the buyer. There
must be too little for his order at the place it names, and that place is bounded twice: nothing that the same
process had been told before is after it, and nothing anybody had been told ``stale`` before it was asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from liveserver.stock.port import Change, Swept, Verdict
from liveserver.stock.rows import AnyRow, Expired, Opened, Served, Skipped
from tests.linear.history import (
    NOTHING_RAN,
    UNASKED,
    Answer,
    Claim,
    Op,
    changes,
    claim_of,
    claim_on,
    position,
)
from tests.linear.oracle import Oracle, plain

FOUND_MAX = 20
FOREVER = 1 << 80


class Violation(msgspec.Struct, frozen=True):
    text: str
    op: int | None = None  # the operation's number
    seq: int | None = None  # the change's

    def __str__(self) -> str:
        at = f"operation {self.op}" if self.op is not None else f"seq {self.seq}"
        return f"{at}: {self.text}"


def check(ops: Sequence[Op], feed: Sequence[AnyRow], *, stale: int = 0) -> list[Violation]:
    """At most ``FOUND_MAX`` of what is wrong; none: it is linearizable. ``stale``: how old an answer of the
    latch may be, in the unit of the operations' times."""
    return _Check(ops, feed, stale).run()


class _Check:
    def __init__(self, ops: Sequence[Op], feed: Sequence[AnyRow], stale: int) -> None:
        self.ops = [op for op in ops if op.answer != NOTHING_RAN]
        self.feed = feed
        self.stale = stale
        self.found: list[Violation] = []
        self.key: dict[int, int] = {}  # operation number -> its place
        self.told_at: dict[int, list[Op]] = defaultdict(list)  # seq -> whose answers are of there
        self.passed: set[int] = set()  # seqs between two changes, or two steps
        self.by_claim: dict[Claim, list[Op]] = defaultdict(list)
        self.windows: dict[int, list[Op]] = defaultdict(list)  # seq -> those who may be told of there
        self.legal: dict[int, list[int]] = {}  # operation number -> keys

    def run(self) -> list[Violation]:
        if not self.feed or not isinstance(self.feed[0], Opened):
            return [Violation("a feed begins with its opening", seq=0)]
        items = self.feed[0].spec.items
        self.number_of = {item.item_id: number for number, item in enumerate(items)}
        self.steps = steps_of(self.feed[1:])
        ends: dict[int, AnyRow] = {
            step[-1].last: step[0] for step in self.steps if isinstance(step[0], Expired)
        }
        self._sort_out(ends)
        claims = self._claims()
        for judge in (
            self._order,  # those who have a place, so that nobody else is blamed for one of them
            self._place,
            lambda: self._walk(claims, ends),
            self._order,
        ):
            if not self.found:
                judge()
        return self.found[:FOUND_MAX]

    def _sort_out(self, ends: dict[int, AnyRow]) -> None:
        for op in self.ops:
            claim = claim_of(op.asked, self.number_of)
            if claim is not None:
                self.by_claim[claim].append(op)
            at = position(op.answer) if op.known else None
            if at is None:
                continue
            if swept(op) and at not in ends:
                self._wrong(op, f"was told of an expiry that is not at {at}")
            self.key[op.number] = 2 * at + (not swept(op))
            self.told_at[at].append(op)
        told: dict[int, Op] = {}
        for op in self.ops:
            if swept(op) and told.setdefault(self.key[op.number], op) is not op:
                self._wrong(op, f"was told of the same expiry as {told[self.key[op.number]]}")

    def _claims(self) -> dict[int, Op]:
        """seq -> who did it. Point 2."""
        claims: dict[int, Op] = {}
        done: set[int] = set()
        for row, end in [(part, step[-1].last) for step in self.steps for part in changes(step[0])]:
            claim = claim_on(row)
            if claim is None:
                if not isinstance(row, UNASKED):
                    self.found.append(Violation(f"nobody here asks for {type(row).__name__}", seq=row.last))
                continue
            free = [op for op in self.by_claim[claim] if op.number not in done]
            asked = [op for op in free if may_have_done(op, end)]
            sure = [op for op in asked if did(op)]
            if not asked:
                text = f"nobody who may have done it asked for {claim}"
                self.found.append(Violation(text, seq=row.last))
                continue
            doer = min(sure or asked, key=lambda op: op.start)
            claims[row.last] = doer
            done.add(doer.number)
            self.key[doer.number] = 2 * row.last
        for op in self.ops:
            if did(op) and op.number not in done:
                self._wrong(op, "was told that it did what is not in the feed")
        return claims

    def _place(self) -> None:
        """Where those may be whose answers don't name a place: bounded by all who have one."""
        fixed = [op for op in self.ops if op.number in self.key and not op.latched]
        by_end = sorted((op.end, self.key[op.number]) for op in fixed if op.end is not None)
        by_start = sorted((op.start, self.key[op.number]) for op in fixed)
        free = [op for op in self.ops if op.known and op.number not in self.key]
        lowest, k, low = {}, 0, 1
        for op in sorted(free, key=lambda op: op.start):
            while k < len(by_end) and by_end[k][0] < op.start:
                low = max(low, by_end[k][1])
                k += 1
            lowest[op.number] = low
        last = 2 * self.feed[-1].last + 1
        k, high = len(by_start) - 1, last
        for op in sorted(free, key=lambda op: -(op.end or 0)):
            while k >= 0 and op.end is not None and by_start[k][0] > op.end:
                high = min(high, by_start[k][1])
                k -= 1
            self.legal[op.number] = []
            for key in range(lowest[op.number] | 1, high + 1, 2):
                self.windows[key // 2].append(op)

    def _walk(self, claims: dict[int, Op], ends: dict[int, AnyRow]) -> None:
        """Points 1 and 3: the model along the feed."""
        opened = self.feed[0]
        assert isinstance(opened, Opened)
        oracle = Oracle(opened)
        self._listen(oracle, {}, [])
        for step in self.steps:
            if not self._take(oracle, step, claims, ends):
                return
        for at in self.told_at.keys() - self.passed:
            for op in self.told_at[at]:
                self._wrong(op, f"was told of {at}, which no step ends at: {op.answer}")

    def _take(
        self, oracle: Oracle, step: list[AnyRow], claims: dict[int, Op], ends: dict[int, AnyRow]
    ) -> bool:
        """One row, and the line served after it. False: it is not the model's, so nothing after it can be."""
        row = step[0]
        told: list[tuple[Op, Answer]] = []
        if isinstance(row, Expired):
            if not oracle.expires(row):
                self.found.append(Violation(f"the clock would not write {row}", seq=row.last))
                return False
        else:
            for part in changes(row):
                if part.last not in claims:  # a step of the line without a row before it
                    self.found.append(Violation(f"the model writes nothing, not {row}", seq=row.last))
                    return False
                doer = claims[part.last]
                answer, written, here = oracle.would(doer.asked, part.at_ms)
                if written != [part]:
                    self.found.append(Violation(f"the model writes {written}, not {part}", seq=part.last))
                    return False
                oracle.adopt(here)
                told.append((doer, answer))
                if part.last < row.last:
                    self._listen(oracle, ends, [doer for doer, _ in told])
        served = oracle.serves(row.at_ms)
        if served != step[1:]:
            self.found.append(
                Violation(f"of the line the model writes {served}, not {step[1:]}", seq=row.last)
            )
            return False
        for doer, answer in told:
            if doer.known and oracle.at_end(answer) != doer.answer:
                self._wrong(doer, f"at {row.last} was told {doer.answer}, the model says {answer}")
        self._listen(oracle, ends, [doer for doer, _ in told])
        return True

    def _listen(self, oracle: Oracle, ends: dict[int, AnyRow], doers: list[Op]) -> None:
        """Those whose answer is of right here, but for those who did it."""
        seq = oracle.sale.seq
        self.passed.add(seq)
        for op in self.told_at.get(seq, ()):
            if any(op is doer for doer in doers):
                continue
            if op.latched:
                if not oracle.sold_out(op.asked):
                    self._wrong(op, f"the latch said sold out at {seq}, where there was enough")
                continue
            if swept(op):
                self._listen_swept(op, oracle, ends.get(seq))
                continue
            answer, written, _ = oracle.would(op.asked)
            if written or answer != plain(op.answer):
                self._wrong(op, f"at {seq} was told {op.answer}, the model says {answer}")
        for op in self.windows[seq]:
            answer, written, _ = oracle.would(op.asked)
            if not written and answer == op.answer:
                self.legal[op.number].append(2 * seq + 1)

    def _listen_swept(self, op: Op, oracle: Oracle, row: AnyRow | None) -> None:
        if not isinstance(row, Expired):
            return  # said already
        expected = Swept([oracle.sale.reservation(ref) for ref in row.refs], oracle.view, False)
        if expected != plain(op.answer):
            self._wrong(op, f"at {row.last} was told {op.answer}, the model says {expected}")

    def _order(self) -> None:
        """Point 4. In order of asking, each gets the least key that is right."""
        placed = _Answered(self.ops)
        by_process: dict[int, _Answered] = {}
        long_ago = _Answered(self.ops)
        for op in sorted(self.ops, key=lambda op: op.start):
            if op.number not in self.key and op.number not in self.legal:
                continue  # it never ran, or changed nothing; or where it may be is not known yet
            if op.latched:
                if op.process not in by_process:
                    by_process[op.process] = _Answered([one for one in self.ops if heard(one, op.process)])
                own = by_process[op.process]
                least, after = max(
                    own.before(op.start, self.key), long_ago.before(op.start - self.stale, self.key)
                )
            else:
                least, after = placed.before(op.start, self.key)
            if op.number not in self.key:
                right = [key for key in self.legal[op.number] if key >= least]
                if not right:
                    self._wrong(op, f"was told {op.answer}, which was true nowhere while it ran")
                    return
                self.key[op.number] = right[0]
            elif self.key[op.number] < least:
                place = self.key[op.number] / 2
                self._wrong(
                    op, f"is at {place}, before operation {after}, which was answered before it was asked"
                )
                return

    def _wrong(self, op: Op, text: str) -> None:
        self.found.append(Violation(text, op=op.number))


class _Answered:
    """The greatest key of those answered before a moment; moments only rise."""

    def __init__(self, ops: Sequence[Op]) -> None:
        self._ops = sorted((op for op in ops if op.end is not None), key=lambda op: op.end or 0)
        self._next = 0
        self._greatest = (1, -1)

    def before(self, moment: int, key: dict[int, int]) -> tuple[int, int]:
        """(key, number of the operation)."""
        while self._next < len(self._ops) and (self._ops[self._next].end or 0) < moment:
            op = self._ops[self._next]
            self._greatest = max(self._greatest, (key.get(op.number, 1), op.number))
            self._next += 1
        return self._greatest


def did(op: Op) -> bool:
    """Its answer says that it was this very operation that changed something."""
    match op.answer:
        case Verdict():
            return op.answer.reservation is not None and not op.answer.replayed
        case Change():
            return op.answer.changed
        case _:
            return False


def heard(op: Op, process: int) -> bool:
    """The process learnt the view of this answer."""
    return op.process == process and position(op.answer) is not None


def swept(op: Op) -> bool:
    return isinstance(op.answer, Swept) and bool(op.answer.expired)


def may_have_done(op: Op, seq: int) -> bool:
    """The change it asked for, in a step that ends at ``seq``; of an answer that is a view that tells."""
    if not op.known:
        return True
    if isinstance(op.answer, Verdict | Change):
        return did(op)
    return position(op.answer) == seq


def steps_of(rows: Sequence[AnyRow]) -> list[list[AnyRow]]:
    """A row each, with the rows of the line that is served right after it. The lines of a history are shorter
    than what one step may serve."""
    steps: list[list[AnyRow]] = []
    for row in rows:
        if isinstance(row, Served | Skipped) and steps:
            steps[-1].append(row)
        else:
            steps.append([row])
    return steps
