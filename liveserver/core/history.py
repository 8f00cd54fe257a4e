"""The last critical events of one epoch, for those who resume: gapless up to ``head``, or an honest no."""

from __future__ import annotations

from collections import deque
from itertools import islice

from protocol.events import Envelope

from .limits import HISTORY_EVENTS_MAX


class CriticalHistory:
    def __init__(self, size: int = HISTORY_EVENTS_MAX) -> None:
        self._envelopes: deque[Envelope] = deque(maxlen=size)
        self.epoch = 0
        self.head = 0

    def add(self, envelope: Envelope) -> None:
        """The next event; any other offset is our mistake."""
        assert envelope.offset == self.head + 1, (envelope.offset, self.head)
        self._envelopes.append(envelope)
        self.head = envelope.offset

    def after(self, offset: int) -> list[Envelope] | None:
        """The events ``offset + 1`` to ``head``. None: not all of them are here any more, or ``offset`` is
        none this epoch has reached; only a snapshot helps then."""
        missing = self.head - offset
        if not 0 <= missing <= len(self._envelopes):
            return None
        return list(islice(self._envelopes, len(self._envelopes) - missing, None))

    def reset(self, epoch: int, head: int) -> None:
        """Another epoch, or a gap nobody could fill: nothing up to ``head`` can be replayed."""
        self._envelopes.clear()
        self.epoch = epoch
        self.head = head
