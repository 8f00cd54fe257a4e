"""The checker's own check: search for an order, as Wing and Gong do. For a handful of operations.

Backtracking over every order that real time allows: an operation may come next if none of those left was
answered before it was asked. What was answered must be answered so by the model; what the model writes must
be the feed's next change, and all of the feed must be written in the end. It shares the model with the
checker, and nothing else.
Sweeps that expired something are not for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from liveserver.stock.rows import AnyRow, Expired, Opened
from tests.linear.checker import FOREVER
from tests.linear.history import NOTHING_RAN, Op, changes
from tests.linear.oracle import Oracle, plain


def linearizable(ops: Sequence[Op], feed: Sequence[AnyRow]) -> bool:
    if not feed or not isinstance(feed[0], Opened):
        return False
    rows = [part for row in feed[1:] for part in changes(row)]
    return _found(Oracle(feed[0]), tuple(op for op in ops if op.answer != NOTHING_RAN), rows)


def _found(oracle: Oracle, left: tuple[Op, ...], rows: list[AnyRow]) -> bool:
    if not rows and not any(op.known for op in left):
        return True
    if rows and isinstance(rows[0], Expired):
        after = oracle.copy()
        if after.expires(rows[0]):
            rest = _after_the_line(after, rows)
            if rest is not None and _found(after, left, rest):
                return True
    first_answered = min((op.end for op in left if op.end is not None), default=FOREVER)
    for op in left:
        if op.start > first_answered:
            continue
        others = tuple(one for one in left if one is not op)
        answer, written, here = oracle.would(op.asked, rows[0].at_ms if rows else None)
        if written and written == rows[:1]:
            after = oracle.copy()
            after.adopt(here)
            rest = _after_the_line(after, rows)
            told = not op.known or after.at_end(answer) == plain(op.answer)
            if rest is not None and told and _found(after, others, rest):
                return True
        answer, written, _ = oracle.would(op.asked)
        if op.known and not written and answer == plain(op.answer) and _found(oracle, others, rows):
            return True
    return False


def _after_the_line(oracle: Oracle, rows: list[AnyRow]) -> list[AnyRow] | None:
    """The rows without the first and what serving the line then writes. None: they don't begin so."""
    served = oracle.serves(rows[0].at_ms)
    rest = rows[1:]
    return rest[len(served) :] if rest[: len(served)] == served else None
