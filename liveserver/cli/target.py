"""Which server, and who says so: ``--url``, ``--token``, ``--token-file`` and their environment variables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

import msgspec
import typer

from liveserver.cli.faults import in_words

DEFAULT_URL = "ws://127.0.0.1:8080/v1/live"
SOCKET_PATH = "/v1/live"
SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}

UrlOption = Annotated[
    str,
    typer.Option("--url", envvar="LIVESERVER_URL", help="The server, as ws://HOST:PORT or http://HOST:PORT."),
]
TokenOption = Annotated[
    str,
    typer.Option("--token", help="The token. [env var: LIVESERVER_TOKEN]", show_default=False),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", help="A file with the token: it then shows in no process list."),
]


class Target(msgspec.Struct, frozen=True):
    """``socket_url`` for the session, ``http_url`` (no slash at the end) for REST."""

    socket_url: str
    http_url: str
    token: str


def target(url: str, token: str, token_file: Path | None) -> Target:
    """Raises ``typer.BadParameter`` naming the option and the remedy."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.netloc:
        raise typer.BadParameter(f"{url!r} is no server: write it like {DEFAULT_URL}", param_hint="--url")
    secure = SCHEMES[parts.scheme] == "wss"
    path = parts.path if parts.path not in ("", "/") else SOCKET_PATH
    base = path.removesuffix(SOCKET_PATH).rstrip("/")
    return Target(
        socket_url=urlunsplit(("wss" if secure else "ws", parts.netloc, path, "", "")),
        http_url=urlunsplit(("https" if secure else "http", parts.netloc, base, "", "")),
        token=_token(token, token_file),
    )


def _token(token: str, token_file: Path | None) -> str:
    """An option beats the environment."""
    if token_file is not None and token:
        raise typer.BadParameter("give --token or --token-file, not both", param_hint="--token-file")
    if token_file is not None:
        try:
            token = token_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"can't be read: {in_words(error)}", param_hint="--token-file") from None
    token = token or os.environ.get("LIVESERVER_TOKEN", "")
    if not token:
        raise typer.BadParameter(
            "no token: give --token or --token-file, or set LIVESERVER_TOKEN; `liveserver token` makes one",
            param_hint="--token",
        )
    return token
