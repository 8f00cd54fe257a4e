"""``python -m loadtest bench stock``: what it runs and prints."""

from __future__ import annotations

import argparse
import time

import msgspec
import orjson
import uvloop
from rich.console import Console

from loadtest import machine
from loadtest.bench.stock import rounds, table

REMEMBERED_MIN = 1_000
STORED_BYTES = 150  # Measured: of an order, in a store
VERIFIED_BYTES = 700  # Measured: of an order, in the process that verifies
WIDTH = 110  # also where it is written to a file


def run(given: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """0 when measured, also where a figure is missed: the report says so."""
    size = _size(given)
    if size.remembered < REMEMBERED_MIN or size.rounds < 1:
        parser.error(f"--remembered is at least {REMEMBERED_MIN}, --rounds at least 1")
    needed, free = _bytes_needed(size), machine.free_bytes()
    if free is not None and needed > free:
        parser.error(f"--remembered {size.remembered} needs about {needed >> 20} MB, {free >> 20} are free")
    console, began_s = Console(width=WIDTH), time.monotonic()

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - began_s:6.1f} s  {text}", highlight=False)

    report = uvloop.run(rounds.run(size, given.seed, say))
    if given.json is not None:
        given.json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    table.show(report, console)
    return 0


def _bytes_needed(size: rounds.Size) -> int:
    """Both stores with their sale and the sales that grow, and one proof at a time."""
    return STORED_BYTES * (2 * size.remembered + sum(size.growth)) + VERIFIED_BYTES * size.remembered


def _size(given: argparse.Namespace) -> rounds.Size:
    size = rounds.QUICK if given.quick else rounds.FULL
    if given.remembered is not None:
        fewer = [buyers for buyers in size.growth if buyers < given.remembered]
        size = msgspec.structs.replace(size, remembered=given.remembered, growth=[*fewer, given.remembered])
    if given.rounds is not None:
        size = msgspec.structs.replace(size, rounds=given.rounds, rushes=given.rounds)
    return size
