"""``python -m loadtest bench growth``: what it runs and prints."""

from __future__ import annotations

import argparse
from typing import Final

import msgspec

from loadtest.bench.growth import rounds
from loadtest.bench.growth.report import Findings
from loadtest.bench.run import Found, run_bench

PROSE: Final = """\
The shipped hub on one core; the sink, who speaks and the store on the other. Viewers: one room, a comment \
at a time, what its frame costs per viewer beside a C send loop with as many sockets; idle_share is the part \
of a core used while nothing is said. Rooms: the same viewers spread over more and more rooms, one comment \
in each; comment_us is all CPU of one comment, frames included. Messages: more and more comments a second in \
one room, the budget lifted. Workers: one process and two on one store. Commands of the store are those of \
INFO commandstats, those inside scripts too."""


def run(given: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """0 when measured, also where a mark is missed: the report says so."""
    size = _size(given)
    if size.rounds < 1:
        parser.error("--rounds is at least 1")
    return run_bench(
        "growth",
        PROSE,
        _command(given, size),
        given,
        lambda say: rounds.run(size, given.series, given.seed, say),
        lambda measured: _found(measured, size),
    )


def _found(measured: rounds.Run, size: rounds.Size) -> Found:
    made = Findings(measured)
    figures = made.figures.tree() | {"size": msgspec.to_builtins(size)}
    return Found(figures, made.marks, made.plots, made.grids, made.notes)


def _size(given: argparse.Namespace) -> rounds.Size:
    size = rounds.QUICK if given.quick else rounds.FULL
    if given.sockets is not None:
        fewer = [step for step in size.viewers if step < given.sockets]
        size = msgspec.structs.replace(size, viewers=[*fewer, given.sockets])
    if given.rounds is not None:
        size = msgspec.structs.replace(size, rounds=given.rounds)
    return size


def _command(given: argparse.Namespace, size: rounds.Size) -> str:
    quick = " --quick" if given.quick else ""
    return (
        f"python -m loadtest bench growth --sockets {size.viewers[-1]} --rounds {size.rounds}"
        f" --seed {given.seed} --series {','.join(given.series)}{quick}"
    )
