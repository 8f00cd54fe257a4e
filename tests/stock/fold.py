"""Folding a feed, and the laws it must prove alone. Written from FEED.md, on the typed rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from liveserver.stock.port import ReservationState as S
from liveserver.stock.rows import (
    Adjusted,
    AnyRow,
    Closed,
    Confirmed,
    ConfirmedLate,
    Expired,
    Frozen,
    Opened,
    Paused,
    Ref,
    RefundDue,
    Released,
    Reserved,
    Resumed,
    Returned,
    Served,
    Skipped,
    Waited,
)


class Fold(msgspec.Struct):
    initial: list[int] = []
    adjusted: list[int] = []
    available: list[int] = []
    held: list[int] = []
    confirmed: list[int] = []
    state: dict[Ref, S] = {}
    lines: dict[Ref, tuple[tuple[int, int], ...]] = {}
    due_ms: dict[Ref, int] = {}
    line: list[list[Ref]] = []  # who waits, per item
    used: Counter[str] = msgspec.field(default_factory=Counter)
    seq: int = 0


def fold(rows: Sequence[AnyRow]) -> Fold:
    """Raises AssertionError where the feed breaks a law."""
    so_far = Fold()
    commands: set[tuple[str, str]] = set()
    stopped = paused = frozen = False
    opened = rows[0]
    assert isinstance(opened, Opened), "a feed begins with its opening"
    spec = opened.spec
    so_far.initial = [item.stock for item in spec.items]
    so_far.available = list(so_far.initial)
    so_far.held, so_far.confirmed, so_far.adjusted = ([0] * len(spec.items) for _ in range(3))

    so_far.line = [[] for _ in spec.items]

    def end(ref: Ref, state: S, at_ms: int) -> None:
        if so_far.state[ref] is S.WAITING and state is S.RELEASED:
            so_far.state[ref] = state
            so_far.line[so_far.lines[ref][0][0]].remove(ref)
            return
        assert so_far.state[ref] is S.HELD, f"{ref} ended twice"
        assert (at_ms >= so_far.due_ms[ref]) == (state is S.EXPIRED), f"{ref} {state} at the wrong time"
        so_far.state[ref] = state
        for item, units in so_far.lines[ref]:
            so_far.held[item] -= units
            (so_far.confirmed if state is S.CONFIRMED else so_far.available)[item] += units
            so_far.used[ref.user_id] -= 0 if state is S.CONFIRMED else units
        check()

    def pay_late(ref: Ref, state: S) -> None:
        assert so_far.state[ref] in (S.EXPIRED, S.RELEASED), f"{ref} was {so_far.state[ref]}, and paid late"
        so_far.state[ref] = state
        if state is S.CONFIRMED:
            for item, units in so_far.lines[ref]:
                assert not so_far.line[item], "paid late, and somebody waited"
                so_far.available[item] -= units
                so_far.confirmed[item] += units
                so_far.used[ref.user_id] += units
            assert not spec.limit_per_user or so_far.used[ref.user_id] <= spec.limit_per_user
        check()

    def take_back(ref: Ref, limit_back: bool) -> None:
        assert so_far.state[ref] is S.CONFIRMED, f"{ref} was {so_far.state[ref]}, and came back"
        so_far.state[ref] = S.RETURNED
        for item, units in so_far.lines[ref]:
            so_far.confirmed[item] -= units
            so_far.available[item] += units
            so_far.used[ref.user_id] -= units if limit_back else 0
        check()

    def check() -> None:
        for item, initial in enumerate(so_far.initial):
            parts = so_far.available[item], so_far.held[item], so_far.confirmed[item]
            assert min(parts) >= 0, "a negative counter"
            assert sum(parts) == initial + so_far.adjusted[item], "units lost or made"

    at_ms = 0
    for place, row in enumerate(rows):
        assert row.first == so_far.seq + 1 and row.last >= row.first, f"a gap before {row.first}"
        assert row.epoch == opened.epoch and row.at_ms >= at_ms
        so_far.seq, at_ms = row.last, row.at_ms
        changes = row.last - row.first + 1
        match row:
            case Opened():
                assert place == 0 and changes == 1
            case Reserved():
                assert not stopped and not paused
                assert spec.opens_at_ms <= row.at_ms < spec.closes_at_ms
                assert changes == len(row.orders) and row.due_ms == row.at_ms + spec.hold_ms
                for order in row.orders:
                    user_id = order.ref.user_id
                    assert (user_id, order.command_id) not in commands, "a command took effect twice"
                    assert order.ref.place == sum(ref.user_id == user_id for ref in so_far.state)
                    commands.add((user_id, order.command_id))
                    so_far.state[order.ref], so_far.lines[order.ref] = S.HELD, order.lines
                    so_far.due_ms[order.ref] = row.due_ms
                    for item, units in order.lines:
                        assert not so_far.line[item], "granted, and somebody waited"
                        so_far.available[item] -= units
                        so_far.held[item] += units
                        so_far.used[user_id] += units
                    assert not spec.limit_per_user or so_far.used[user_id] <= spec.limit_per_user
                    check()
            case Waited():
                assert not stopped and not paused and changes == len(row.orders)
                for order in row.orders:
                    user_id = order.ref.user_id
                    assert (user_id, order.command_id) not in commands, "a command took effect twice"
                    assert order.ref.place == sum(ref.user_id == user_id for ref in so_far.state)
                    commands.add((user_id, order.command_id))
                    so_far.state[order.ref], so_far.lines[order.ref] = S.WAITING, order.lines
                    ((item, units),) = order.lines
                    assert units == 1 and (not so_far.available[item] or so_far.line[item])
                    so_far.line[item].append(order.ref)
                assert sum(map(len, so_far.line)) <= spec.waitlist
            case Skipped():
                assert not stopped and not paused and changes == len(row.refs) and spec.limit_per_user
                for ref in row.refs:
                    so_far.line[so_far.lines[ref][0][0]].remove(ref)
                    so_far.state[ref] = S.RELEASED
            case Served():
                assert not stopped and not paused and changes == len(row.refs)
                assert row.due_ms == row.at_ms + spec.hold_ms
                for ref in row.refs:
                    item = so_far.lines[ref][0][0]
                    assert so_far.line[item].pop(0) == ref, "somebody was overtaken"
                    so_far.state[ref], so_far.due_ms[ref] = S.HELD, row.due_ms
                    so_far.available[item] -= 1
                    so_far.held[item] += 1
                    so_far.used[ref.user_id] += 1
                    assert not spec.limit_per_user or so_far.used[ref.user_id] <= spec.limit_per_user
                    check()
            case Confirmed():
                assert changes == 1 and not frozen, "confirmed after the freeze"
                end(row.ref, S.CONFIRMED, row.at_ms)
            case Released():
                assert changes == 1
                end(row.ref, S.RELEASED, row.at_ms)
            case ConfirmedLate():
                assert changes == 1 and not stopped
                pay_late(row.ref, S.CONFIRMED)
            case RefundDue():
                assert changes == 1
                pay_late(row.ref, S.REFUND_DUE)
            case Returned():
                assert changes == 1
                take_back(row.ref, row.limit_back)
            case Expired():
                assert changes == len(row.refs)
                for ref in row.refs:
                    end(ref, S.EXPIRED, row.at_ms)
            case Adjusted():
                assert changes == 1
                so_far.available[row.item] += row.delta
                so_far.adjusted[row.item] += row.delta
                check()
            case Paused() | Resumed():
                assert changes == 1 and not stopped
                paused = isinstance(row, Paused)
            case Closed() | Frozen():
                assert changes == 1
                stopped = True
                frozen = frozen or isinstance(row, Frozen)
    return so_far
