"""A rebuild carried out: the sources read, the plan written row by row, proved, and the sale reopened.

``look`` only reads. ``carry_out`` begins a new epoch in which nothing but the rebuild is done to the sale,
and reopens it only when the whole of it has been verified. Ended half-way, by whatever, it leaves the sale
frozen, and a feed that holds every law: look again, and carry out what is then planned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from liveserver.stock import scripts
from liveserver.stock.audit import Progress, audit
from liveserver.stock.compare import Finding
from liveserver.stock.export import OrderLine, feed_entries
from liveserver.stock.fold import BrokenLawError, Fold, Law
from liveserver.stock.journal import Fact
from liveserver.stock.journal_files import Gap, read_journals
from liveserver.stock.packed import pack_items, pack_order
from liveserver.stock.port import SaleSpec
from liveserver.stock.rebuild import Plan, Put, Step, plan, rows
from liveserver.stock.rebuild_report import RebuildReport
from liveserver.stock.rebuild_sources import Left, RebuildError, SaleOrder
from liveserver.stock.rows import parse_row
from liveserver.stock.transitions import LETTER
from liveserver.valkey.scripts import Script
from liveserver.valkey.server import server_facts

PUT: Final = "rows put back"

Told = Callable[[Progress], None]


class NotProvedError(Exception):
    """What was written is not what the feed says; the sale stays frozen."""


class Notes(msgspec.Struct):
    """What the journals have of one sale."""

    facts: list[Fact]
    gaps: list[str]

    def furthest(self) -> tuple[int, int]:
        """The latest ``(epoch, seq)`` anybody was told of."""
        return max(((fact.epoch, fact.seq) for fact in self.facts), default=(0, 0))


def read_notes(folders: Sequence[Path], sale_id: str) -> Notes:
    """Raises ``OSError``."""
    notes = Notes([], [])
    for one in read_journals(folders, sale_id):
        notes.gaps.append(f"{one.file}: {one.why}") if isinstance(one, Gap) else notes.facts.append(one)
    return notes


def _silent(_: Progress) -> None:
    pass


async def look(
    client: Redis,
    sale_id: str,
    notes: Notes,
    orders: Sequence[OrderLine],
    *,
    spec: SaleSpec | None = None,
    now_ms: int | None = None,
    on_progress: Told = _silent,
) -> Plan:
    """What a rebuild would do, proved to hold every law. ``notes`` must have been read before. Nothing is
    changed. ``now_ms``: instead of the store's time. Raises ``RebuildError``, redis-py's exceptions."""
    found = await audit(client, sale_id, on_progress=on_progress)
    left = await _left(client, sale_id)
    if now_ms is None:
        seconds, micros = await client.time()
        now_ms = int(seconds) * 1000 + int(micros) // 1000
    made = plan(
        left,
        notes.facts,
        orders,
        now_ms=now_ms,
        afresh=bool(found.findings),
        spec=spec,
        gaps=notes.gaps,
    )
    _prove(made, left, now_ms)
    broken = [_said(finding) for finding in found.findings]
    return msgspec.structs.replace(made, report=msgspec.structs.replace(made.report, broken=broken))


def _prove(made: Plan, left: Left, now_ms: int) -> None:
    """Folds the plan behind what is left. ``left`` is of no use after that."""
    fold = Fold() if made.afresh else left.fold
    for row in rows(made, left, at_ms=now_ms):
        try:
            fold.take(row)
        except BrokenLawError as error:
            raise AssertionError(f"the plan of a rebuild breaks a law: {error}") from error


async def _left(client: Redis, sale_id: str) -> Left:
    """All rows up to the first that breaks a law."""
    whole = await _read(client, sale_id, None)
    return whole if whole.broken is None else await _read(client, sale_id, whole.fold.rows)


async def _read(client: Redis, sale_id: str, rows_max: int | None) -> Left:
    left = Left()
    async for entry_id, fields in feed_entries(client, sale_id):
        left.last = entry_id.decode()
        if left.broken is not None or left.fold.rows == rows_max:
            continue
        try:
            left.take(parse_row(sale_id, entry_id, fields))
        except BrokenLawError as error:
            left.broken = error
        except ValueError as error:
            left.broken = BrokenLawError(left.last, Law.FORMAT, str(error))
    return left


async def carry_out(
    client: Redis, plan: Plan, *, actor: str, command_id: str, on_progress: Told = _silent
) -> RebuildReport:
    """The sale must be frozen. Returns when it is open again. Raises ``RebuildError``, with nothing
    done, ``NotProvedError``, with the sale still frozen, and redis-py's exceptions; then, and cancelled, it
    may be anywhere between: look again."""
    safe = int((await server_facts(client)).fsynced)
    sale_id = plan.spec.sale_id
    keys = scripts.keys_of(sale_id)
    aside = f"{keys[2]}:aside:{plan.epoch_min}"
    begin = (plan.last, safe, plan.epoch_min, plan.since, plan.base, actor, command_id)
    spec = plan.spec
    static = (
        *(spec.limit_per_user, spec.hold_ms, spec.opens_at_ms, spec.closes_at_ms, command_id),
        *(len(spec.items), pack_items(spec.items), spec.waitlist, spec.spread_ms, spec.ships_at_ms),
    )
    place = await _called(
        client, scripts.REBUILD_BEGIN, (*keys, aside), (*begin, "1" if plan.afresh else "", *static)
    )
    for done, step in enumerate(plan.steps, start=1):
        script, arguments = _call_of(step)
        place = await _called(client, script, keys, (*place, safe, *arguments))
        on_progress(Progress(PUT, done, len(plan.steps)))
    found = await audit(client, sale_id, on_progress=on_progress)
    if found.findings:
        raise NotProvedError(
            "what was put back is not what the feed says, so the sale stays frozen: "
            + "; ".join(map(_said, found.findings))
        )
    status = "paused" if plan.paused else "open"
    await _called(client, scripts.REBUILD_END, keys, (*place, safe, status, actor, command_id))
    return plan.report


def _call_of(step: Step) -> tuple[Script, tuple[str | int, ...]]:
    if isinstance(step, Put):
        arguments: list[str | int] = [step.kind, step.due_ms, "back" if step.limit_back else "kept"]
        for order in step.orders:
            packed = pack_order(order.command_id, order.lines)
            arguments += (
                order.ref.user_id,
                order.ref.place,
                packed,
                f"{LETTER[order.state]}{order.due_ms}",
            )
        return scripts.REBUILD_PUT, tuple(arguments)
    assert isinstance(step, SaleOrder)
    more = (step.item, step.delta, step.reason)
    return scripts.REBUILD_ORDER, (step.kind, step.actor, step.command_id, *more)


async def _called(
    client: Redis, script: Script, keys: Sequence[str], arguments: Sequence[str | int]
) -> tuple[int, int]:
    """Where the rebuild stands after it."""
    reply: Any = await script.call(client, keys, arguments)
    match reply[0]:
        case b"ok":
            return reply[1], reply[2]
        case b"not_frozen":
            raise RebuildError("the sale is not frozen: freeze it first")
        case b"unknown":
            raise RebuildError("the sale is gone")
        case b"moved":
            raise RebuildError("somebody else changed the sale meanwhile: look again")
        case other:
            raise RebuildError(f"{script.name} answers {other.decode()} {reply[1:]!r}")


def _said(finding: Finding) -> str:
    return f"{finding.where}: {finding.law}: {finding.text}"
