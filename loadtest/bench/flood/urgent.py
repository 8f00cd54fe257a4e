"""Before other programs: latencies are measured by the clock, which everybody else on the machine moves."""

from __future__ import annotations

import os

CROWD, PROBE, SERVER = 1, 2, 2  # the greater first


def be_urgent(rank: int, pid: int = 0) -> bool:
    """This process (or ``pid``) runs whenever it can, if the machine allows it; False: it doesn't."""
    try:
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(rank))
    except (AttributeError, OSError):
        return False
    return True
