"""``liveserver token``: mint a token the server of the same data directory accepts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from liveserver.cli.faults import in_words
from liveserver.cli.parsing import duration_ms, wire_id
from liveserver.cli.serve import DATA_DIR
from liveserver.cli.settings import settings
from liveserver.config import SecretMissingError
from liveserver.edge.tokens import TokenConfig, Tokens
from protocol.types import Role

ANY_ROOM = "*"


def token(
    user: Annotated[str, typer.Option(help="The user's id.")],
    role: Annotated[Role, typer.Option(help="What the bearer may do.")] = Role.VIEWER,
    room: Annotated[
        list[str], typer.Option(help="A room it opens; repeat for several, '*' for every room.")
    ] = ["*"],  # noqa: B006  (typer copies it)
    ttl: Annotated[str, typer.Option(help="How long it lives, like 30m, 1h or 7d.")] = "1h",
    name: Annotated[str, typer.Option(help="The name others see; else the user's id.")] = "",
    fan: Annotated[bool, typer.Option("--fan", help="Of the room's fan club.")] = False,
    data_dir: Annotated[
        Path,
        typer.Option(
            envvar="LIVESERVER_DATA_DIR",
            file_okay=False,
            help="The server's data directory, where its secret is. LIVESERVER_SECRET wins.",
        ),
    ] = DATA_DIR,
) -> None:
    """Print a token, and nothing else.

    Example:  liveserver token --role streamer --user anna --room r1 --ttl 8h
    """
    try:
        ttl_ms = duration_ms(ttl)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--ttl") from None
    if ttl_ms == 0:
        raise typer.BadParameter("a token that lives 0 ms is of no use: write it like 1h", param_hint="--ttl")
    _check_id(user, "--user")
    for each in room:
        if each != ANY_ROOM:
            _check_id(each, "--room")
    chosen = settings()
    try:
        config = TokenConfig(
            secret=chosen.resolve_secret(data_dir), issuer=chosen.issuer, audience=chosen.audience
        )
        minted = Tokens(config).mint(
            user, role, room, now_ms=time.time_ns() // 1_000_000, ttl_ms=ttl_ms, name=name or user, fan=fan
        )
    except (SecretMissingError, ValueError, OSError) as error:
        typer.echo(f"no token: {in_words(error)}", err=True)
        raise typer.Exit(1) from None
    typer.echo(minted)


def _check_id(text: str, hint: str) -> None:
    try:
        wire_id(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=hint) from None
