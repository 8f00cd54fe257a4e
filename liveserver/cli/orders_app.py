"""``liveserver orders``: the sales' orders, out to an order service."""

from __future__ import annotations

import typer

from liveserver.cli import orders_dead
from liveserver.cli.orders_deliver import deliver
from liveserver.cli.orders_status import status

app = typer.Typer(
    help="Deliver what became of every reservation to an order service, once in effect.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command()(deliver)
app.command()(status)
app.add_typer(orders_dead.app, name="dead")
