"""When viewers arrive: in the rhythm of a recorded room. Pure.

Recorded arrivals are bursty (a push, a shout from another room); even ones would be far too smooth. Each of
so many arrivals takes the moment of one recorded entry, and is up to half a second off it.
"""

from __future__ import annotations

import random
from typing import Final

from loadtest.replay import Recording

OFF_S: Final = 0.5


def moments(recording: Recording, count: int, over_s: float, seed: int) -> list[float]:
    """``count`` moments in [0, over_s), in order."""
    draw = random.Random(seed)
    recorded = [each.at_s for each in recording.stretch(over_s) if each.kind == "enter"] or [0.0]
    drawn = (draw.choice(recorded) + draw.uniform(-OFF_S, OFF_S) for _ in range(count))
    return sorted(min(max(at_s, 0.0), over_s) for at_s in drawn)
