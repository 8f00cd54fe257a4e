"""Before other programs: latencies are measured by the clock, which everybody else on the machine moves."""

from __future__ import annotations

import os


def be_urgent(pid: int = 0) -> bool:
    """This process (or ``pid``) runs whenever it can, if the machine allows it; False: it doesn't."""
    try:
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))
    except (AttributeError, OSError):
        return False
    return True
