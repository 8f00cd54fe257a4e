"""What an error of a call tells: certainly not executed, or unknown.

The whole honesty of a purchase's answer hangs on this sorting, so it is a list of what is certain;
everything else, timeouts and lost connections first, is unknown: the call may have run.
"""

from __future__ import annotations

from typing import Final

from redis import exceptions

from liveserver.valkey.connect import NotSentError

# Refused before the command, or a script's first line, ran.
_REFUSED: Final = frozenset(
    {
        "ASK",
        "BUSY",  # another script runs too long
        "CLUSTERDOWN",
        "CROSSSLOT",
        "LOADING",
        "MASTERDOWN",
        "MISCONF",  # the disk refuses
        "MOVED",
        "NOAUTH",
        "NOPERM",
        "NOREPLICAS",
        "NOSCRIPT",
        "OOM",
        "READONLY",
        "TRYAGAIN",
        "WRONGPASS",
    }
)
# The server lets a script that has written once go on writing, so raised inside a script these still
# mean that it had written nothing.
_GATES_OF_THE_FIRST_WRITE: Final = frozenset({"MISCONF", "NOREPLICAS", "OOM", "READONLY"})
_INSIDE_A_SCRIPT: Final = " script: "  # what the server appends: "script: <sha>, on @user_script:12."


def certainly_not_executed(error: BaseException) -> bool:
    """True only if the call behind ``error`` changed nothing and never will."""
    if isinstance(error, NotSentError | exceptions.MaxConnectionsError | exceptions.DataError):
        return True
    if not isinstance(error, exceptions.RedisError) or isinstance(error, exceptions.TimeoutError):
        return False
    text = str(error)
    # redis-py cuts the code off the text of the errors it knows, and keeps it in ``status_code``.
    code = error.status_code or text.split(" ", 1)[0]
    if _INSIDE_A_SCRIPT in text:
        return code in _GATES_OF_THE_FIRST_WRITE
    return code in _REFUSED
