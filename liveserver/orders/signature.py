"""A delivery signed as the Standard Webhooks specification says, so that its libraries can check it. Pure.

``webhook-signature: v1,<base64 of HMAC-SHA256(secret, "id.timestamp.body")>``
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES_MIN: Final = 24


def secret_of(text: str) -> bytes:
    """``whsec_`` and base64, or any other text for its bytes. Raises ``ValueError``."""
    text = text.strip()
    if text.startswith(PREFIX):
        try:
            secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
        except binascii.Error as error:
            raise ValueError(f"what follows {PREFIX} is no base64: {error}") from None
    else:
        secret = text.encode()
    if len(secret) < SECRET_BYTES_MIN:
        raise ValueError(f"a secret has {SECRET_BYTES_MIN} bytes or more, not {len(secret)}")
    return secret


def signed(secret: bytes, message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """The headers of one delivery."""
    digest = hmac.new(secret, f"{message_id}.{at_s}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
