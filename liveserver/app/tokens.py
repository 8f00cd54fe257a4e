"""Who may come in: the tokens that the settings mean."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from liveserver.config import Settings
from liveserver.core.clock import Clock
from liveserver.core.identity import Identity
from liveserver.edge.tokens import TokenConfig, TokenError, Tokens
from protocol.errors import CommandError


def token_config(settings: Settings) -> TokenConfig:
    if settings.public_key:
        path = Path(settings.public_key)
        pem = settings.public_key if "BEGIN" in settings.public_key else path.read_text()
        return TokenConfig(public_key=pem, issuer=settings.issuer, audience=settings.audience)
    # Without a data directory nobody else could mint: a secret of this run is enough.
    secret = settings.secret or (
        settings.resolve_secret() if settings.data_dir else secrets.token_urlsafe(48)
    )
    return TokenConfig(secret=secret, issuer=settings.issuer, audience=settings.audience)


def verifier(tokens: Tokens, clock: Clock) -> Callable[[str], Identity]:
    def verify(token: str) -> Identity:
        try:
            return tokens.verify(token, clock.now_ms())
        except TokenError as error:
            raise CommandError(error.code, error.detail, field="token") from error

    return verify
