"""What a rush leaves to chance, played by a few: a small sale each, one file each.

A scene asks and waits; it judges nothing, and goes on where an answer did not come. ``stage`` is what they
share; ``plan`` says who plays.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from loadtest.audience.scenes import counter, freeze, line
from loadtest.audience.scenes.stage import Stage

SCENES: Final[dict[str, Callable[[Stage], Awaitable[None]]]] = {
    "counter": counter.play,
    "freeze": freeze.play,
    "line": line.play,
}
