"""``python -m loadtest bench``: the verb. It imports no server until a benchmark is asked for.

Each benchmark is a package beside this file: ``arguments`` (``HELP`` and ``add(parser)``, which import no
server) and ``command`` (``run(given, parser) -> exit code``: 0 when measured, also where a figure is missed:
the report says so).
"""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

from loadtest import machine
from loadtest.bench.bytes import arguments as bytes_
from loadtest.bench.fanout import arguments as fanout
from loadtest.bench.flood import arguments as flood
from loadtest.bench.growth import arguments as growth
from loadtest.bench.handshake import arguments as handshake
from loadtest.bench.inbound import arguments as inbound
from loadtest.bench.memory import arguments as memory
from loadtest.bench.stock import arguments as stock

HELP: Final = "measure the server on this machine"
BENCHES: Final[dict[str, ModuleType]] = {
    "fanout": fanout,
    "bytes": bytes_,
    "handshake": handshake,
    "memory": memory,
    "inbound": inbound,
    "flood": flood,
    "growth": growth,
    "stock": stock,
}


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="what", required=True, metavar=" | ".join(BENCHES))
    for name, arguments in BENCHES.items():
        bench = verbs.add_parser(name, help=arguments.HELP, description=arguments.HELP)
        bench.add_argument("--json", type=Path, metavar="FILE", help="write the report there")
        bench.add_argument("--quick", action="store_true", help="the short form: less of everything")
        bench.add_argument("--rounds", type=int, metavar="N", help="how often each thing is measured")
        bench.add_argument("--seed", type=int, default=1, help="same seed, same load")
        arguments.add(bench)


def run(given: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    if len(machine.cores()) < 2:
        parser.error("a benchmark needs two cores: one for the server, one for its client")
    if given.json is not None and (wrong := _unwritable(given.json)):
        parser.error(f"--json {given.json} can't be written: {wrong}")
    code: int = import_module(f"loadtest.bench.{given.what}.command").run(given, parser)
    return code


def _unwritable(file: Path) -> str:
    """Why, or nothing; asked before minutes of measuring are spent on it."""
    if file.is_dir():
        return "it is a folder"
    if not file.parent.is_dir():
        return f"there is no folder {file.parent}"
    return "" if os.access(file if file.exists() else file.parent, os.W_OK) else "that is not permitted"
