"""``liveserver ledger``: prove a store's sales from their feeds, write them out, put them together again.

The options that say which store are read by ``ledger_store.place``, which must know how each was given.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, TextIO, TypeVar

import msgspec
import typer
import uvloop
from redis.asyncio import Redis

from liveserver.cli import ledger_format as text
from liveserver.cli.counted import counted
from liveserver.cli.ledger_archive import archive
from liveserver.cli.ledger_progress import Show, shown
from liveserver.cli.ledger_rebuild import rebuild
from liveserver.cli.ledger_store import CANNOT_LOOK, DataDirOption, Place, RedisUrlOption, place, store_of
from liveserver.stock.audit import Report, audit
from liveserver.stock.export import feed_entries, orders
from liveserver.stock.ids import is_id
from liveserver.stock.sales import TooManySalesError, find_sales
from liveserver.stock.scripts import keys_of

T = TypeVar("T")

BROKEN = 1
CANNOT = 2

app = typer.Typer(
    help="Prove the sales of a store from their feeds; write them out; archive or rebuild one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

app.command()(rebuild)

SaleOption = Annotated[str, typer.Option("--sale", help="One sale; else every sale found.")]


class OutputError(Exception):
    """Names the file that can't be written, and why."""


class Answer(msgspec.Struct):
    """What ``verify --json`` prints."""

    ok: bool
    sales: list[Report]


@app.command()
def verify(
    ctx: typer.Context,
    sale: SaleOption = "",
    redis_url: RedisUrlOption = "",
    data_dir: DataDirOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
) -> None:
    """Fold each sale's feed, hold every law, and compare counters, buyers and holds with it.

    It only reads, and works while the sale is selling. Exits 0 if every law holds, 1 if one is broken (the
    first broken entry is named, with its law), 2 if the store can't be read.

    Examples:  liveserver ledger verify

               liveserver ledger verify --sale night-1 --redis-url redis://db:6379 --json
    """

    async def work(client: Redis) -> Answer:
        with shown() as show:
            reports = [await _audit(client, one, show) for one in await _sales(client, sale)]
        return Answer(ok=not any(report.findings for report in reports), sales=reports)

    answer = _run(work, place(ctx))
    if as_json:
        typer.echo(msgspec.json.encode(answer))
    else:
        for report in answer.sales:
            typer.echo(_said(report))
        if not answer.sales:
            typer.echo("there is no sale in this store")
    raise typer.Exit(0 if answer.ok else BROKEN)


@app.command()
def export(
    ctx: typer.Context,
    sale: SaleOption = "",
    redis_url: RedisUrlOption = "",
    data_dir: DataDirOption = None,
    form: Annotated[text.Format, typer.Option("--format", help="csv or jsonl.")] = text.Format.JSONL,
    as_orders: Annotated[
        bool, typer.Option("--orders", help="One line per reservation in its present state, not the feed.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="A file, put in place when it is whole; else standard output.")
    ] = None,
) -> None:
    """Write the feed as it is kept, or the orders as they now are.

    Streamed, however long the feed is. FEED.md of the source describes an entry's fields.

    Examples:  liveserver ledger export --sale night-1 --out night-1.jsonl

               liveserver ledger export --orders --format csv --out orders.csv
    """

    async def work(client: Redis) -> int:
        written = 0
        sales = await _sales(client, sale)
        if sale and not await client.exists(*keys_of(sale)):
            raise typer.BadParameter(f"there is no sale {sale} in this store", param_hint="--sale")
        with _output(out) as file:
            file.write(text.header(form, text.ORDER_COLUMNS if as_orders else text.FEED_COLUMNS))
            for one in sales:
                async for line in _lines(client, one, form, as_orders):
                    file.write(line)
                    written += 1
        return written

    try:
        written = _run(work, place(ctx))
    except OutputError as error:
        typer.echo(f"nothing is written: {error}", err=True)
        raise typer.Exit(CANNOT) from None
    typer.echo(f"{counted(written, 'order' if as_orders else 'row')} written", err=True)


app.command()(archive)


async def _audit(client: Redis, sale_id: str, show: Show) -> Report:
    return await audit(client, sale_id, on_progress=lambda progress: show(sale_id, progress))


async def _lines(client: Redis, sale_id: str, form: text.Format, as_orders: bool) -> AsyncIterator[str]:
    if as_orders:
        of_order = text.order_line(form)
        async for order in orders(client, sale_id):
            yield of_order(order)
    else:
        of_entry = text.feed_line(form)
        async for entry in feed_entries(client, sale_id):
            yield of_entry(sale_id, entry)


async def _sales(client: Redis, named: str) -> list[str]:
    if not named:
        return await find_sales(client)
    if not is_id(named):
        raise typer.BadParameter(f"{named!r} is no sale id", param_hint="--sale")
    return [named]


def _said(report: Report) -> str:
    """One line, and one more for each finding."""
    head = (
        f"{report.sale_id}: {counted(report.rows, 'row')}, {counted(report.reservations, 'reservation')} of "
        f"{counted(report.buyers, 'buyer')},"
        f" up to {report.epoch}-{report.seq}"
    )
    if not report.findings:
        return f"{head}: every law holds"
    return "\n".join(
        [f"{head}: BROKEN", *(f"  {one.where}: {one.law}: {one.text}" for one in report.findings)]
    )


@contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    """An export that fails half-way leaves what was there before."""
    if path is None:
        yield sys.stdout
        return
    part = path.with_name(path.name + ".part")
    try:
        with _at(path), part.open("w", encoding="utf-8", newline="") as file:
            yield file
        with _at(path):
            part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def _at(path: Path) -> Iterator[None]:
    """What is wrong with the file is not the ledger's fault. Raises ``OutputError``."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from None


def _run(work: Callable[[Redis], Awaitable[T]], where: Place) -> T:
    async def run() -> T:
        async with store_of(where, _loading) as client:
            return await work(client)

    try:
        return uvloop.run(run())
    except (*CANNOT_LOOK, TooManySalesError, ValueError) as error:
        typer.echo(f"the ledger can't be read: {error}", err=True)
        raise typer.Exit(CANNOT) from None


def _loading(percent: float) -> None:
    typer.echo(f"the store reads its log: {percent:.0f} %", err=True)
