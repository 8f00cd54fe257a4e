"""``liveserver sales …``: steer the sales of a running server, with a service's token (or a streamer's, for
those that were opened in his rooms).

Over REST against a server, never straight on its store: the rooms and the holders hear of it at once.
"""

from __future__ import annotations

import secrets
import sys
import time
from pathlib import Path
from typing import Annotated, Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec
import typer

from liveserver.cli import parsing
from liveserver.cli.anywhere import CommonAnywhere
from liveserver.cli.rest import Refusal, call
from liveserver.cli.sales_table import print_sale, print_sales
from liveserver.cli.speaking import REFUSED, UNKNOWN, fail
from liveserver.cli.target import DEFAULT_URL, TokenFileOption, TokenOption, UrlOption, target
from liveserver.edge.api import FreezeAllState, SalePage, SalePlaces
from protocol.replies import Done
from protocol.types import SaleView

T = TypeVar("T")
LOOK_S: Final = 0.3
FREEZING_S_MAX: Final = 600
FREEZE_S_MAX: Final = 120.0  # the answer comes when every holder has been told
REMEDIES: Final = {
    "bad_token": "mint one with `liveserver token --role service` and the server's own --data-dir",
    "forbidden": "use a service's token (`liveserver token --role service`)",
    "unknown_sale": "`liveserver sales list` names them all",
    "all_frozen": "`liveserver sales lift` lifts it",
    "below_held": "take away no more than what `sales show` says is left",
}

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
    view = here.ask("GET", _path(sale), SaleView)
    print_sale(view, here.ask("GET", f"{_path(sale)}/places", SalePlaces))


@app.command()
def pause(ctx: typer.Context, sale: SaleArgument) -> None:
    """Nothing is sold until it is resumed. What is held may be paid, and its time runs on.

    Example:  liveserver sales pause night-1
    """
    _caller(ctx).change(f"{_path(sale)}/pause")
    typer.echo(f"sale {sale} is paused")


@app.command()
def resume(ctx: typer.Context, sale: SaleArgument) -> None:
    """A paused sale goes on.

    Example:  liveserver sales resume night-1
    """
    _caller(ctx).change(f"{_path(sale)}/resume")
    typer.echo(f"sale {sale} goes on")


@app.command()
def close(ctx: typer.Context, sale: SaleArgument) -> None:
    """Nothing is sold any more, for good. What is held may still be paid until it is due.

    Example:  liveserver sales close night-1
    """
    _caller(ctx).change(f"{_path(sale)}/close")
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
    here = _caller(ctx)
    if not every:
        here.change(f"{_path(sale)}/freeze", timeout_s=FREEZE_S_MAX)
        typer.echo(f"sale {sale} is frozen; each holder was told")
        return
    here.change("/v1/freeze-all", {"reason": reason}, answer=FreezeAllState)
    _follow(here)


@app.command()
def lift(ctx: typer.Context) -> None:
    """Lift what `freeze --all` put on: sales open again. Those that were frozen stay frozen.

    Example:  liveserver sales lift
    """
    _caller(ctx).ask("DELETE", "/v1/freeze-all", FreezeAllState)
    typer.echo("lifted: sales open again; what was frozen stays frozen")


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
    try:
        delta = parsing.change(change)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="CHANGE") from None
    body = {"itemId": item, "delta": delta, "reason": reason}
    _caller(ctx).change(f"{_path(sale)}/adjust", body)
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
    path = f"/v1/rooms/{quote(room, safe='')}/sales/{quote(sale, safe='')}/attach"
    _caller(ctx).change(path, {"listingId": listing})
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
    path = f"/v1/rooms/{quote(room, safe='')}/sales/{quote(sale, safe='')}/detach"
    _caller(ctx).change(path)
    typer.echo(f"room {room} doesn't sell {sale} any more")


# -- inside --------------------------------------------------------------------------------------------


class Caller(msgspec.Struct, frozen=True):
    """Who says it to which server, and how its refusals end this run. Looked at only when something is said,
    so that ``--help`` needs none of it."""

    url: str
    token: str
    token_file: Path | None
    command_id: str

    def ask(self, method: str, path: str, answer: type[T]) -> T:
        try:
            return call(target(self.url, self.token, self.token_file), method, path, answer)
        except Refusal as error:
            fail(REFUSED, f"{error}{_remedy(error)}")

    def change(
        self,
        path: str,
        body: object = None,
        *,
        answer: type[msgspec.Struct] = Done,
        timeout_s: float = 10.0,
    ) -> None:
        where = target(self.url, self.token, self.token_file)
        key = self.command_id or f"c.{secrets.token_hex(8)}"
        try:
            call(where, "POST", path, answer, body=body, key=key, timeout_s=timeout_s)
        except Refusal as error:
            if error.unknown:
                again = f"Sending it again with --command-id {key} is safe: it is done at most once."
                fail(UNKNOWN, f"{error}: it may have been done. {again}")
            fail(REFUSED, f"{error}{_remedy(error)}")
        except KeyboardInterrupt:
            fail(UNKNOWN, f"stopped: it may have been done. --command-id {key} tells.")


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


def _path(sale: str) -> str:
    return f"/v1/sales/{quote(sale, safe='')}"


def _remedy(error: Refusal) -> str:
    if error.code in REMEDIES:
        return f". {REMEDIES[error.code][0].upper()}{REMEDIES[error.code][1:]}"
    return ". Try again in a moment" if error.again else ""
