"""Who the users are: tokens from a file, or minted with the server's secret.

The claims are the published ones; this imports nothing of the server.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import jwt

from protocol.types import Role

TTL_S: Final = 24 * 3600
ISSUER: Final = "liveserver"
WORKERS: Final = 16  # into so many parts the file's viewers are cut: each worker begins with another

Mint = Callable[[Role, int, int], str]
"""``mint(role, worker, n)``: the token of this worker's n-th user."""


class NoTokens(Exception):
    """Why there are none, and what to do."""


def of_file(path: Path) -> Mint:
    """``{"streamer": token, "viewers": [token, ...]}``, as ``python -m loadtest audience`` takes it. With
    more users than tokens, users share them."""
    try:
        given: Any = json.loads(path.read_bytes())
        streamer, viewers = given["streamer"], given["viewers"]
        strings = isinstance(viewers, list) and all(isinstance(each, str) for each in [streamer, *viewers])
        if not strings or not viewers:
            raise TypeError("a token is a string, and there is at least one viewer's")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoTokens(
            f"--token-file {path}: {type(error).__name__}: {error}; "
            'it is one JSON object: {"streamer": token, "viewers": [token, ...]}'
        ) from None

    def mint(role: Role, worker: int, n: int) -> str:
        if role is Role.STREAMER:
            return str(streamer)
        return str(viewers[(len(viewers) * (worker % WORKERS) // WORKERS + n) % len(viewers)])

    return mint


def of_secret(secret: str, room: str) -> Mint:
    def mint(role: Role, worker: int, n: int) -> str:
        user = "streamer" if role is Role.STREAMER else f"l{worker}-{n}"
        now_s = int(time.time())
        claims = {
            "iss": os.environ.get("LIVESERVER_ISSUER", ISSUER),
            "aud": os.environ.get("LIVESERVER_AUDIENCE", ISSUER),
            "sub": user,
            "iat": now_s,
            "exp": now_s + TTL_S,
            "role": role.value,
            "rooms": [room],
            "name": user,
        }
        return jwt.encode(claims, secret, algorithm="HS256")

    return mint


def found(token_file: str, secret_file: str, room: str) -> Mint:
    """``NoTokens`` where nothing says who the users are."""
    if token_file:
        return of_file(Path(token_file))
    secret = os.environ.get("LIVESERVER_SECRET", "")
    if not secret:
        try:
            secret = Path(secret_file).read_text().strip()
        except OSError as error:
            raise NoTokens(
                f"no tokens: set LIVESERVER_SECRET to the server's, or name its file by --secret-file "
                f"({secret_file}: {error.strerror}), or give --token-file"
            ) from None
    return of_secret(secret, room)
