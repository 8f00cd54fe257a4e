"""A key of each kind the server verifies with, made for one run."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from liveserver.edge.tokens import TokenConfig

ALGORITHMS: Final = ("HS256", "RS256", "ES256", "EdDSA")
SECRET: Final = "a secret of the benchmark's own, long enough to sign with"
RSA_BITS: Final = 2048
RSA_EXPONENT: Final = 65_537


def config(algorithm: str) -> TokenConfig:
    """That mints and verifies by this one."""
    if algorithm == "HS256":
        return TokenConfig(secret=SECRET)
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    if algorithm == "RS256":
        key = rsa.generate_private_key(RSA_EXPONENT, RSA_BITS)
    elif algorithm == "ES256":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return TokenConfig(public_key=public.decode(), private_key=private.decode())
