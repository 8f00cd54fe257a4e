"""What was broadcast, put together from what all viewers received, and what each of them was not sent.

A tick frame carries ``n``, consecutive per (server process, variant). Any one viewer's gaps are filled
from the frames others of the same variant received, so the units a viewer missed can be counted without
asking the server. Units: one danmaku or one gift row, for one session.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from loadtest.verdict.case import Case, Message, Stay

NOTICED_MS_MAX: Final = 2_000.0  # how long a server may go on writing to a connection that was cut

Variant = tuple[str, str, bool, bool]  # process, codec, deflate, staff


class Block(NamedTuple):
    """The counts of one tick frame."""

    offered: int
    shown: int  # danmaku + gifts
    merged: int
    shed: int
    t_ms: float


@dataclass
class Line:
    """One variant's frames by ``n``, from everyone who received any."""

    frames: dict[int, Block] = field(default_factory=dict)
    bodies: dict[int, Message] = field(default_factory=dict)


@dataclass
class Account:
    """One stay: what came, what was skipped, what may have been on its way when it ended."""

    stay: Stay
    variant: Variant
    received: list[int]
    skipped: list[int]  # gaps up to the last frame received
    tail: list[int]  # frames after the last received that may have been composed for it


def variant_of(stay: Stay) -> Variant:
    connection = stay.connection
    return connection.process, connection.codec, connection.deflate, connection.staff


def block_of(frame: Message) -> Block:
    block = frame.get("danmaku") or {}
    shown = len(block.get("danmaku", ())) + len(block.get("gifts", ()))
    return Block(block.get("offered", 0), shown, block.get("merged", 0), block.get("shed", 0), frame["t"])


def lines_of(case: Case) -> tuple[dict[Variant, Line], list[str]]:
    """Every variant's frames, and what is wrong with the numbering itself."""
    lines: dict[Variant, Line] = {}
    wrong: list[str] = []
    for stay in case.stays():
        line = lines.setdefault(variant_of(stay), Line())
        for item in stay.frames():
            n = item.body.get("n", 0)
            if not n:
                continue
            known = line.bodies.get(n)
            if known is None:
                line.bodies[n] = item.body
                line.frames[n] = block_of(item.body)
            elif known is not item.body and known != item.body:
                wrong.append(f"frame {n} of {variant_of(stay)} was not the same for {stay.connection.user}")
    return lines, wrong


def account(stay: Stay, line: Line) -> tuple[Account, list[str]]:
    variant, user, n0 = variant_of(stay), stay.connection.user, stay.joined.get("n", 0)
    wrong: list[str] = []
    received: list[int] = []
    last = n0
    for item in stay.frames():
        n = item.body.get("n", 0)
        if not n:
            continue
        if n <= last:
            wrong.append(f"{user} on {stay.connection.name} got frame {n} after {last}")
        else:
            last = n
        received.append(n)
    got = set(received)
    skipped = [n for n in range(n0 + 1, last) if n not in got]
    until_ms = stay.ended_ms + (0.0 if stay.whole else NOTICED_MS_MAX)
    tail = [n for n, block in line.frames.items() if n > last and block.t_ms <= until_ms]
    return Account(stay, variant, received, skipped, tail), wrong


def stalled_over(stay: Stay, from_ms: float, to_ms: float) -> bool:
    """Whether it had stopped reading at some time between the two instants."""
    began: float | None = None
    spans: list[tuple[float, float]] = []
    for item in stay.connection.items:
        if item.kind == "stall":
            began = item.ms
        elif item.kind == "read" and began is not None:
            spans.append((began, item.ms))
            began = None
    if began is not None:
        spans.append((began, float("inf")))
    return any(a <= to_ms and b >= from_ms for a, b in spans)
