"""The shape of every refusal over HTTP: problem+json (RFC 9457) that says what to mend.

``type`` is a URN ending in ``code``, which is stable; ``title`` says what happened in general, ``detail``
in this case. ``field`` names the wire name, header or path part at fault.
"""

from __future__ import annotations

import http
from collections.abc import Mapping

import orjson

from protocol.errors import CODES, CommandError

MEDIA_TYPE = "application/problem+json"

DOOR_CODES: dict[str, str] = {
    "malformed_request": "not a request this server can read",
    "head_too_big": "the request's head is too long",
    "not_found": "nothing is here",
    "method_not_allowed": "this resource has other methods",
    "websocket_only": "this path speaks WebSocket",
    "wrong_version": "WebSocket version 13 is spoken here",
    "wrong_origin": "pages of this origin may not connect",
    "wrong_subprotocol": "none of the offered subprotocols is spoken here",
    "token_in_query": "tokens do not belong into addresses",
    "over_capacity": "no room for one more; come back",
    "body_too_big": "the body is too long",
    "malformed_body": "the body is not JSON",
    "wrong_media_type": "bodies are JSON here",
    "body_timeout": "the body did not come in time",
    "internal": "our fault",
}
"""What only HTTP can go wrong with; commands' own codes are in ``protocol.errors``."""

STATUS: dict[str, int] = {
    "unknown_command": 422,
    "missing_field": 422,
    "unknown_field": 422,
    "invalid_field": 422,
    "not_authenticated": 401,
    "already_authenticated": 409,
    "bad_token": 401,
    "token_expired": 401,
    "forbidden": 403,
    "not_joined": 409,
    "too_many_rooms": 409,
    "rate_limited": 429,
    "room_ended": 409,
    "unknown_listing": 404,
    "listing_exists": 409,
    "cart_full": 409,
    "cart_mismatch": 409,
    "unknown_sale": 404,
    "sale_conflict": 409,
    "sale_running": 409,
    "unknown_item": 404,
    "sale_rooms_full": 409,
    "all_frozen": 409,
    "unknown_reservation": 404,
    "wrong_state": 409,
    "too_many_adjusts": 409,
    "below_held": 409,
    "closed": 409,
    "frozen": 409,
    "conflict": 409,
    "unavailable": 503,
    "pending": 504,
    "retry": 503,
    "malformed_request": 400,
    "head_too_big": 431,
    "not_found": 404,
    "method_not_allowed": 405,
    "websocket_only": 426,
    "wrong_version": 426,
    "wrong_origin": 403,
    "wrong_subprotocol": 400,
    "token_in_query": 400,
    "over_capacity": 503,
    "body_too_big": 413,
    "malformed_body": 400,
    "wrong_media_type": 415,
    "body_timeout": 408,
    "internal": 500,
}
"""HTTP's status for every code there is: the one table."""

RETRY_STATUSES = frozenset({429, 503})
PENDING_DETAIL = "unknown: it may have been carried out; ask again with the same key to learn"


class Problem:
    """A refusal before it is bytes. ``status`` overrules the table where the same code means another."""

    __slots__ = ("code", "detail", "field", "headers", "retry_ms", "status")

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        field: str = "",
        retry_ms: int = 0,
        status: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.code = code
        self.detail = detail
        self.field = field
        self.retry_ms = retry_ms
        self.status = status or STATUS[code]
        self.headers = dict(headers or {})
        if self.status in RETRY_STATUSES:
            self.headers["Retry-After"] = str(max(1, -(-retry_ms // 1000)))
        if self.status == 401:
            self.headers["WWW-Authenticate"] = "Bearer"

    @classmethod
    def of(cls, error: CommandError) -> Problem:
        detail = PENDING_DETAIL if error.code == "pending" else error.detail
        return cls(error.code, detail, field=error.field, retry_ms=error.retry_ms)

    def body(self) -> bytes:
        title = CODES.get(self.code) or DOOR_CODES[self.code]
        members: dict[str, str | int] = {
            "type": f"urn:liveserver:problem:{self.code}",
            "title": title,
            "status": self.status,
            "detail": self.detail or title,
            "code": self.code,
        }
        if self.field:
            members["field"] = self.field
        if self.retry_ms:
            members["retryMs"] = self.retry_ms
        return orjson.dumps(members)

    def response(self) -> bytes:
        """A whole HTTP/1.1 response that ends the connection."""
        body = self.body()
        head = {
            **self.headers,
            "Content-Type": MEDIA_TYPE,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Connection": "close",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        return f"HTTP/1.1 {self.status} {http.HTTPStatus(self.status).phrase}\r\n{lines}\r\n".encode() + body
