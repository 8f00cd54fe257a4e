"""What may become of a reservation: the table that the model, the Lua and the docs read.

``TRANSITIONS[end][state]`` is the state after that end. A pair that is missing is a wrong state, except
that an end asked for again changes nothing and answers the same again (``ANSWERED``).

A payment is three ends, and the caller asks for one: ``confirm``. Of a hold that has ended before it is
paid, the sale decides which of the two others it is (``ModelSale._payment``): ``confirm_late`` takes the
units anew, ``refund_due`` says for good that the money must go back.

``LUA`` is this table as Lua source; it is put before every script that reads or moves a
reservation, so the scripts hold no copy.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from liveserver.stock.port import ReservationState as S


class End(StrEnum):
    CONFIRM = "confirm"
    RELEASE = "release"
    EXPIRE = "expire"
    CONFIRM_LATE = "confirm_late"
    REFUND_DUE = "refund_due"
    RETURN = "return"
    SERVE = "serve"
    SKIP = "skip"


TRANSITIONS: Final[dict[End, dict[S, S]]] = {
    End.CONFIRM: {S.HELD: S.CONFIRMED},
    End.RELEASE: {S.HELD: S.RELEASED, S.WAITING: S.RELEASED},
    End.EXPIRE: {S.HELD: S.EXPIRED},
    End.CONFIRM_LATE: {S.EXPIRED: S.CONFIRMED, S.RELEASED: S.CONFIRMED},
    End.REFUND_DUE: {S.EXPIRED: S.REFUND_DUE, S.RELEASED: S.REFUND_DUE},
    End.RETURN: {S.CONFIRMED: S.RETURNED},
    End.SERVE: {S.WAITING: S.HELD},
    End.SKIP: {S.WAITING: S.RELEASED},
}

# What may be asked for, and the states that answer it. Any other state is the wrong one.
ANSWERED: Final[dict[End, tuple[S, ...]]] = {
    End.CONFIRM: (S.CONFIRMED, S.REFUND_DUE),
    End.RELEASE: (S.RELEASED,),
    End.RETURN: (S.RETURNED,),
}

# What a unit in this state counts as. The other states hold nothing: the units are available again.
COUNTED: Final[dict[S, str]] = {S.HELD: "held", S.CONFIRMED: "confirmed"}

LETTER: Final[dict[S, str]] = {
    S.WAITING: "w",
    S.HELD: "h",
    S.CONFIRMED: "c",
    S.RELEASED: "r",
    S.EXPIRED: "x",
    S.REFUND_DUE: "f",
    S.RETURNED: "t",
}
STATE: Final[dict[str, S]] = {letter: state for state, letter in LETTER.items()}


def _lua() -> str:
    """``NEXT[end][letter]`` is a letter; ``COUNTED[letter]`` names a counter."""
    nexts = ", ".join(
        f"['{end}'] = {{ " + ", ".join(f"{LETTER[a]} = '{LETTER[b]}'" for a, b in row.items()) + " }"
        for end, row in TRANSITIONS.items()
    )
    counted = ", ".join(f"{LETTER[state]} = '{name}'" for state, name in COUNTED.items())
    return "\n".join(
        (
            f"local NEXT = {{ {nexts} }}",
            f"local COUNTED = {{ {counted} }}",
        )
    )


LUA: Final = _lua()
