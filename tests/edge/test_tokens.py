"""Tokens: what is accepted, and every way not to be."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from liveserver.core.identity import Identity
from liveserver.edge import tokens as tokens_module
from liveserver.edge.tokens import TokenConfig, TokenError, Tokens
from protocol.types import Role

SECRET = "a secret of at least thirty-two bytes"
NOW_MS = 1_700_000_000_000
CLAIMS: dict[str, Any] = {
    "iss": "liveserver",
    "aud": "liveserver",
    "sub": "u1",
    "exp": NOW_MS // 1000 + 60,
    "role": "viewer",
    "rooms": ["r1"],
}
PRIVATE_KEYS: dict[str, Any] = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "RS256": rsa.generate_private_key(65537, 2048),
}


def pems(key: Any) -> tuple[str, str]:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def by_secret() -> Tokens:
    return Tokens(TokenConfig(secret=SECRET))


def signed(secret: str = SECRET, **changed: Any) -> str:
    claims = {name: value for name, value in (CLAIMS | changed).items() if value is not ...}
    return jwt.encode(claims, secret, algorithm="HS256")


def by_hand(header: dict[str, Any], claims: dict[str, Any], key: bytes) -> str:
    """What no honest library would sign."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    body = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"
    return f"{body}.{part(hmac.new(key, body.encode(), hashlib.sha256).digest()) if key else ''}"


def refused(token: str, tokens: Tokens | None = None, now_ms: int = NOW_MS) -> TokenError:
    with pytest.raises(TokenError) as caught:
        (tokens or by_secret()).verify(token, now_ms)
    return caught.value


def test_what_is_minted_is_verified() -> None:
    token = by_secret().mint(
        "u1", Role.STREAMER, ["r1", "r2"], now_ms=NOW_MS, ttl_ms=60_000, name="小红", fan=True
    )
    assert by_secret().verify(token, NOW_MS) == Identity(
        "u1", "小红", Role.STREAMER, ("r1", "r2"), NOW_MS + 60_000, fan=True
    )


@pytest.mark.parametrize("algorithm", PRIVATE_KEYS)
def test_each_kind_of_key_fixes_its_algorithm(algorithm: str) -> None:
    private, public = pems(PRIVATE_KEYS[algorithm])
    tokens = Tokens(TokenConfig(public_key=public, private_key=private))
    assert tokens.algorithm == algorithm
    token = tokens.mint("u1", Role.VIEWER, ["*"], now_ms=NOW_MS, ttl_ms=1_000)
    assert jwt.get_unverified_header(token)["alg"] == algorithm
    identity = Tokens(TokenConfig(public_key=public)).verify(token, NOW_MS)
    assert identity.may_enter("anything")


@pytest.mark.parametrize("algorithm", PRIVATE_KEYS)
def test_the_public_key_is_no_secret(algorithm: str) -> None:
    """Key confusion: signed by HMAC with the bytes of the published key."""
    _, public = pems(PRIVATE_KEYS[algorithm])
    tokens = Tokens(TokenConfig(public_key=public))
    for key in (public.encode(), public.strip().encode()):
        assert refused(by_hand({"alg": "HS256", "typ": "JWT"}, CLAIMS, key), tokens).code == "bad_token"


@pytest.mark.parametrize("name", ["none", "None", "NONE", ""])
def test_no_algorithm_is_no_signature(name: str) -> None:
    assert refused(by_hand({"alg": name}, CLAIMS, b"")).code == "bad_token"
    assert refused(by_hand({"alg": name}, CLAIMS, SECRET.encode())).code == "bad_token"


def test_another_algorithm_of_the_same_secret_is_refused() -> None:
    assert refused(jwt.encode(CLAIMS, SECRET * 2, algorithm="HS512")).code == "bad_token"


def test_a_key_in_the_token_itself_is_not_used() -> None:
    own = "another secret of thirty-two bytes or more"
    jwk = {"kty": "oct", "k": base64.urlsafe_b64encode(own.encode()).decode()}
    assert refused(by_hand({"alg": "HS256", "jwk": jwk}, CLAIMS, own.encode())).code == "bad_token"


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"iss": "someone"}, "ssuer"),
        ({"aud": "someone"}, "udience"),
        ({"iss": ...}, "iss"),
        ({"aud": ...}, "aud"),
        ({"sub": ...}, "sub"),
        ({"exp": ...}, "exp"),
        ({"role": ...}, "role"),
        ({"rooms": ...}, "rooms"),
        ({"sub": "a b"}, "sub"),
        ({"sub": "u1\n"}, "sub"),
        ({"sub": "u" * 65}, "sub"),
        ({"role": "admin"}, "role"),
        ({"role": ["viewer"]}, "role"),
        ({"rooms": "r1"}, "rooms"),
        ({"rooms": ["*", "r1"]}, "rooms"),
        ({"rooms": ["r 1"]}, "rooms"),
        ({"rooms": [1]}, "rooms"),
        ({"rooms": [f"r{number}" for number in range(65)]}, "rooms"),
        ({"name": "x" * 33}, "name"),
        ({"name": 1}, "name"),
        ({"fan": "yes"}, "fan"),
        ({"exp": "soon"}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": float("nan")}, "exp"),
        ({"exp": float("inf")}, "exp"),
        ({"exp": 10**400}, "exp"),
        ({"nbf": NOW_MS // 1000 + 60}, "nbf"),
    ],
)
def test_a_bad_claim_is_named(changed: dict[str, Any], names: str) -> None:
    claims = {name: value for name, value in (CLAIMS | changed).items() if value is not ...}
    token = by_hand({"alg": "HS256", "typ": "JWT"}, claims, SECRET.encode())
    error = refused(token)
    assert error.code == "bad_token"
    assert names in error.detail


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "." * 9_000, "é.ü.ß", "\ud800", "x" * 9_000, "e30.e30."])
def test_what_is_no_token_at_all(token: str) -> None:
    assert refused(token).code == "bad_token"


def test_another_s_signature_and_a_changed_claim() -> None:
    assert refused(signed("another secret of thirty-two bytes or more")).code == "bad_token"
    head, claims, signature = signed().split(".")
    forged = base64.urlsafe_b64encode(json.dumps(CLAIMS | {"role": "service"}).encode()).rstrip(b"=").decode()
    assert refused(f"{head}.{forged}.{signature}").code == "bad_token"
    assert refused(f"{head}.{claims}.").code == "bad_token"


def test_the_instant_of_expiry_also_of_one_remembered() -> None:
    tokens, token = by_secret(), signed()
    end_ms = NOW_MS + 60_000
    assert tokens.verify(token, end_ms - 1).expires_at_ms == end_ms
    assert refused(token, tokens, end_ms).code == "token_expired"
    assert refused(token, by_secret(), end_ms).code == "token_expired"
    assert refused(signed(exp=0)).code == "token_expired"


def test_a_verified_token_is_remembered_and_a_bad_one_never(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, token = by_secret(), signed()
    verified: list[str] = []
    whole = tokens._verified

    def counted(token: str, now_ms: int) -> Identity:
        verified.append(token)
        return whole(token, now_ms)

    monkeypatch.setattr(tokens, "_verified", counted)
    assert [tokens.verify(token, NOW_MS) for _ in range(3)] == [tokens.verify(token, NOW_MS)] * 3
    assert verified == [token]
    for _ in range(2):
        refused(token + "x", tokens)
    assert verified == [token, token + "x", token + "x"]


def test_what_is_remembered_is_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_module, "REMEMBERED_MAX", 3)
    tokens, verified = by_secret(), []
    whole = tokens._verified

    def counted(token: str, now_ms: int) -> Identity:
        verified.append(token)
        return whole(token, now_ms)

    monkeypatch.setattr(tokens, "_verified", counted)
    often = signed(sub="often")
    for number in range(10):
        tokens.verify(often, NOW_MS)  # asked for again and again: stays
        tokens.verify(signed(sub=f"u{number}"), NOW_MS)
    assert verified.count(often) == 1
    assert sorted(identity.user_id for identity in tokens._remembered.values()) == ["often", "u8", "u9"]


@pytest.mark.parametrize(
    "config",
    [
        TokenConfig(),
        TokenConfig(secret="short"),
        TokenConfig(secret=SECRET, public_key=pems(PRIVATE_KEYS["ES256"])[1]),
        TokenConfig(public_key="no pem"),
        TokenConfig(public_key=pems(ec.generate_private_key(ec.SECP384R1()))[1]),
        TokenConfig(public_key=pems(rsa.generate_private_key(65537, 1024))[1]),
    ],
    ids=["none", "short", "both", "no pem", "other curve", "weak RSA"],
)
def test_a_weak_or_missing_key_stops_the_start(config: TokenConfig) -> None:
    with pytest.raises(ValueError):
        Tokens(config)


def test_minting_refuses_what_verifying_would() -> None:
    with pytest.raises(ValueError, match="sub"):
        by_secret().mint("a b", Role.VIEWER, ["*"], now_ms=NOW_MS, ttl_ms=1)
    with pytest.raises(ValueError, match="private key"):
        Tokens(TokenConfig(public_key=pems(PRIVATE_KEYS["EdDSA"])[1])).mint(
            "u", Role.VIEWER, ["*"], now_ms=NOW_MS, ttl_ms=1
        )


def test_keys_stay_out_of_logs() -> None:
    assert SECRET not in repr(TokenConfig(secret=SECRET))
