"""Tokens: who somebody is, signed. JWT verified with PyJWT, and minted for the command line and tests.

The algorithm follows from the *configured* key, never from the token's own header: a secret means HS256, a
public key means the one algorithm of its kind. So a token signed with our public key as if it were a secret
is just a bad token, and so is ``alg: none``. Claims are read only after the signature held.

Verifying costs 0.1 to 0.3 ms (Measured), so verified tokens are remembered by their SHA-256 until they
expire; what failed is never remembered.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from liveserver.core.identity import Identity
from protocol.limits import AMOUNT_MAX, NAME_CHARS_MAX, TOKEN_CHARS_MAX
from protocol.types import ID_PATTERN, Role

SECRET_BYTES_MIN = 32  # Source: RFC 7518 §3.2, as long as the hash
RSA_BITS_MIN = 2048
ROOMS_MAX = 64  # in one token; more: "*"
REMEMBERED_MAX = 20_000
CLOCK_SKEW_MS = 5_000  # between whoever signs and us, for `nbf` only: `exp` is exact
REQUIRED = ["exp", "iss", "aud", "sub"]

_ID = re.compile(ID_PATTERN)


class TokenError(Exception):
    """``code`` is ``bad_token`` or ``token_expired``; ``detail`` is for the developer."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class TokenConfig(msgspec.Struct, frozen=True):
    """Exactly one of ``secret`` (32 bytes or more: HS256) and ``public_key`` (PEM of a P-256, Ed25519 or
    RSA key: ES256, EdDSA, RS256). ``private_key`` (PEM) is only needed to mint for a public key."""

    secret: str = ""
    public_key: str = ""
    private_key: str = ""
    issuer: str = "liveserver"
    audience: str = "liveserver"

    def __repr__(self) -> str:
        """Keys stay out of logs."""
        return f"<TokenConfig {self.issuer} for {self.audience}>"


class Tokens:
    """``ValueError`` for a key that is missing, too weak or of a kind not spoken here."""

    def __init__(self, config: TokenConfig) -> None:
        if bool(config.secret) == bool(config.public_key):
            raise ValueError("configure either a token secret or a public key")
        self._config = config
        self._verifying_key: Any
        if config.secret:
            if len(config.secret.encode()) < SECRET_BYTES_MIN:
                raise ValueError(f"a token secret has at least {SECRET_BYTES_MIN} bytes")
            self._verifying_key, self.algorithm = config.secret, "HS256"
        else:
            self._verifying_key = load_pem_public_key(config.public_key.encode())
            self.algorithm = _algorithm_of(self._verifying_key)
        self._jwt = jwt.PyJWT()
        self._remembered: OrderedDict[bytes, Identity] = OrderedDict()

    def verify(self, token: str, now_ms: int) -> Identity:
        """Who this is; ``TokenError`` if that can't be told."""
        if len(token) > TOKEN_CHARS_MAX:
            raise TokenError("bad_token", f"a token is {TOKEN_CHARS_MAX} characters at most")
        digest = hashlib.sha256(token.encode(errors="surrogatepass")).digest()
        identity = self._remembered.get(digest)
        if identity is None:
            identity = self._verified(token, now_ms)
            self._remembered[digest] = identity
            if len(self._remembered) > REMEMBERED_MAX:
                self._remembered.popitem(last=False)
        else:
            self._remembered.move_to_end(digest)
        if identity.expires_at_ms <= now_ms:
            self._remembered.pop(digest, None)
            raise TokenError("token_expired", "get a fresh token")
        return identity

    def mint(
        self,
        user_id: str,
        role: Role,
        rooms: Iterable[str],
        *,
        now_ms: int,
        ttl_ms: int,
        name: str = "",
        fan: bool = False,
    ) -> str:
        """A token of ours, valid ``ttl_ms`` from ``now_ms`` (whole seconds, rounded up). ``ValueError``
        where only a public key is configured, or for what ``verify`` would refuse."""
        claims: dict[str, Any] = {
            "iss": self._config.issuer,
            "aud": self._config.audience,
            "sub": user_id,
            "iat": now_ms // 1000,
            "exp": -(-(now_ms + ttl_ms) // 1000),
            "role": Role(role).value,
            "rooms": list(rooms),
        }
        if name:
            claims["name"] = name
        if fan:
            claims["fan"] = True
        try:
            _identity(claims)
        except TokenError as error:
            raise ValueError(error.detail) from None
        return self._jwt.encode(claims, self._signing_key, algorithm=self.algorithm)

    @functools.cached_property
    def _signing_key(self) -> Any:
        """Measured: reading an RSA key checks it, which takes 100 times as long as signing."""
        if self._config.secret:
            return self._config.secret
        if not self._config.private_key:
            raise ValueError("a private key is needed to mint tokens")
        return load_pem_private_key(self._config.private_key.encode(), password=None)

    def _verified(self, token: str, now_ms: int) -> Identity:
        try:
            claims = self._jwt.decode(
                token,
                self._verifying_key,
                algorithms=[self.algorithm],
                audience=self._config.audience,
                issuer=self._config.issuer,
                # The times are judged by our clock, below; the library would use its own.
                options={
                    "require": REQUIRED,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidTokenError as error:
            raise TokenError("bad_token", str(error)) from None
        except (ValueError, TypeError, RecursionError) as error:
            raise TokenError("bad_token", f"unreadable: {type(error).__name__}") from None
        identity = _identity(claims)
        if "nbf" in claims and _time_ms(claims, "nbf") > now_ms + CLOCK_SKEW_MS:
            raise TokenError("bad_token", "not valid yet (`nbf`)")
        return identity


def _algorithm_of(key: object) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < RSA_BITS_MIN:
            raise ValueError(f"an RSA key has at least {RSA_BITS_MIN} bits")
        return "RS256"
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "EdDSA"
    raise ValueError("a token key is RSA, P-256 or Ed25519")


def _identity(claims: dict[str, Any]) -> Identity:
    """Every claim checked; ``TokenError`` names the one at fault."""
    sub, role, rooms = claims.get("sub"), claims.get("role"), claims.get("rooms")
    name, fan = claims.get("name", ""), claims.get("fan", False)
    if not _is_id(sub):
        raise TokenError("bad_token", f"`sub` must match {ID_PATTERN}")
    if not isinstance(role, str) or role not in set(Role):
        raise TokenError("bad_token", f"`role` is one of {', '.join(Role)}")
    if (
        not isinstance(rooms, list)
        or len(rooms) > ROOMS_MAX
        or not (rooms == ["*"] or all(map(_is_id, rooms)))
    ):
        raise TokenError("bad_token", f'`rooms` is a list of at most {ROOMS_MAX} room ids, or ["*"]')
    if not isinstance(name, str) or len(name) > NAME_CHARS_MAX:
        raise TokenError("bad_token", f"`name` is at most {NAME_CHARS_MAX} characters")
    if not isinstance(fan, bool):
        raise TokenError("bad_token", "`fan` is true or false")
    assert isinstance(sub, str)
    return Identity(
        user_id=sub,
        name=name.encode(errors="ignore").decode(),  # half an emoji, as JavaScript cuts: no encoder takes it
        role=Role(role),
        rooms=tuple(rooms),
        expires_at_ms=_time_ms(claims, "exp"),
        fan=fan,
    )


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _time_ms(claims: dict[str, Any], claim: str) -> int:
    seconds = claims.get(claim)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TokenError("bad_token", f"`{claim}` is a number of seconds")
    if not 0 <= seconds <= AMOUNT_MAX // 1000:  # which no NaN is
        raise TokenError("bad_token", f"`{claim}` is out of range")
    return int(seconds * 1000)
