"""``liveserver sales …``: steer the sales of a running server, with a service's token (or a streamer's, for
those that were opened in his rooms).

Over REST against a server, never straight on its store: the rooms and the holders hear of it at once.
"""

from __future__ import annotations

import sys
import time
from typing import Annotated, Final, TypeVar
from urllib.parse import urlencode

import typer

from liveserver.cli import parsing
from liveserver.cli.anywhere import CommonAnywhere
from liveserver.cli.caller import Caller, checked_id, room_sale_path, sale_path
from liveserver.cli.sales_table import print_sale, print_sales
from liveserver.cli.speaking import REFUSED, UNKNOWN, fail
from liveserver.cli.target import DEFAULT_URL, TokenFileOption, TokenOption, UrlOption
from liveserver.edge.api import FreezeAllState, SalePage, SalePlaces
from protocol.types import SaleView

T = TypeVar("T")
LOOK_S: Final = 0.3
FREEZING_S_MAX: Final = 600
FREEZE_S_MAX: Final = 120.0  # the answer comes when every holder has been told

app = typer.Typer(cls=CommonAnywhere, no_args_is_help=True, rich_markup_mode=None)

SaleArgument = Annotated[str, typer.Argument(metavar="SALE", help="The sale's id.")]


@app.callback()
def _server(
    ctx: typer.Context,
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = "",
    token_file: TokenFileOption = None,
    command_id: Annotated[
        str, typer.Option(help="The command's id: the same one is carried out at most once.")
    ] = "",
) -> None:
    """Steer the sales of a running server.

    A service's token may steer every sale, a streamer's those that were opened in his rooms. The options
    below may also stand behind the verb. The token may come from LIVESERVER_TOKEN, the server from
    LIVESERVER_URL.

    Example:  liveserver sales pause night-1

    Exit codes: 0 done, 1 refused, 2 wrong usage, 3 unknown (send again with the same --command-id).
    """
    if command_id:
        checked_id(command_id, "--command-id")
    ctx.obj = Caller(url, token, token_file, command_id)


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """Every sale of the store, with its status and what is left.

    Example:  liveserver sales list
    """
    here = _caller(ctx)
    found: list[SaleView] = []
    after = ""
    while True:
        page = here.ask("GET", f"/v1/sales?{urlencode({'after': after})}", SalePage)
        found += page.sales
        after = page.next
        if not after:
            break
    print_sales(found)


@app.command()
def show(ctx: typer.Context, sale: SaleArgument) -> None:
    """One sale: its status, its times, its units, and where it is shown.

    Example:  liveserver sales show night-1
    """
    here = _caller(ctx)
    view = here.ask("GET", sale_path(sale), SaleView)
    print_sale(view, here.ask("GET", f"{sale_path(sale)}/places", SalePlaces))


@app.command()
def pause(ctx: typer.Context, sale: SaleArgument) -> None:
    """Nothing is sold until it is resumed. What is held may be paid, and its time runs on.

    Example:  liveserver sales pause night-1
    """
    _caller(ctx).change(f"{sale_path(sale)}/pause")
    typer.echo(f"sale {sale} is paused")


@app.command()
def resume(ctx: typer.Context, sale: SaleArgument) -> None:
    """A paused sale goes on.

    Example:  liveserver sales resume night-1
    """
    _caller(ctx).change(f"{sale_path(sale)}/resume")
    typer.echo(f"sale {sale} goes on")


@app.command()
def close(ctx: typer.Context, sale: SaleArgument) -> None:
    """Nothing is sold any more, for good. What is held may still be paid until it is due.

    Example:  liveserver sales close night-1
    """
    _caller(ctx).change(f"{sale_path(sale)}/close")
    typer.echo(f"sale {sale} is closed; what is held may still be paid")


@app.command()
def freeze(
    ctx: typer.Context,
    sale: Annotated[str, typer.Argument(metavar="[SALE]", help="The sale's id.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Every sale, and none opens until `lift`.")] = False,
    reason: Annotated[str, typer.Option(help="With --all: one line, told to whoever is refused.")] = "",
) -> None:
    """Buyer protection: nothing is sold or confirmed from here on, and each holder is told.

    With --all it is every sale there is: the switch stays on, through restarts too, until `sales lift`. Ended
    by Ctrl-C, it goes on at the server; the same command shows how far it is.

    Example:  liveserver sales freeze night-1

    Example:  liveserver sales freeze --all --reason "wrong prices"
    """
    if every == bool(sale):
        raise typer.BadParameter("name one sale, or say --all", param_hint="SALE")
    if reason and not every:
        raise typer.BadParameter("goes with --all: of one sale no reason is kept", param_hint="--reason")
    here = _caller(ctx)
    if not every:
        here.change(f"{sale_path(sale)}/freeze", timeout_s=FREEZE_S_MAX)
        typer.echo(f"sale {sale} is frozen; each holder was told")
        return
    here.change("/v1/freeze-all", {"reason": reason}, answer=FreezeAllState)
    _follow(here)


@app.command()
def lift(ctx: typer.Context) -> None:
    """Lift what `freeze --all` put on: sales open again. Those that were frozen stay frozen.

    Example:  liveserver sales lift
    """
    here = _caller(ctx)
    was_on = here.ask("GET", "/v1/freeze-all", FreezeAllState).on
    here.ask("DELETE", "/v1/freeze-all", FreezeAllState)
    if was_on:
        typer.echo("lifted: sales open again; what was frozen stays frozen")
    else:
        typer.echo(
            "nothing to lift: `freeze --all` was not on. A sale that is frozen goes on by `ledger rebuild`"
        )


@app.command(context_settings={"ignore_unknown_options": True})  # so that -3 is a number
def adjust(
    ctx: typer.Context,
    sale: SaleArgument,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="The item's id; `sales show` names them.")],
    change: Annotated[str, typer.Argument(metavar="CHANGE", help="Like +50 or -3.")],
    reason: Annotated[str, typer.Option(help="Kept in the ledger's feed.")] = "",
) -> None:
    """Restock, or take unsold units away; never below what is held or sold.

    Example:  liveserver sales adjust night-1 jar +50 --reason "found a box"
    """
    checked_id(item, "ITEM")
    try:
        delta = parsing.change(change)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="CHANGE") from None
    body = {"itemId": item, "delta": delta, "reason": reason}
    _caller(ctx).change(f"{sale_path(sale)}/adjust", body)
    typer.echo(f"stock of {item} changed by {delta:+d} in sale {sale}")


@app.command()
def attach(
    ctx: typer.Context,
    sale: SaleArgument,
    room: Annotated[str, typer.Argument(metavar="ROOM", help="The room that shall sell it too.")],
    listing: Annotated[str, typer.Argument(metavar="LISTING", help="The id of that room's listing.")],
) -> None:
    """Sell a sale in one more room, from the same stock.

    Example:  liveserver sales attach night-1 r2 oil
    """
    path = f"{room_sale_path(room, sale)}/attach"
    _caller(ctx).change(path, {"listingId": checked_id(listing, "LISTING")})
    typer.echo(f"room {room} sells {sale} too")


@app.command()
def detach(
    ctx: typer.Context,
    sale: SaleArgument,
    room: Annotated[str, typer.Argument(metavar="ROOM", help="The room that shall sell it no more.")],
) -> None:
    """A room doesn't sell it any more. Elsewhere it goes on, what is held stays held.

    Example:  liveserver sales detach night-1 r2
    """
    _caller(ctx).change(f"{room_sale_path(room, sale)}/detach")
    typer.echo(f"room {room} doesn't sell {sale} any more")


# -- inside --------------------------------------------------------------------------------------------


def _caller(ctx: typer.Context) -> Caller:
    caller = ctx.find_object(Caller)
    assert caller is not None
    return caller


def _follow(here: Caller) -> None:
    """Until every sale is frozen; on a terminal the line moves."""
    moving = sys.stderr.isatty()
    began = time.monotonic()
    try:
        while True:
            state = here.ask("GET", "/v1/freeze-all", FreezeAllState)
            if not state.on:
                fail(REFUSED, "somebody lifted it meanwhile")
            if moving:
                typer.echo(f"\r{state.frozen} sales frozen, {len(state.failed)} failed ", nl=False, err=True)
            if state.done:
                break
            if time.monotonic() - began > FREEZING_S_MAX:
                fail(UNKNOWN, f"{state.frozen} sales are frozen, and it goes on at the server")
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        fail(UNKNOWN, "\nthe switch is on, and it goes on at the server")
    if moving:
        typer.echo("", err=True)
    typer.echo(f"every sale is frozen ({state.frozen} by this); none opens until `liveserver sales lift`")
