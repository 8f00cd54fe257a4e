"""``liveserver orders dead``: rows the order service could not be given."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
import typer
from redis.asyncio import Redis

from liveserver.cli.counted import counted
from liveserver.cli.ledger_store import DataDirOption, RedisUrlOption, place
from liveserver.cli.orders_options import (
    DEFAULT_GROUP,
    GroupOption,
    SaleOption,
    group_of,
    run,
    sale_of,
    sales_of,
)
from liveserver.orders.letters import letters, move
from liveserver.orders.store import Letter
from liveserver.stock.ids import is_id

NONE_FOUND = 1
_ROW: Final = re.compile(r"([^/]+)/(\d{1,16}-\d{1,16})", re.ASCII)

app = typer.Typer(
    help="List the rows an order service refused, try them again, or drop them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

RowsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[ROW]...", help="Ids of rows, as listed: SALE/EPOCH-SEQ.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Every dead letter of the group (and --sale).")]


@app.command("list")
def listed(
    ctx: typer.Context,
    group: GroupOption = DEFAULT_GROUP,
    sale: SaleOption = "",
    redis_url: RedisUrlOption = "",
    data_dir: DataDirOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, the row in it.")] = False,
) -> None:
    """List the dead letters: which row, why, after how many attempts.

    Example:  liveserver orders dead list
    """
    group, named = group_of(group), sale_of(sale)

    async def work(client: Redis) -> list[Letter]:
        return await _all(client, named, group)

    found = run(work, place(ctx))
    for letter in found:
        typer.echo(msgspec.json.encode(letter) if as_json else line_of(letter))
    if not found and not as_json:
        typer.echo("no dead letters")


@app.command()
def retry(
    ctx: typer.Context,
    rows: RowsArgument = None,
    every: AllOption = False,
    group: GroupOption = DEFAULT_GROUP,
    sale: SaleOption = "",
    redis_url: RedisUrlOption = "",
    data_dir: DataDirOption = None,
) -> None:
    """Let dead letters be delivered once more, with all attempts before them, by the next deliverer.

    Examples:  liveserver orders dead retry night-1/1767000000000-17

               liveserver orders dead retry --all
    """
    _move(ctx, "again", rows or [], every, group, sale)


@app.command()
def drop(
    ctx: typer.Context,
    rows: RowsArgument = None,
    every: AllOption = False,
    group: GroupOption = DEFAULT_GROUP,
    sale: SaleOption = "",
    redis_url: RedisUrlOption = "",
    data_dir: DataDirOption = None,
) -> None:
    """Forget dead letters for good, once the order service knows of them in another way.

    Example:  liveserver orders dead drop night-1/1767000000000-17
    """
    _move(ctx, "drop", rows or [], every, group, sale)


def line_of(letter: Letter) -> str:
    at = datetime.fromtimestamp(letter.at_ms / 1000).astimezone()
    row = letter.row
    tries = f"{letter.attempts} attempt{'s' if letter.attempts > 1 else ''}"
    return f"{at:%m-%d %H:%M:%S}  {row.id}  {row.kind}  {row.reservation_id}  {tries}: {letter.why}"


def _move(
    ctx: typer.Context, how: Literal["again", "drop"], rows: list[str], every: bool, group: str, sale: str
) -> None:
    if bool(rows) == every:
        raise typer.BadParameter("name rows as `dead list` shows them, or give --all", param_hint="ROW")
    group, named = group_of(group), sale_of(sale)
    wanted = _by_sale(rows)

    async def work(client: Redis) -> int:
        chosen = wanted
        if every:
            chosen = _by_sale([letter.row.id for letter in await _all(client, named, group)])
        return sum([await move(client, one, group, places, how) for one, places in chosen.items()])

    moved = run(work, place(ctx))
    typer.echo(
        f"{counted(moved, 'row')} {'will be delivered once more' if how == 'again' else 'dropped'}", err=True
    )
    if moved < len(rows):
        typer.echo(f"{len(rows) - moved} are no dead letters of the group {group}", err=True)
        raise typer.Exit(NONE_FOUND)


def _by_sale(rows: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in dict.fromkeys(rows):
        named = _ROW.fullmatch(row)
        if named is None or not is_id(named[1]):
            raise typer.BadParameter(f"{row!r} is no row: write it like night-1/1767000000000-17")
        found.setdefault(named[1], []).append(named[2])
    return found


async def _all(client: Redis, sale: str, group: str) -> list[Letter]:
    found = {
        letter.row.id: letter
        for one in await sales_of(client, sale)
        async for letter in letters(client, one, group)
    }
    return sorted(found.values(), key=lambda letter: (letter.row.sale_id, letter.row.epoch, letter.row.seq))
