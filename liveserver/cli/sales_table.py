"""Sales as a table on a terminal; else one line per sale, its fields separated by tabs."""

from __future__ import annotations

import sys
from datetime import datetime

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from liveserver.edge.api import SalePlaces
from protocol.types import SaleView

COLUMNS = ("sale", "status", "left", "opens", "closes", "ships", "title")


def row(sale: SaleView) -> tuple[str, ...]:
    left = ", ".join(f"{named(sale, item)}={units}" for item, units in sale.available.items())
    times = (at(sale.opens_at_ms), at(sale.closes_at_ms), at(sale.ships_at_ms) if sale.ships_at_ms else "")
    return sale.sale_id, sale.status, left, *times, sale.title


def named(sale: SaleView, item_id: str) -> str:
    """The id, by which it is adjusted, and the variant, by which people know it."""
    variant = next((item.variant for item in sale.items if item.item_id == item_id), "")
    return f"{item_id} {variant}".strip()


def print_sales(sales: list[SaleView]) -> None:
    if not sys.stdout.isatty():
        for sale in sales:
            typer.echo("\t".join(row(sale)))
        return
    if not sales:
        typer.echo("no sale was ever opened here")
        return
    table = Table(*COLUMNS, box=box.SIMPLE)
    for sale in sales:
        table.add_row(*row(sale))
    Console().print(table)


def print_sale(sale: SaleView, places: SalePlaces) -> None:
    """One field per line, its name first, separated by a tab."""
    for name, text in zip(COLUMNS, row(sale), strict=True):
        if text:
            typer.echo(f"{name}\t{text}")
    typer.echo(f"at\t{sale.epoch}-{sale.seq}")
    typer.echo(f"limit\t{sale.limit_per_user or 'none'}")
    typer.echo(f"waitlist\t{sale.waitlist or 'none'}")
    for place in places.rooms:
        how = "opened here" if place.home else "attached"
        typer.echo(f"room\t{place.room}\t{place.listing_id}\t{how if place.selling else 'detached'}")
    if places.on_shelf:
        typer.echo("shelf\tyes")


def at(time_ms: int) -> str:
    """In this machine's zone."""
    return f"{datetime.fromtimestamp(time_ms / 1000).astimezone():%Y-%m-%d %H:%M:%S}"
