"""What the commands of ``liveserver orders`` have in common: which group, which sales, which store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeVar

import typer
import uvloop
from redis.asyncio import Redis

from liveserver.cli.ledger_store import CANNOT_LOOK, Place, store_of
from liveserver.orders.keys import is_group
from liveserver.orders.limits import GROUP_CHARS_MAX
from liveserver.stock.ids import is_id
from liveserver.stock.sales import TooManySalesError, find_sales

T = TypeVar("T")

CANNOT: Final = 2
DEFAULT_GROUP: Final = "orders"

GroupOption = Annotated[
    str,
    typer.Option("--group", help="The consumer group of the feeds; each group gets every row for itself."),
]
SaleOption = Annotated[str, typer.Option("--sale", help="One sale; else every sale found.")]


def group_of(text: str) -> str:
    """Raises ``typer.BadParameter``."""
    if not is_group(text):
        raise typer.BadParameter(
            f"{text!r} is no group: 1 to {GROUP_CHARS_MAX} of A-Z a-z 0-9 _ . -", param_hint="--group"
        )
    return text


def sale_of(text: str) -> str:
    """Raises ``typer.BadParameter``. Empty stays empty."""
    if text and not is_id(text):
        raise typer.BadParameter(f"{text!r} is no sale id", param_hint="--sale")
    return text


async def sales_of(client: Redis, sale: str) -> list[str]:
    return [sale] if sale else await find_sales(client)


def run(work: Callable[[Redis], Awaitable[T]], where: Place) -> T:
    """With a client on the store; what can't be is said, and ends the command with 2."""

    async def running() -> T:
        async with store_of(where, _loading) as client:
            return await work(client)

    try:
        return uvloop.run(running())
    except (*CANNOT_LOOK, TooManySalesError, ValueError) as error:
        typer.echo(f"the store can't be used: {error}", err=True)
        raise typer.Exit(CANNOT) from None


def _loading(percent: float) -> None:
    typer.echo(f"the store reads its log: {percent:.0f} %", err=True)
