"""The handlers' world: the ports of ``commands.ports.Context``, filled with this process's parts."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from liveserver.commands.session import Session
from liveserver.core.clock import Clock
from liveserver.core.identity import Identity
from liveserver.core.words import WordFilter

from .gate import Gate
from .kill_switch import KillSwitch
from .places import KnownPlaces
from .rooms import Rooms
from .shelf import Shelf
from .stock_desk import StockDesk

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class HubContext:
    def __init__(
        self,
        *,
        clock: Clock,
        rooms: Rooms,
        stock: StockDesk,
        places: KnownPlaces,
        shelf: Shelf,
        kill_switch: KillSwitch,
        gate: Gate,
        verify: Callable[[str], Identity],
        words: WordFilter,
        process: str,
        keepalive_ms: int,
    ) -> None:
        self.clock = clock
        self.rooms = rooms
        self.stock = stock
        self.places = places
        self.shelf = shelf
        self.kill_switch = kill_switch
        self.process = process
        self.keepalive_ms = keepalive_ms
        self._gate = gate
        self._verify = verify
        self._words = words
        self._numbers = itertools.count(1)

    def verify(self, token: str) -> Identity:
        return self._verify(token)

    def admit(self, session: Session, identity: Identity) -> None:
        self._gate.admit(session, identity)

    def blocked_word(self, text: str) -> str | None:
        return self._words.blocked(text)

    def danmaku_id(self) -> str:
        """The process's name is new at every boot, so the count may start again."""
        return f"{self.process}{_base36(next(self._numbers))}"


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits
