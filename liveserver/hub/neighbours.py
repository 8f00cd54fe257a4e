"""Does any other process hold this room? While none does, nothing is sent to the relay for it.

The beat tells how many hold it. Between two beats a process that begins to hold a room says so itself, with
an empty chunk (``Rooms``), and is believed for a while; so it misses what is said in the time of one message.
In doubt there are others: a chunk too many costs a millisecond, one too few a tick's comments.
"""

from __future__ import annotations

from typing import Final

HEARD_MS: Final = 3_000  # until its beats are sure to be counted in ours


class Neighbours:
    def __init__(self) -> None:
        self._counted = True  # nothing is known before the first beat
        self._until_ms = 0

    def heard(self, now_ms: int) -> None:
        """A chunk of another process came in."""
        self._until_ms = now_ms + HEARD_MS

    def beat(self, processes: int) -> None:
        """So many hold it by the store's count, this one included."""
        self._counted = processes > 1

    def there(self, now_ms: int) -> bool:
        return self._counted or now_ms < self._until_ms
