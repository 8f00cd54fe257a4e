"""``liveserver streamer ROOM …``: the control client. One command, one answer, one exit code.

This file is what can be typed; what it means is ``acts.py``, how it is said ``speaking.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar

import typer

from liveserver.cli import acts, parsing
from liveserver.cli.anywhere import CommonAnywhere
from liveserver.cli.cart_table import print_cart
from liveserver.cli.orders import orders
from liveserver.cli.speaking import Build, Speaker
from liveserver.cli.target import DEFAULT_URL, TokenFileOption, TokenOption, UrlOption
from liveserver.cli.typed import OF_LISTING, OF_SALE, OF_UPDATE
from protocol.limits import HOLD_MS_MAX, QUANTITY_MAX, SALE_DURATION_MS_MAX, SPREAD_MS_MAX, WAITLIST_MAX

S = TypeVar("S")
T = TypeVar("T")
app = typer.Typer(cls=CommonAnywhere, no_args_is_help=True, rich_markup_mode=None)
sale_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Open a sale.")


@app.callback()
def _room(
    ctx: typer.Context,
    room: Annotated[str, typer.Argument(metavar="ROOM", help="The room's id.")],
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = "",
    token_file: TokenFileOption = None,
    command_id: Annotated[
        str, typer.Option(help="The command's id: the same one is carried out at most once.")
    ] = "",
    timeout: Annotated[str, typer.Option(help="How long to wait for an answer.")] = "10s",
) -> None:
    """Control a room: its cart, its sales, its order.

    Listings are named by their number ("link 3") or their id, variants by their text. The options below may
    also stand behind the verb. The token may come from LIVESERVER_TOKEN, the server from LIVESERVER_URL.

    Example:  liveserver streamer r1 list --title 毛衣 --item "red,M:99.00:100"

    Exit codes: 0 done, 1 refused, 2 wrong usage, 3 unknown (send again with the same --command-id).
    """
    if command_id:
        _parsed(parsing.wire_id, command_id, "--command-id")
    ctx.obj = Speaker(
        room=_parsed(parsing.wire_id, room, "ROOM"),
        url=url,
        token=token,
        token_file=token_file,
        command_id=command_id,
        timeout_ms=_parsed(parsing.duration_ms, timeout, "--timeout"),
    )


# -- the cart ------------------------------------------------------------------------------------------

Name = Annotated[str, typer.Argument(metavar="LISTING", help="Its number, or its id.")]
Items = Annotated[
    list[str],
    typer.Option("--item", metavar="VARIANT:PRICE:STOCK", help="Yuan and units; repeat per variant."),
]


@app.command("list")
def list_(
    ctx: typer.Context,
    title: Annotated[str, typer.Option(help="At most 60 characters.")],
    item: Items,
    line: Annotated[str, typer.Option(help="One line under the title.")] = "",
    photo: Annotated[str, typer.Option(help="A reference to its photo.")] = "",
    listing_id: Annotated[str, typer.Option("--id", help="An id of your own; else one is made.")] = "",
) -> None:
    """Put a product into the cart: on every screen within seconds.

    Example:  liveserver streamer r1 list --title "香辣酱" --line "今天现炒" --item "两瓶:19.90:100"
    """
    items = _parsed(parsing.items, item, "--item")
    if listing_id:
        _parsed(parsing.wire_id, listing_id, "--id")
    _say(
        ctx,
        lambda mirror, new_id: acts.publish(
            mirror,
            new_id,
            room=_speaker(ctx).room,
            title=title,
            items=items,
            line=line,
            photo=photo,
            listing_id=listing_id,
        ),
        OF_LISTING,
    )


@app.command()
def update(
    ctx: typer.Context,
    listing: Name,
    title: Annotated[str | None, typer.Option(help="A new title.")] = None,
    item: Items = [],  # noqa: B006  (typer copies it)
    line: Annotated[str | None, typer.Option(help="A new line under the title.")] = None,
    photo: Annotated[str | None, typer.Option(help="A new photo reference.")] = None,
) -> None:
    """Change what is given of a listing, keep the rest. --item replaces all its variants.

    Example:  liveserver streamer r1 update 3 --title "羊绒毛衣 第二批"
    """
    if title is None and line is None and photo is None and not item:
        raise typer.BadParameter("nothing to change: give --title, --line, --photo or --item")
    items = _parsed(parsing.items, item, "--item")
    _say(
        ctx,
        lambda mirror, new_id: acts.update(
            mirror,
            new_id,
            room=_speaker(ctx).room,
            name=listing,
            title=title,
            items=items,
            line=line,
            photo=photo,
        ),
        OF_UPDATE,
    )


@app.command()
def withdraw(ctx: typer.Context, listing: Name) -> None:
    """Take a listing out of the cart.

    Example:  liveserver streamer r1 withdraw 3
    """
    _say(ctx, lambda mirror, new_id: acts.withdraw(mirror, new_id, room=_speaker(ctx).room, name=listing))


@app.command()
def order(
    ctx: typer.Context,
    listings: Annotated[list[str], typer.Argument(metavar="LISTING…", help="Numbers or ids, first first.")],
) -> None:
    """Put listings first, in this order; the rest keep theirs behind them.

    Example:  liveserver streamer r1 order 3 1 2
    """
    _say(ctx, lambda mirror, new_id: acts.order(mirror, new_id, room=_speaker(ctx).room, names=listings))


@app.command()
def explain(ctx: typer.Context, listing: Name) -> None:
    """讲解: make this listing the one talked about; its card pops up on every screen.

    Example:  liveserver streamer r1 explain 3
    """
    _say(ctx, lambda mirror, new_id: acts.explain(mirror, new_id, room=_speaker(ctx).room, name=listing))


@app.command()
def stop(ctx: typer.Context) -> None:
    """Nothing is explained any more.

    Example:  liveserver streamer r1 stop
    """
    _say(ctx, lambda mirror, new_id: acts.stop(mirror, new_id, room=_speaker(ctx).room))


@app.command()
def show(ctx: typer.Context) -> None:
    """Print the cart, with numbers, prices and stock.

    Example:  liveserver streamer r1 show
    """
    _speaker(ctx).look(print_cart)


# -- sales ---------------------------------------------------------------------------------------------


@sale_app.command("open")
def open_(
    ctx: typer.Context,
    listing: Name,
    limit: Annotated[int, typer.Option(min=0, max=QUANTITY_MAX, help="Units per buyer; 0 is no limit.")] = 0,
    minutes: Annotated[int, typer.Option(min=1, max=1440, help="How long it runs.")] = 60,
    opens_in: Annotated[str, typer.Option("--in", help="Open after this, like 5s.")] = "",
    hold: Annotated[str, typer.Option(help="How long a reservation waits for payment.")] = "15m",
    sale_id: Annotated[str, typer.Option("--id", help="An id of your own; else one is made.")] = "",
    spread: Annotated[str, typer.Option(help="Automatic clients buy within this after opening.")] = "1s",
    waitlist: Annotated[
        int,
        typer.Option(
            min=0, max=WAITLIST_MAX, help="Places in line (候补) for who comes too late; 0 is no line."
        ),
    ] = 0,
    ships: Annotated[str, typer.Option(help="A presale (预售): the day it ships, like 2027-01-31.")] = "",
    shelf: Annotated[bool, typer.Option("--shelf", help="On sale outside the room too (商品卡).")] = False,
) -> None:
    """Open a sale of a listing, with the stock its items have.

    Example:  liveserver streamer r1 sale open 3 --limit 1 --minutes 10 --in 5s --spread 3s
    """
    opens_in_ms = _between(opens_in, "--in", 0, SALE_DURATION_MS_MAX) if opens_in else 0
    hold_ms = _between(hold, "--hold", 1_000, HOLD_MS_MAX)
    if sale_id:
        _parsed(parsing.wire_id, sale_id, "--id")
    spread_ms = _between(spread, "--spread", 0, SPREAD_MS_MAX)
    ships_at_ms = _parsed(parsing.day_ms, ships, "--ships") if ships else 0
    _say(
        ctx,
        lambda mirror, new_id: acts.open_sale(
            mirror,
            new_id,
            room=_speaker(ctx).room,
            name=listing,
            limit=limit,
            opens_in_ms=opens_in_ms,
            duration_ms=minutes * 60_000,
            hold_ms=hold_ms,
            sale_id=sale_id,
            spread_ms=spread_ms,
            waitlist=waitlist,
            ships_at_ms=ships_at_ms,
            shelf=shelf,
        ),
        OF_SALE,
    )


app.add_typer(sale_app, name="sale")


@app.command(context_settings={"ignore_unknown_options": True})  # so that -3 is a number
def adjust(
    ctx: typer.Context,
    listing: Name,
    what: Annotated[
        list[str], typer.Argument(metavar="[VARIANT] CHANGE", help="Like red,M +50, or just -3.")
    ],
    reason: Annotated[str, typer.Option(help="Kept in the ledger's feed.")] = "",
) -> None:
    """Restock a running sale, or take unsold units away.

    Example:  liveserver streamer r1 adjust 3 red,M +50 --reason "found a box"
    """
    if len(what) > 2:
        raise typer.BadParameter("write LISTING [VARIANT] CHANGE, like 3 red,M +50", param_hint="CHANGE")
    delta = _parsed(parsing.change, what[-1], "CHANGE")
    variant = what[0] if len(what) == 2 else ""
    _say(
        ctx,
        lambda mirror, new_id: acts.adjust(
            mirror,
            new_id,
            room=_speaker(ctx).room,
            name=listing,
            variant=variant,
            delta=delta,
            reason=reason,
        ),
    )


@app.command()
def close(ctx: typer.Context, listing: Name) -> None:
    """Close a listing's sale (or name the sale by its id).

    Example:  liveserver streamer r1 close 3
    """
    _say(ctx, lambda mirror, new_id: acts.close(mirror, new_id, room=_speaker(ctx).room, name=listing))


app.command("orders")(orders)


# -- order in the room ---------------------------------------------------------------------------------


@app.command()
def mute(
    ctx: typer.Context,
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's id.")],
    minutes: Annotated[int, typer.Option(min=0, max=43_200, help="0 lifts the mute.")] = 10,
) -> None:
    """Silence a user; what he said leaves the screen.

    Example:  liveserver streamer r1 mute u42 --minutes 10
    """
    _parsed(parsing.wire_id, user, "USER")
    _say(
        ctx,
        lambda mirror, new_id: acts.mute(
            mirror, new_id, room=_speaker(ctx).room, user_id=user, seconds=minutes * 60
        ),
    )


@app.command()
def delete(
    ctx: typer.Context,
    danmaku_id: Annotated[str, typer.Argument(metavar="DANMAKU_ID", help="`watch --ids` shows them.")],
) -> None:
    """Take one danmaku off every screen.

    Example:  liveserver streamer r1 delete d81k2
    """
    _say(
        ctx,
        lambda mirror, new_id: acts.delete(mirror, new_id, room=_speaker(ctx).room, danmaku_id=danmaku_id),
    )


@app.command()
def start(ctx: typer.Context) -> None:
    """The room is live (again).

    Example:  liveserver streamer r1 start
    """
    _say(ctx, lambda mirror, new_id: acts.start(mirror, new_id, room=_speaker(ctx).room))


@app.command()
def pause(ctx: typer.Context) -> None:
    """The streamer is away for a moment.

    Example:  liveserver streamer r1 pause
    """
    _say(ctx, lambda mirror, new_id: acts.pause(mirror, new_id, room=_speaker(ctx).room))


@app.command()
def end(ctx: typer.Context) -> None:
    """The broadcast is over.

    Example:  liveserver streamer r1 end
    """
    _say(ctx, lambda mirror, new_id: acts.end(mirror, new_id, room=_speaker(ctx).room))


# -- inside --------------------------------------------------------------------------------------------


def _speaker(ctx: typer.Context) -> Speaker:
    speaker = ctx.find_object(Speaker)
    assert speaker is not None
    return speaker


def _say(ctx: typer.Context, build: Build, typed: Mapping[str, str] | None = None) -> None:
    _speaker(ctx).say(build, typed)


def _between(given: str, hint: str, least_ms: int, most_ms: int) -> int:
    return _parsed(lambda text: parsing.duration_between(text, least_ms, most_ms), given, hint)


def _parsed(parse: Callable[[S], T], given: S, hint: str) -> T:
    try:
        return parse(given)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=hint) from None
