"""A clock steered to another one, as arithmetic.

``local_ms`` is any steady clock of this process (``time.monotonic``); the server's time is learned from
samples: asked at ``sent_ms``, answered at ``received_ms`` (both local), the server's clock read
``server_ms`` somewhere in between. The sample with the least delay binds the difference most tightly and
is the one believed; it ages, since two clocks drift apart. A sample that contradicts it outright (the
two intervals don't meet) means that the server's clock was set, or that it is another server: what was
known before is forgotten.

What ``now_ms`` returns never goes back: to lose time it runs at half speed until it is right again.
"""

from __future__ import annotations

from typing import Final

import msgspec

DRIFT: Final = 1e-4  # Guess: 100 ppm, worse than any crystal; the age of a sample counts as this much delay
RESOLUTION_MS: Final = 1.0  # the server's reading is cut to a whole millisecond


class _Sample(msgspec.Struct, frozen=True):
    """The server's time minus the local time lay between these when the sample was taken."""

    least_ms: float
    most_ms: float
    received_ms: float

    @property
    def middle_ms(self) -> float:
        return (self.least_ms + self.most_ms) / 2

    def doubt_ms(self, local_ms: float) -> float:
        """How far ``middle_ms`` may be off by now."""
        return (self.most_ms - self.least_ms) / 2 + DRIFT * max(0.0, local_ms - self.received_ms)


class Steering:
    """``difference_ms`` (server minus local) is what to start from before the first sample: the process's
    own wall clock will do."""

    def __init__(self, difference_ms: float) -> None:
        self._difference_ms = difference_ms
        self._believed: _Sample | None = None
        self._told_ms: float | None = None
        self._told_at_ms = 0.0

    @property
    def difference_ms(self) -> float:
        """Server minus local, as now believed."""
        return self._difference_ms

    def observe(self, sent_ms: float, received_ms: float, server_ms: int) -> None:
        """One sample. Samples may come in any order; one that ends before it began is refused."""
        if received_ms < sent_ms:
            return
        sample = _Sample(
            least_ms=server_ms - received_ms,
            most_ms=server_ms + RESOLUTION_MS - sent_ms,
            received_ms=received_ms,
        )
        held = self._believed
        if held is not None:
            apart_ms = abs(sample.middle_ms - held.middle_ms)
            agree = apart_ms <= sample.doubt_ms(received_ms) + held.doubt_ms(received_ms)
            if agree and held.doubt_ms(received_ms) <= sample.doubt_ms(received_ms):
                return
        self._believed = sample
        self._difference_ms = sample.middle_ms

    def now_ms(self, local_ms: float) -> int:
        right_ms = local_ms + self._difference_ms
        if self._told_ms is not None:
            elapsed_ms = local_ms - self._told_at_ms
            least_ms = self._told_ms + elapsed_ms / 2 if elapsed_ms > 0 else self._told_ms
            if right_ms < least_ms:
                right_ms = least_ms
        self._told_ms, self._told_at_ms = right_ms, local_ms
        return int(right_ms)
