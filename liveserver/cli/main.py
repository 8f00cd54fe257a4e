"""Puts the commands together and runs them."""

from __future__ import annotations

import platform

import typer

import liveserver
from liveserver.cli import ledger, orders_app, sales, streamer
from liveserver.cli.demo import demo
from liveserver.cli.serve import serve
from liveserver.cli.token import token
from liveserver.cli.watch import watch
from liveserver.edge.senders import sender

app = typer.Typer(
    name="liveserver",
    help="The engine of live shopping: danmaku, cart, flash sales, and a stock counter that never lies.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _root() -> None:
    """Every command explains itself with --help."""


@app.command()
def version() -> None:
    """Print the version, and by which sender a server started here would write to its audience.

    Example:  liveserver version
    """
    name = sender().name
    typer.echo(f"liveserver {liveserver.__version__} (Python {platform.python_version()}, {name} sender)")


for command in (serve, demo, token, watch):
    app.command()(command)
app.add_typer(streamer.app, name="streamer")
app.add_typer(sales.app, name="sales")
app.add_typer(ledger.app, name="ledger")
app.add_typer(orders_app.app, name="orders")


def main() -> None:
    app()
