"""``python -m loadtest bench memory``: what it runs and prints."""

from __future__ import annotations

import argparse
import os
import time
from typing import Final

import msgspec
import uvloop
from rich.console import Console

from loadtest import machine
from loadtest.bench.memory import rounds
from loadtest.bench.memory.arguments import SOCKETS_MAX
from loadtest.bench.memory.report import Findings
from loadtest.bench.show import WIDTH, show
from loadtest.report.model import Report, write

PROSE: Final = """\
A fresh server of each kind in each round; what its processes hold (PSS: resident, shared pages by their \
share) with all sockets there, less what they held with a hundred, per socket. Ours is the shipped server \
with its embedded store, which counts too; each viewer has a token of his own, remembered until it expires, \
and then joins one room. The others know no tokens and no rooms: it is a socket that was let in. What the \
kernel keeps for a connection is in no process and not in these figures; it is the same for all."""


def run(given: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """0 when measured, also where a mark is missed: the report says so."""
    size = _size(given)
    if size.rounds < 1 or not 1 <= size.sockets <= SOCKETS_MAX:
        parser.error(f"--rounds is at least 1, --sockets from 1 to {SOCKETS_MAX}")
    console, began_s, began_ms = Console(width=WIDTH), time.monotonic(), time.time_ns() // 1_000_000
    busy_before = os.getloadavg()[0]

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - began_s:6.1f} s  {text}", highlight=False)

    cores = machine.cores()
    found = Findings(uvloop.run(rounds.run(size, not given.no_install, say)))
    report = Report(
        kind="bench",
        name="memory",
        prose=PROSE,
        command=f"python -m loadtest bench memory --sockets {size.sockets} --rounds {size.rounds}",
        commit=machine.commit(),
        seed=given.seed,
        machine=machine.facts(cores),
        began_ms=began_ms,
        seconds=round(time.monotonic() - began_s, 1),
        ok=all(mark.met is not False for mark in found.marks),
        marks=found.marks,
        figures=found.figures.tree() | {"size": msgspec.to_builtins(size)},
        grids=found.grids,
        notes=[*found.notes, f"load average before: {busy_before:.2f}"],
    )
    if given.json is not None:
        write(report, given.json)
    show(report, console)
    return 0


def _size(given: argparse.Namespace) -> rounds.Size:
    size = rounds.QUICK if given.quick else rounds.FULL
    if given.sockets is not None:
        size = msgspec.structs.replace(size, sockets=given.sockets)
    if given.rounds is not None:
        size = msgspec.structs.replace(size, rounds=given.rounds)
    return size
