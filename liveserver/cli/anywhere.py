"""Options that every verb of a group shares, typed before the verb or behind it."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

COMMON = ("--url", "--token", "--token-file", "--command-id", "--timeout")


class CommonAnywhere(TyperGroup):
    """Lets the common options stand behind the verb too: ``streamer r1 explain 3 --url …``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, common_first(args))


def common_first(args: list[str]) -> list[str]:
    """The same arguments with the common options in front; what follows ``--`` stays."""
    end = args.index("--") if "--" in args else len(args)
    common: list[str] = []
    rest: list[str] = []
    place = 0
    while place < end:
        arg = args[place]
        if arg in COMMON and place + 1 < end:
            common += [arg, args[place + 1]]
            place += 2
            continue
        (common if arg.startswith(tuple(f"{name}=" for name in COMMON)) else rest).append(arg)
        place += 1
    return common + rest + args[end:]
