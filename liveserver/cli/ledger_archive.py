"""``liveserver ledger archive``: sales that are over, out of the store and into files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from redis.asyncio import Redis

from liveserver.cli.counted import counted
from liveserver.cli.faults import in_words
from liveserver.cli.ledger_store import DataDirOption, RedisUrlOption, place
from liveserver.cli.orders_options import SaleOption, group_of, run, sale_of, sales_of
from liveserver.cli.parsing import duration_ms
from liveserver.orders.archive import Archived, Kept
from liveserver.orders.archive import archive as archive_sale

KEPT = 1


def archive(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(help="The directory the files go to, SALE.EPOCH-SEQ.jsonl.gz.")],
    sale: SaleOption = "",
    older_than: Annotated[str, typer.Option(help="Only sales whose last change is so old, like 1d.")] = "1d",
    group: Annotated[
        list[str] | None,
        typer.Option(
            "--group", help="A group that must have read a sale, though it never began. Repeatable."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Try everything, and change nothing.")] = False,
    redis_url: RedisUrlOption = "",
    data_dir: DataDirOption = None,
) -> None:
    """Write the feed of each sale that is over to a file, prove the file, and take the sale from the store.

    A sale is over when it is closed, nothing is held, a day has passed since its last change, and every
    group of its feed has acknowledged all of it and has no dead letters; else what stands in the way is
    named and it stays. A feed that a rebuild put aside goes to a file of its own. An archived sale is
    unknown to the server: a payment that comes later is refused, and its command ids are forgotten. Exits 1
    if a ledger is broken, or the one named sale stays; 2 if the store can't be used.

    Examples:  liveserver ledger archive --out ./archive --group orders

               liveserver ledger archive --out ./archive --sale night-1 --dry-run
    """
    named, groups = sale_of(sale), [group_of(one) for one in group or []]
    quiet_ms, where = _age(older_than), place(ctx)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"can't be made: {in_words(error)}", param_hint="--out") from None

    async def work(client: Redis) -> list[Archived | Kept]:
        ends: list[Archived | Kept] = []
        for one in await sales_of(client, named):
            ended = await archive_sale(client, one, out, quiet_ms=quiet_ms, groups=groups, dry_run=dry_run)
            typer.echo(line_of(ended, dry_run))
            ends.append(ended)
        return ends

    ends = run(work, where)
    if not ends:
        typer.echo("there is no sale in this store")
    kept = [one for one in ends if isinstance(one, Kept)]
    if any(one.broken for one in kept) or (named and kept):
        raise typer.Exit(KEPT)


def line_of(ended: Archived | Kept, dry_run: bool) -> str:
    if isinstance(ended, Kept):
        return f"{ended.sale_id}: {'BROKEN' if ended.broken else 'stays'}: {ended.why}"
    how = "would be archived" if dry_run else "archived"
    return f"{ended.sale_id}: {how}, {counted(ended.rows, 'row')}, {ended.path}"


def _age(text: str) -> int:
    try:
        return duration_ms(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--older-than") from None
