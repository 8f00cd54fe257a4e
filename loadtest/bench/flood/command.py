"""``python -m loadtest bench flood``: what it runs and prints."""

from __future__ import annotations

import argparse
import sys
import time

import uvloop
from rich.console import Console

from loadtest.bench import shown
from loadtest.bench.child import EndedError, SilentError
from loadtest.bench.flood import rounds
from loadtest.bench.flood.took import NotMeasuredError
from loadtest.report.model import write

ROUNDS, QUICK_ROUNDS = 5, 3
SECONDS, QUICK_SECONDS = 5.0, 3.0
SOCKETS_MIN = 10
PROSE = (
    "One room, its viewers on a core of their own. Nobody comments (none: a server without danmaku), "
    "three a second do (quiet), or a flood is offered (flood), of which half repeats what was said "
    "before and none is stopped by a session's rate: all of it gets as far as the room. Meanwhile "
    "twenty buyers ping and buy, and the streamer explains and stops. Time runs from before the command "
    "is written to when its reply, or the critical event at another viewer, has been read. p99 of each "
    "arm and round; the figure is the median. What is not answered in time is unknown: it is counted, and "
    "is among the times with as long as it was waited for."
)


def run(given: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """0 when measured, also where a figure is missed: the report says so. 2 where something did not come that
    the figures need."""
    count = given.rounds if given.rounds is not None else (QUICK_ROUNDS if given.quick else ROUNDS)
    if given.sockets < SOCKETS_MIN or count < 1 or given.offered < 1:
        parser.error(f"--sockets is at least {SOCKETS_MIN}, --rounds and --offered at least 1")
    size = rounds.Size(given.sockets, given.offered, count, QUICK_SECONDS if given.quick else SECONDS)
    console, begun = Console(width=shown.WIDTH), shown.Begun.now()

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - begun.at_s:6.1f} s  {text}", highlight=False)

    try:
        measured = uvloop.run(rounds.run(size, given.seed, say))
    except (NotMeasuredError, SilentError, EndedError) as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 2
    report = shown.report(
        "flood",
        prose=PROSE,
        command=f"python -m loadtest bench flood --sockets {size.sockets} --offered {size.offered}"
        f" --rounds {size.rounds} --seed {given.seed}",
        seed=given.seed,
        begun=begun,
        figures=rounds.figures(measured),
        unit="milliseconds and ratios",
        notes=rounds.facts(measured),
    )
    if given.json is not None:
        write(report, given.json)
    shown.show(report, console)
    return 0
