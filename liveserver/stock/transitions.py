"""What may become of a reservation: the table that the model, the Lua and the docs read.

``TRANSITIONS[end][state]`` is the state after that end. A pair that is missing is a wrong state, except
that an end repeated on the state it leads to changes nothing and answers the same again.

``LUA`` is this table as Lua source; it is put before every script, so the scripts hold no copy.

Left for later, as further ends: a payment after the hold ended (``expired | released -> confirmed`` or
``-> refund_due``) and a return (``confirmed -> returned``).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from liveserver.stock.port import ReservationState as S


class End(StrEnum):
    CONFIRM = "confirm"
    RELEASE = "release"
    EXPIRE = "expire"


TRANSITIONS: Final[dict[End, dict[S, S]]] = {
    End.CONFIRM: {S.HELD: S.CONFIRMED},
    End.RELEASE: {S.HELD: S.RELEASED},
    End.EXPIRE: {S.HELD: S.EXPIRED},
}

TARGET: Final[dict[End, S]] = {
    End.CONFIRM: S.CONFIRMED,
    End.RELEASE: S.RELEASED,
    End.EXPIRE: S.EXPIRED,
}

# What a unit in this state counts as. The other states hold nothing: the units are available again.
COUNTED: Final[dict[S, str]] = {S.HELD: "held", S.CONFIRMED: "confirmed"}

LETTER: Final[dict[S, str]] = {
    S.HELD: "h",
    S.CONFIRMED: "c",
    S.RELEASED: "r",
    S.EXPIRED: "x",
    S.REFUND_DUE: "f",
    S.RETURNED: "t",
}
STATE: Final[dict[str, S]] = {letter: state for state, letter in LETTER.items()}


def _lua() -> str:
    """``NEXT[end][letter]`` and ``TARGET[end]`` are letters; ``COUNTED[letter]`` names a counter."""
    nexts = ", ".join(
        f"{end} = {{ " + ", ".join(f"{LETTER[a]} = '{LETTER[b]}'" for a, b in row.items()) + " }"
        for end, row in TRANSITIONS.items()
    )
    targets = ", ".join(f"{end} = '{LETTER[state]}'" for end, state in TARGET.items())
    counted = ", ".join(f"{LETTER[state]} = '{name}'" for state, name in COUNTED.items())
    return "\n".join(
        (
            f"local NEXT = {{ {nexts} }}",
            f"local TARGET = {{ {targets} }}",
            f"local COUNTED = {{ {counted} }}",
        )
    )


LUA: Final = _lua()
