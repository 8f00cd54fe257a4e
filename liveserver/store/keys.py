"""Names of a room's keys and of its channel. All carry the tag ``{room:ID}``: one slot in a cluster, and
the only channel a script of that slot may publish to."""

from __future__ import annotations


def meta(room: str) -> str:
    return f"{{room:{room}}}:meta"


def log(room: str) -> str:
    return f"{{room:{room}}}:log"


def state(room: str) -> str:
    return f"{{room:{room}}}:state"


def commands(room: str) -> str:
    return f"{{room:{room}}}:commands"


def figures(room: str) -> str:
    return f"{{room:{room}}}:figures"


def fresh(room: str) -> str:
    return f"{{room:{room}}}:fresh"


def silent(room: str) -> str:
    return f"{{room:{room}}}:silent"


def sales(room: str) -> str:
    return f"{{room:{room}}}:sales"


def channel(room: str) -> str:
    return f"{{room:{room}}}:relay"
