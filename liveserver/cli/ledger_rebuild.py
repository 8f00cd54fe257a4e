"""``liveserver ledger rebuild``: a frozen sale put together again, and reopened.

From its feed, the processes' journals and the order service's orders (``stock/rebuild.py`` says whom it
believes). What can't be kept is told one by one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import uvloop
from redis.asyncio import Redis

from liveserver.cli.counted import counted
from liveserver.cli.ledger_progress import Show, shown
from liveserver.cli.ledger_store import CANNOT_LOOK, DataDirOption, RedisUrlOption, place, store_of
from liveserver.cli.logs import logs_to_stderr
from liveserver.cli.serve import DATA_DIR
from liveserver.config import JOURNAL_FOLDER
from liveserver.stock.audit import Progress
from liveserver.stock.export import OrderLine
from liveserver.stock.ids import is_id
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import (
    LedgerError,
    LedgerPendingError,
    SaleSpec,
    SaleStatus,
    StockView,
    UnknownSaleError,
)
from liveserver.stock.rebuild import Plan
from liveserver.stock.rebuild_orders import OrderFileError, read_orders
from liveserver.stock.rebuild_report import Found, RebuildReport
from liveserver.stock.rebuild_run import Notes, NotProvedError, carry_out, look, read_notes
from liveserver.stock.rebuild_sources import RebuildError
from liveserver.stock.rows import Opened, parse_row
from liveserver.stock.scripts import keys_of
from liveserver.store.kill_switch import KillSwitchStore
from liveserver.store.server_clock import ServerClock

NOT_PROVED = 1
CANNOT = 2
LOST = 3


class Answer(msgspec.Struct):
    """What ``rebuild --json`` prints. ``done`` False: a dry run, or it was not agreed to."""

    done: bool
    whole: bool
    report: RebuildReport


class _Given(msgspec.Struct, frozen=True):
    sale_id: str
    orders: Sequence[OrderLine]
    notes: Notes
    spec: SaleSpec | None
    actor: str
    freeze: bool
    dry_run: bool
    yes: bool
    as_json: bool


def rebuild(
    ctx: typer.Context,
    sale: Annotated[str, typer.Argument(help="The sale.")],
    orders: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="The order service's orders, JSON lines or CSV, as `export --orders` writes them.",
        ),
    ] = None,
    journal: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="A folder of journals; give it for each host that served.",
            show_default="DATA_DIR/journal",
        ),
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="An export of its feed (jsonl), for a sale whose opening nobody else has.",
        ),
    ] = None,
    freeze: Annotated[bool, typer.Option("--freeze", help="Freeze the sale first, if it is not.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
    actor: Annotated[str, typer.Option(help="Who does it; stands in the feed.")] = "rebuild",
    redis_url: RedisUrlOption = "",
    data_dir: DataDirOption = None,
) -> None:
    """Put a frozen sale together again, in a new epoch, and reopen it.

    Its feed as far as it goes, the journals of what buyers were told, and the order service's orders are
    joined; the plan is proved, written row by row, verified, and only then does the sale go on. Ended
    half-way it leaves the sale frozen: call it again. Exits 0 if nothing was lost, 3 if something was (each
    hold is named), 1 if the outcome could not be verified (the sale stays frozen), 2 if nothing was done.

    Examples:  liveserver ledger rebuild night-1 --dry-run

               liveserver ledger rebuild night-1 --orders paid.csv --journal host-a --journal host-b --yes
    """
    if not is_id(sale):
        raise typer.BadParameter(f"{sale!r} is no sale id", param_hint="SALE")
    if not is_id(actor):
        raise typer.BadParameter(f"{actor!r} is no id", param_hint="--actor")
    folders = journal or [one for one in [(data_dir or DATA_DIR) / JOURNAL_FOLDER] if one.is_dir()]
    where = place(ctx)

    async def work(given: _Given) -> Answer:
        async with store_of(where, _loading) as client:
            with shown() as show:
                plan = await _plan(client, given, show)
            if not as_json:
                typer.echo(_said(plan.report))
                if not folders and plan.report.frozen != ("ordered",):
                    typer.echo("  no journal was read: what only buyers were told is not known")
            done = not dry_run and _agreed(given)
            if done:
                with shown() as show:
                    await _carry_out(client, given, plan, show)
            return Answer(done, plan.report.whole, plan.report)

    try:
        given = _Given(
            sale,
            _orders(orders, sale),
            read_notes(folders, sale),
            _spec(spec, sale),
            actor,
            freeze,
            dry_run,
            yes,
            as_json,
        )
        with logs_to_stderr():
            answer = uvloop.run(work(given))
    except NotProvedError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(NOT_PROVED) from None
    except (*CANNOT_LOOK, RebuildError, LedgerError, OrderFileError, ValueError) as error:
        typer.echo(f"{sale} is not rebuilt: {error or type(error).__name__}", err=True)
        raise typer.Exit(CANNOT) from None
    if as_json:
        typer.echo(msgspec.json.encode(answer))
    elif answer.done:
        typer.echo(f"{sale} is rebuilt and goes on")
    elif not dry_run:
        raise typer.Exit(CANNOT)
    raise typer.Exit(0 if answer.whole else LOST)


async def _plan(client: Redis, given: _Given, show: Show) -> Plan:
    if not given.dry_run:
        if await KillSwitchStore(client).read() is not None:
            raise RebuildError(
                "the switch that freezes every sale is on, and would freeze it again: liveserver sales lift"
            )
        await _stand_still(client, given)
    return await look(
        client,
        given.sale_id,
        given.notes,
        given.orders,
        spec=given.spec,
        on_progress=lambda progress: show(given.sale_id, progress),
    )


async def _carry_out(client: Redis, given: _Given, plan: Plan, show: Show) -> None:
    def told(progress: Progress) -> None:
        show(given.sale_id, progress)

    seconds, _ = await client.time()
    await carry_out(client, plan, actor=given.actor, command_id=f"rebuild-{int(seconds)}", on_progress=told)


async def _stand_still(client: Redis, given: _Given) -> None:
    """The sale finds out whether it lost something, by being told what the journals saw; then it must be
    frozen, or be frozen now. Raises ``RebuildError``."""
    clock = ServerClock()
    await clock.sync(client)
    ledger = ValkeyLedger(client, clock)
    epoch, seq = given.notes.furthest()
    ledger.learn(StockView(given.sale_id, epoch, seq, SaleStatus.OPEN, {}, 0, 0))
    try:
        if not await _is(client, given.sale_id, "rebuilding"):
            await ledger.expire(given.sale_id)
    except UnknownSaleError:
        return  # nothing is left that could go on
    except LedgerPendingError:
        pass  # a sale that is broken can't be swept
    if await _is(client, given.sale_id, "frozen"):
        return
    if not given.freeze:
        raise RebuildError("it is not frozen. With --freeze it is, and nothing is sold meanwhile")
    await ledger.freeze(given.sale_id, actor=given.actor, command_id="rebuild")


async def _is(client: Redis, sale_id: str, flag: str) -> bool:
    value: Any = await client.hget(keys_of(sale_id)[0], flag)
    return bool(value == b"1")


def _agreed(given: _Given) -> bool:
    if given.yes:
        return True
    if not sys.stdin.isatty() or given.as_json:
        raise ValueError("nobody can be asked: give --yes, or --dry-run")
    return typer.confirm("Write this down and reopen the sale?", err=True)


def _orders(path: Path | None, sale_id: str) -> list[OrderLine]:
    """Those of this sale. Raises ``OrderFileError``: also where all are of others, since to go on without
    any would forget what was paid."""
    if path is None:
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            given = list(read_orders(path.name, file))
    except UnicodeDecodeError as error:
        raise OrderFileError(f"{path.name} is no text in UTF-8: {error.reason}") from None
    own = [order for order in given if order.sale_id == sale_id]
    if given and not own:
        others = sorted({order.sale_id for order in given})
        named = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
        raise OrderFileError(
            f"none of the {len(given)} orders in {path.name} is of {sale_id}: they are of {named}"
        )
    return own


def _spec(path: Path | None, sale_id: str) -> SaleSpec | None:
    """Of the opening in an export of its feed. Raises ``ValueError``."""
    if path is None:
        return None
    with path.open("rb") as file:
        for line in file:
            fields = msgspec.json.decode(line, type=dict[str, str])
            if fields.pop("sale_id", "") == sale_id and fields.get("kind") == "open":
                entry_id = fields.pop("id").encode()
                row = parse_row(
                    sale_id, entry_id, {key.encode(): text.encode() for key, text in fields.items()}
                )
                assert isinstance(row, Opened)
                return row.spec
    raise ValueError(f"{path} has no opening of {sale_id}: give what `ledger export` wrote of its feed")


def _said(report: RebuildReport) -> str:
    """A head, one line for whatever could not be kept, and how the sale is afterwards."""
    if report.afresh:
        head = "begins afresh"
    else:
        head = f"goes on from {report.epoch}-{report.seq}"
    why = ", ".join(report.frozen) or "not frozen"
    lines = [
        f"{report.sale_id} ({why}) {head}; read: {counted(report.facts, 'fact')} of journals, "
        f"{counted(report.orders, 'order')}",
        f"  {len(report.recovered)} recovered, {len(report.corrected)} corrected, {len(report.lost)} lost, "
        f"{counted(len(report.oversold), 'item')} oversold, {counted(len(report.conflicts), 'conflict')}, "
        f"{counted(len(report.put_back), 'order')} to the sale put back",
    ]
    lines += (f"  broken: {text}" for text in report.broken)
    lines += (f"  gap: {text}" for text in report.gaps)
    lines += (f"  lost: {_named(one)}: {one.why}" for one in report.lost)
    for over in report.oversold:
        lines.append(f"  oversold: {over.units} of {over.item_id}, the latest are {', '.join(over.orders)}")
    lines += (f"  conflict: {one.where}: {one.text}" for one in report.conflicts)
    for item, available in report.available.items():
        held, confirmed = report.held[item], report.confirmed[item]
        lines.append(f"  {item}: {available} available, {held} held, {confirmed} confirmed")
    return "\n".join(lines)


def _named(one: Found) -> str:
    wanted = ", ".join(f"{line.quantity} of {line.item_id}" for line in one.lines)
    return f"{one.reservation_id}, {wanted}, command {one.command_id}"


def _loading(percent: float) -> None:
    typer.echo(f"the store reads its log: {percent:.0f} %", err=True)
