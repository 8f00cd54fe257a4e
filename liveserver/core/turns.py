"""Whose turn it is: each of many once in a round, spread evenly over the round's steps.

Who comes in takes the emptiest step and keeps it, so each has a whole round between two turns, and no step
has more to do than another while none goes. The steps are counted by whoever walks through them.
"""

from __future__ import annotations


class Turns:
    """``steps``: of one round, at least one."""

    def __init__(self, steps: int) -> None:
        assert steps >= 1, "a round has steps"
        self._steps: list[dict[str, None]] = [{} for _ in range(steps)]
        self._step_of: dict[str, int] = {}
        self._at = 0  # the step that comes next

    def __len__(self) -> int:
        return len(self._step_of)

    def add(self, name: str) -> None:
        """Nothing, if it has its step already. Of steps equally empty the one that is furthest away: who has
        just come in has just been served."""
        if name in self._step_of:
            return
        steps = len(self._steps)
        furthest_first = ((self._at - back) % steps for back in range(1, steps + 1))
        place = min(furthest_first, key=lambda step: len(self._steps[step]))
        self._step_of[name] = place
        self._steps[place][name] = None

    def remove(self, name: str) -> None:
        """Nothing, if it isn't there."""
        place = self._step_of.pop(name, None)
        if place is not None:
            del self._steps[place][name]

    def step(self) -> list[str]:
        """Those whose turn it is now; the next call is the next step."""
        due = list(self._steps[self._at])
        self._at = (self._at + 1) % len(self._steps)
        return due
