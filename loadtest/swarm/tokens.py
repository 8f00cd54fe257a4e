"""Tokens of the swarm's people: HS256, signed with the secret the server was given."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import jwt

ISSUER: Final = "liveserver"  # the defaults of a server


def mint(secret: str, user: str, role: str, rooms: Sequence[str], *, ttl_s: int, name: str = "") -> str:
    now_s = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": user,
        "iat": now_s,
        "exp": now_s + ttl_s,
        "role": role,
        "rooms": list(rooms),
    }
    if name:
        claims["name"] = name
    return jwt.encode(claims, secret, algorithm="HS256")
