"""The cart as a table: numbers, prices, stock, sales. For ``streamer … show``; rows also feed ``watch``.

On a terminal a table; else one line per item, its fields separated by tabs.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from liveserver.cli.naming import sale_of
from liveserver.cli.parsing import yuan
from protocol.client.mirror import Mirror
from protocol.types import Item, Listing, Sale


class Row(NamedTuple):
    """One item of the cart."""

    number: int
    title: str
    variant: str
    price: str
    stock: str  # units left in the sale; what a sale would open with, in brackets, before that
    sale: str
    explained: bool


def rows(mirror: Mirror, server_ms: float) -> list[Row]:
    return [
        _row(mirror, listing, item, sale_of(mirror, listing.listing_id), server_ms)
        for listing in mirror.listings
        for item in listing.items
    ]


def sale_words(sale: Sale | None, server_ms: float) -> str:
    """``open 9:59``, ``opens in 0:05``, ``sold out``, ``sold out, line of 20``, ``closed``, …; empty without
    a sale."""
    if sale is None:
        return ""
    if sale.detached:
        return "not sold here any more"
    if sale.stock.status == "closed" or server_ms >= sale.closes_at_ms:
        return "closed"
    if sale.stock.status in ("paused", "frozen"):
        return sale.stock.status
    if server_ms < sale.opens_at_ms:
        return f"opens in {countdown(sale.opens_at_ms - server_ms)}"
    if not any(sale.stock.available.values()):
        return f"sold out, line of {sale.waitlist}" if sale.waitlist else "sold out"
    return f"open {countdown(sale.closes_at_ms - server_ms)}"


def countdown(left_ms: float) -> str:
    """61,000 → ``1:01``, 3,600,000 → ``1:00:00``; rounded up."""
    total = max(0, -int(-left_ms // 1000))
    hours, minutes, seconds = total // 3600, total // 60 % 60, total % 60
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def table(mirror: Mirror, server_ms: float) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
    grid.add_column("#", justify="right", style="bold")
    grid.add_column("listing", ratio=3, no_wrap=True)
    grid.add_column("variant", ratio=2, no_wrap=True)
    grid.add_column("price", justify="right", no_wrap=True, style="red")
    grid.add_column("stock", justify="right", no_wrap=True)
    grid.add_column("sale", no_wrap=True)
    shown = 0
    for each in rows(mirror, server_ms):
        repeated = each.number == shown  # a listing's further variants
        shown = each.number
        grid.add_row(
            "" if repeated else str(each.number),
            Text("" if repeated else f"{'▶ ' if each.explained else ''}{each.title}"),
            Text(each.variant),
            f"¥{each.price}",
            each.stock,
            Text("" if repeated else each.sale, style="green" if each.sale.startswith("open ") else "dim"),
        )
    return grid


def print_cart(mirror: Mirror, server_ms: float) -> None:
    if not mirror.listings:
        typer.echo("the cart is empty: put something in with `streamer ROOM list`")
    elif sys.stdout.isatty():
        Console().print(table(mirror, server_ms))
    else:
        for each in rows(mirror, server_ms):
            mark = "explaining" if each.explained else ""
            typer.echo(
                "\t".join(
                    (str(each.number), each.title, each.variant, each.price, each.stock, each.sale, mark)
                )
            )


def _row(mirror: Mirror, listing: Listing, item: Item, sale: Sale | None, server_ms: float) -> Row:
    left = None if sale is None else sale.stock.available.get(item.item_id)
    return Row(
        number=listing.number,
        title=listing.title,
        variant=item.variant,
        price=yuan(item.price_fen),
        stock=f"({item.stock})" if left is None else str(left),
        sale=sale_words(sale, server_ms),
        explained=mirror.explaining == listing.listing_id,
    )
