"""Why a connection ends, and whether to come back. The one catalogue for server, clients and docs."""

from __future__ import annotations

from enum import IntEnum


class Close(IntEnum):
    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    ABNORMAL = 1006  # never on the wire: the connection was lost
    INVALID_DATA = 1007
    POLICY = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    TRY_LATER = 1013
    AUTHENTICATION_TIMEOUT = 4001
    BAD_TOKEN = 4002
    TOKEN_EXPIRED = 4003
    TOO_SLOW = 4008
    FLOOD = 4009


class Rule:
    """One row of the catalogue."""

    __slots__ = ("name", "reconnect", "why")

    def __init__(self, name: str, reconnect: bool, why: str) -> None:
        self.name = name
        self.reconnect = reconnect
        self.why = why


CATALOGUE: dict[Close, Rule] = {
    Close.NORMAL: Rule("normal", False, "you said goodbye, or the room is over for you"),
    Close.GOING_AWAY: Rule("going_away", True, "this process restarts or drains; resume where you were"),
    Close.PROTOCOL_ERROR: Rule("protocol_error", False, "a frame broke RFC 6455"),
    Close.UNSUPPORTED_DATA: Rule(
        "unsupported_data", False, "text on a binary subprotocol, or the other way round"
    ),
    Close.ABNORMAL: Rule("abnormal", True, "the connection was lost without a word"),
    Close.INVALID_DATA: Rule("invalid_data", False, "not a message of the subprotocol: unreadable bytes"),
    Close.POLICY: Rule("policy", False, "not allowed here"),
    Close.TOO_BIG: Rule("too_big", False, "a command longer than the limit"),
    Close.INTERNAL: Rule("internal", True, "our fault; resume"),
    Close.TRY_LATER: Rule("try_later", True, "no room now; come back after retryMs"),
    Close.AUTHENTICATION_TIMEOUT: Rule(
        "authentication_timeout", True, "no token within five seconds; authenticate first"
    ),
    Close.BAD_TOKEN: Rule("bad_token", False, "the token is not valid here; get another one"),
    Close.TOKEN_EXPIRED: Rule("token_expired", True, "the token has expired; come back with a fresh one"),
    Close.TOO_SLOW: Rule("too_slow", True, "nothing was read for ten seconds; resume"),
    Close.FLOOD: Rule("flood", True, "far too many commands; come back after a while"),
}


def why_closed(code: int) -> str:
    """``4003 (token_expired: the token has expired; …)``; of an unknown code just the number."""
    try:
        rule = CATALOGUE[Close(code)]
    except ValueError:
        return str(code)
    return f"{code} ({rule.name}: {rule.why})"


def may_reconnect(code: int) -> bool:
    """What an unknown code means: come back, gently."""
    try:
        return CATALOGUE[Close(code)].reconnect
    except ValueError:
        return True
