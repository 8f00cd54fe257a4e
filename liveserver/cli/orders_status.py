"""``liveserver orders status``: how far each group is with each sale."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from redis.asyncio import Redis

from liveserver.cli.ledger_store import DataDirOption, RedisUrlOption, place
from liveserver.cli.orders_options import SaleOption, run, sale_of, sales_of
from liveserver.orders.lag import Lag, lags


def status(
    ctx: typer.Context,
    sale: SaleOption = "",
    redis_url: RedisUrlOption = "",
    data_dir: DataDirOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array instead of lines.")] = False,
) -> None:
    """Say of each sale and group what is not yet delivered, and what could not be.

    `behind` counts entries of the feed not yet read, `pending` those read of which some row has found no end;
    `dead` counts rows. A sale that no group has read has no line.

    Example:  liveserver orders status --sale night-1
    """
    named = sale_of(sale)

    async def work(client: Redis) -> list[Lag]:
        return [lag for one in await sales_of(client, named) for lag in await lags(client, one)]

    found = run(work, place(ctx))
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    for lag in found:
        typer.echo(line_of(lag))
    if not found:
        typer.echo("no group reads a sale of this store: `liveserver orders deliver` makes one")


def line_of(lag: Lag) -> str:
    by = f", at work: {lag.deliverer}" if lag.deliverer else ""
    return (
        f"{lag.sale_id} {lag.group}: {lag.behind} behind, {lag.pending} pending, {lag.dead} dead, "
        f"{lag.again} tried again, read to {lag.read_until} of {lag.end}{by}"
    )
