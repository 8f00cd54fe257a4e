"""What a worker is handed when it is started, and what it says back.

The order comes through an inherited pipe, as JSON: it holds the secret tokens are signed with, which belongs
neither in a command line nor in an environment, where others may read it. The worker is started with one
argument, the pipe's number. On a second pipe it says one line, ``{"process": NAME}``, once it takes
connections; that pipe's end is the worker's end.
"""

from __future__ import annotations

import os
from typing import Any, Final

import msgspec
import orjson

ORDER_BYTES_MAX: Final = 60_000  # what a pipe takes without a reader
SAYS_BYTES_MAX: Final = 4_096


class Order(msgspec.Struct, frozen=True):
    number: int  # of the place, from 0
    workers: int
    generation: int
    listener_fd: int
    says_fd: int  # where it says that it is ready
    folder: str  # private, shared by all of the host
    settings: dict[str, Any]  # every one of ``config.Settings``, whatever the environment says


class Ready(msgspec.Struct, frozen=True):
    process: str


def hand_over(order: Order) -> int:
    """A pipe's read end that holds the order, to be inherited and then closed. Raises ``OSError``."""
    packed = orjson.dumps(msgspec.to_builtins(order))
    assert len(packed) <= ORDER_BYTES_MAX, len(packed)
    reading, writing = os.pipe()
    try:
        os.write(writing, packed)
    except OSError:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return reading


def take(fd: int) -> Order:
    """In the worker: the order behind this number. Raises ``OSError``, ``msgspec.DecodeError``."""
    with os.fdopen(fd, "rb") as pipe:
        return msgspec.json.decode(pipe.read(), type=Order)


def say_ready(fd: int, process: str) -> None:
    """The pipe stays open: its end says that we have ended."""
    os.write(fd, msgspec.json.encode(Ready(process)) + b"\n")
