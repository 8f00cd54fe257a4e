"""Stable codes of error replies: what happened, who can mend it. Documented, tested, never reworded."""

from __future__ import annotations

CODES: dict[str, str] = {
    "unknown_command": "no command has this type",
    "missing_field": "a field that must be there is not",
    "unknown_field": "the command has no such field",
    "invalid_field": "wrong type, or out of range",
    "not_authenticated": "say who you are first",
    "already_authenticated": "this session has said who it is",
    "bad_token": "the token is not valid here",
    "token_expired": "the token has expired",
    "forbidden": "your role, or your token's rooms, don't allow this",
    "not_joined": "join the room first",
    "too_many_rooms": "leave a room before joining another",
    "rate_limited": "too many commands; wait retryMs",
    "room_ended": "the room is over",
    "unknown_listing": "no such listing in this cart",
    "listing_exists": "a listing of this id is there, with other contents",
    "cart_full": "the cart holds no more listings",
    "cart_mismatch": "name every listing of the cart exactly once",
    "unknown_sale": "no such sale in this room",
    "sale_conflict": "a sale of this id was opened with other parameters",
    "sale_running": "the listing has a sale that is not closed",
    "unknown_item": "the sale has no such item",
    "sale_rooms_full": "the sale is in as many rooms as one may be",
    "all_frozen": "every sale is frozen: nothing opens, resumes or is attached until that is lifted",
    "unknown_reservation": "no such reservation, or not yours",
    "wrong_state": "the reservation's state does not allow this",
    "too_many_adjusts": "the sale was adjusted too often; open another",
    "below_held": "these units are held or sold",
    "closed": "the sale is closed",
    "frozen": "the sale is frozen: nothing is sold or confirmed in it",
    "conflict": "this command id was used with other parameters",
    "unavailable": "certainly not carried out; try again after retryMs",
    "pending": "unknown: it may have been carried out; send the same command again to learn",
    "retry": "this process is leaving; send it again on the next connection",
}


class CommandError(Exception):
    """Raised by decoding and by handlers; becomes the command's ``error`` reply. The session goes on."""

    def __init__(
        self, code: str, detail: str = "", *, field: str = "", retry_ms: int = 0, command_id: str = ""
    ) -> None:
        assert code in CODES, code
        super().__init__(detail or CODES[code])
        self.code = code
        self.detail = detail or CODES[code]
        self.field = field
        self.retry_ms = retry_ms
        self.command_id = command_id


class NotOurs(Exception):
    """The bytes are no message of the subprotocol at all: the connection closes 1007."""
