"""``python -m loadtest bench inbound``: what it runs and prints."""

from __future__ import annotations

import argparse
import time

import uvloop
from rich.console import Console

from loadtest.bench import shown
from loadtest.bench.inbound import rounds
from loadtest.report.model import write

ROUNDS, QUICK_ROUNDS = 5, 2
SOCKETS_MIN = 10
PROSE = (
    "Small commands are sent over many sockets at once, in waves, one command a read or sixteen; what "
    'is counted is the CPU time of the server\'s process. "validated" is the whole server up to the '
    'handler: bytes, frames, checked shapes, who it is, may he, how fast. "answered" is that, the '
    "handler and its reply, which is one more call of the kernel a read: what a server says costs more "
    'than what it hears. "read" only takes the bytes from the kernel; "decoded" is our reader and our '
    'codec alone. "mixed" has likes and comments among the pings, in one room whose frames go to all of '
    "its senders. Beside them websockets' own server, with the same codec."
)
NOT_COMPARED = "NOT COMPARED: Bun (this benchmark doesn't run it; nothing is claimed against it)"


def run(given: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """0 when measured, also where a figure is missed: the report says so."""
    count = given.rounds if given.rounds is not None else (QUICK_ROUNDS if given.quick else ROUNDS)
    if given.sockets < SOCKETS_MIN or count < 1:
        parser.error(f"--sockets is at least {SOCKETS_MIN}, --rounds at least 1")
    console, begun = Console(width=shown.WIDTH), shown.Begun.now()

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - begun.at_s:6.1f} s  {text}", highlight=False)

    taken = uvloop.run(rounds.run(given.sockets, count, say))
    report = shown.report(
        "inbound",
        prose=PROSE,
        command=f"python -m loadtest bench inbound --sockets {given.sockets} --rounds {count}",
        seed=given.seed,
        begun=begun,
        figures=rounds.figures(taken),
        unit="commands per second of CPU",
        notes=[NOT_COMPARED],
    )
    if given.json is not None:
        write(report, given.json)
    shown.show(report, console)
    return 0
