"""The roles table of the wire's reference. The table is the server's, and ``protocol`` may not import the
server, so it is written from here: ``python -m tests.protocol.roles_table``."""

from __future__ import annotations

from liveserver.core.roles import ROLES, may
from protocol.commands import Command
from protocol.reference import README, render, table


def roles_table() -> str:
    rows = [
        (f"`{shape.__struct_config__.tag}`", *("yes" if may(role, shape) else "" for role in ROLES))
        for shape in Command.__args__
    ]
    return table(("command", *(str(role) for role in ROLES)), rows)


BLOCKS = {"roles": roles_table}


def main() -> None:
    README.write_text(render(README.read_text(encoding="utf-8"), BLOCKS), encoding="utf-8")


if __name__ == "__main__":
    main()
