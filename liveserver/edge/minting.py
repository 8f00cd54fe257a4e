"""Tokens for those who run the server: the demo, tests, tools beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from liveserver.edge.tokens import Tokens
from protocol.types import Role


class Minting:
    """Makes tokens that the server accepts."""

    def __init__(self, tokens: Tokens, now_ms: Callable[[], int]) -> None:
        self._tokens = tokens
        self._now_ms = now_ms

    def mint(
        self,
        role: Role | str,
        user_id: str,
        rooms: Iterable[str] = ("*",),
        *,
        ttl_ms: int = 3_600_000,
        name: str = "",
        fan: bool = False,
    ) -> str:
        """A token this server accepts. ``ValueError`` where it only verifies (a public key)."""
        return self._tokens.mint(
            user_id,
            Role(role),
            rooms,
            now_ms=self._now_ms(),
            ttl_ms=ttl_ms,
            name=name or user_id,
            fan=fan,
        )
