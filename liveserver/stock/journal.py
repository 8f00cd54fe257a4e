"""The journal of acknowledgements: what this process told anybody, written down before it was told.

Beside the feed, which the store keeps and may lose, each process keeps a journal on its own disk; a rebuild
(``rebuild.py``) puts back from the journals what a store has lost. This file knows what is noted and how a
line looks; ``journal_files.py`` writes and reads files, ``journal_ledger.py`` notes what a ledger answers.

A line is a JSON array. A fact never changes another: each says how something stood at its ``(epoch, seq)``.

``["told", epoch, seq, at, reservation id, command, [[item id, quantity], …], state, due, limit kept]``
``["opened", epoch, seq, at, command, specification]``
``["ordered", epoch, seq, at, sale id, kind, command, actor, item id, delta, reason]``
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Protocol

import msgspec

from liveserver.stock.ids import parse_reservation_id
from liveserver.stock.port import (
    Line,
    Reservation,
    ReservationState,
    SaleSpec,
    UnknownReservationError,
)


class Told(msgspec.Struct, frozen=True, array_like=True, tag="told"):
    """A reservation, as its buyer or the order service was told of it."""

    epoch: int
    seq: int
    at_ms: int  # the process's clock
    reservation_id: str
    command_id: str  # of its purchase
    lines: tuple[tuple[str, int], ...]  # (item id, quantity), rising by item number
    state: ReservationState
    due_ms: int
    limit_kept: bool = False  # returned, and still counted against its user's limit

    @property
    def sale_id(self) -> str:
        return parse_reservation_id(self.reservation_id).sale_id


class Opened(msgspec.Struct, frozen=True, array_like=True, tag="opened"):
    epoch: int
    seq: int
    at_ms: int
    command_id: str
    spec: SaleSpec

    @property
    def sale_id(self) -> str:
        return self.spec.sale_id


class Ordered(msgspec.Struct, frozen=True, array_like=True, tag="ordered"):
    """What somebody ordered of the sale itself."""

    epoch: int
    seq: int
    at_ms: int
    sale_id: str
    kind: str  # adjust, pause, resume, close, freeze
    command_id: str
    actor: str
    item_id: str = ""  # of an adjust, and so on
    delta: int = 0
    reason: str = ""


Fact = Told | Opened | Ordered


class Journal(Protocol):
    def append(self, facts: Sequence[Fact]) -> None:
        """All facts of one call of the ledger, at once. Never raises and never waits for a disk to sync:
        what can't be noted is counted, and the journal says of itself that it has a gap."""
        ...


def told(reservation: Reservation, epoch: int, seq: int, at_ms: int, *, limit_kept: bool = False) -> Told:
    return Told(
        epoch,
        seq,
        at_ms,
        reservation.reservation_id,
        reservation.command_id,
        _pairs(reservation.lines),
        reservation.state,
        reservation.expires_at_ms,
        limit_kept,
    )


@lru_cache(maxsize=1_024)  # nearly all orders of a rush have the same few
def _pairs(lines: tuple[Line, ...]) -> tuple[tuple[str, int], ...]:
    return tuple((line.item_id, line.quantity) for line in lines)


def lines_of(fact: Told) -> tuple[Line, ...]:
    return tuple(Line(item_id, quantity) for item_id, quantity in fact.lines)


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Fact)


def written(facts: Sequence[Fact]) -> bytes:
    """One line each, newlines and all."""
    return _ENCODER.encode_lines(facts)


def read(line: bytes) -> Fact:
    """Raises ``ValueError`` for what is no line of a journal."""
    try:
        fact: Fact = _DECODER.decode(line)
        if isinstance(fact, Told):
            parse_reservation_id(fact.reservation_id)
    except (msgspec.MsgspecError, UnknownReservationError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error
    return fact
