"""Does any other process hold this room? While none does, nothing is sent to the relay for it.

The beat tells how many hold it. Between two beats a process that begins to hold a room says so itself, with
an empty chunk (``Rooms``), and is believed for a while. That greeting is on its way while its first viewers
are let in, so what was kept from the relay a moment before it came is sent then: who is in the room is not
left out because a message to another process took its time. In doubt there are others: a chunk too many
costs a millisecond, one too few a tick's comments.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

HEARD_MS: Final = 3_000  # until its beats are sure to be counted in ours
KEPT_MS: Final = 500  # longer than a greeting takes; who comes from elsewhere may see this much of it twice

Said = TypeVar("Said")


class Neighbours(Generic[Said]):
    """``Said`` is what a room has to say to the others in one tick."""

    def __init__(self) -> None:
        self._counted = True  # nothing is known before the first beat
        self._until_ms = 0
        self._kept: deque[tuple[int, Said]] = deque()  # what was said to nobody, and when

    def heard(self, now_ms: int) -> None:
        """A chunk of another process came in."""
        self._until_ms = now_ms + HEARD_MS

    def beat(self, processes: int) -> None:
        """So many hold it by the store's count, this one included."""
        self._counted = processes > 1

    def there(self, now_ms: int) -> bool:
        return self._counted or now_ms < self._until_ms

    def keep(self, said: Said, now_ms: int) -> None:
        """Nobody is there to be told this; for a moment it is remembered."""
        self._forget_before(now_ms - KEPT_MS)
        self._kept.append((now_ms, said))

    def mend(self, mended: Callable[[Said], Said]) -> None:
        """Of what is remembered something isn't to be told any more."""
        self._kept = deque((at_ms, mended(said)) for at_ms, said in self._kept)

    def kept(self, now_ms: int) -> list[Said]:
        """What is still worth telling, in its order; from here on it is the caller's."""
        self._forget_before(now_ms - KEPT_MS)
        kept = [said for _, said in self._kept]
        self._kept.clear()
        return kept

    def _forget_before(self, since_ms: int) -> None:
        while self._kept and self._kept[0][0] < since_ms:
            self._kept.popleft()
