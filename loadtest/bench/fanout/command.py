"""``python -m loadtest bench fanout``: what it runs and prints."""

from __future__ import annotations

import argparse
from typing import Final

import msgspec

from loadtest.bench.fanout import rounds
from loadtest.bench.fanout.arguments import PEERS
from loadtest.bench.fanout.report import Findings
from loadtest.bench.run import Found, run_bench

PROSE: Final = """\
One process of each server has a core; the sink, which only reads and counts, and whoever speaks have the \
other. All servers are there at the same time, each with its own sockets, and are measured in turn, round by \
round; ratios are taken within a round. Ours is the shipped hub: authenticated viewers, lanes, metrics, and \
its relay to a store whose process is on the other core and not in the figures. Ours_python is the same with \
LIVESERVER_SENDER=python: what the native sender is worth.

Frames: the same text goes to everybody at the same pace, and is one frame to each socket; the server's CPU, \
less what it uses idle, per frame delivered. With ours that contains the comment's way in, its receipt, its \
tick and the chunk for other processes.

A busy room: 60 comments, 20 bursts of likes, 10 entries and 10 stock changes a second, budget lifted and \
nothing shed; with ours people really say, tap, come and go, and a sale is really adjusted; others publish \
each event, or (batched) the frames that ours would make of a tick's events. Bun writes at once what several \
publishes have left for a socket: where a broadcast takes longer than the time between two events it sends \
less often than things happen, so the price of one send each is told too (busy_room_ratio_to_c_sends: a \
hundred times the C loop's frame). A quiet room: 2 comments and 1 entry a second.

Delays run from the instant a comment was due to the instant its frame was read."""


def run(given: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """0 when measured, also where a mark is missed: the report says so."""
    size = _size(given)
    if size.rounds < 1:
        parser.error("--rounds is at least 1")
    peers = [name for name in PEERS if name == "ours" or name in given.peers]
    return run_bench(
        "fanout",
        PROSE,
        _command(given, size),
        given,
        lambda say: rounds.run(size, peers, given.parts, given.seed, not given.no_install, say),
        lambda measured: _found(measured, size),
    )


def _found(measured: rounds.Run, size: rounds.Size) -> Found:
    made = Findings(measured)
    figures = made.figures.tree() | {"size": msgspec.to_builtins(size)}
    return Found(figures, made.marks, made.plots, made.grids, made.notes)


def _size(given: argparse.Namespace) -> rounds.Size:
    size = rounds.QUICK if given.quick else rounds.FULL
    if given.sockets is not None:
        size = msgspec.structs.replace(size, sockets=given.sockets)
    if given.rounds is not None:
        size = msgspec.structs.replace(size, rounds=given.rounds)
    return size


def _command(given: argparse.Namespace, size: rounds.Size) -> str:
    sockets = ",".join(map(str, size.sockets))
    quick = " --quick" if given.quick else ""
    return (
        f"python -m loadtest bench fanout --sockets {sockets} --rounds {size.rounds} --seed {given.seed}"
        f" --peers {','.join(given.peers)} --parts {','.join(given.parts)}{quick}"
    )
