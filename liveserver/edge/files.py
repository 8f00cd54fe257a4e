"""How many connections the process has descriptors for, with some kept back.

At the limit itself the loop empties the kernel's queue without a word: nobody is told when to come back, and
the store can't be reached anew either. So the door stops earlier, while refusing still works.
"""

from __future__ import annotations

import logging
import resource
from typing import Final, NamedTuple

SPARE_MAX: Final = 512  # Guess: the store's connections and files, and those who are being refused
SPARE_SHARE: Final = 4  # of a small limit, a quarter
UNLIMITED: Final = 1 << 30

log = logging.getLogger(__name__)


class Files(NamedTuple):
    connections_max: int  # beyond these, who comes is refused, and heard out
    refusals_max: int  # beyond these, there is no hearing out either

    @classmethod
    def of(cls, limit: int) -> Files:
        """Of a process that may have so many open files."""
        spare = min(SPARE_MAX, limit // SPARE_SHARE)
        return cls(limit - spare, limit - spare // 2)

    @classmethod
    def of_process(cls) -> Files:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return cls.of(UNLIMITED if soft == resource.RLIM_INFINITY else soft)


def raise_limit() -> None:
    """As many descriptors as the process may have without asking anybody."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:  # macOS has another limit behind this one
            log.info("open files stay limited to %d: %s", soft, error)
