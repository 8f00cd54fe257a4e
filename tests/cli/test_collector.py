"""The collector once the server listens: what stays is left alone, and garbage in cycles still goes."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import gc, weakref
from liveserver.cli import collector

class Cycle:
    def __init__(self):
        self.me = self

kept = [Cycle() for _ in range(1_000)]
collector.settle()
assert gc.isenabled()
assert gc.get_freeze_count() > 1_000
assert not any(one is kept[0] for one in gc.get_objects()), "it is looked at no more"
lost = weakref.ref(Cycle())
assert lost() is not None
more = []
while lost() is not None and len(more) < 10 * collector.YOUNG_MAX:
    more.append([])
assert lost() is None, "nobody asked for it to be collected"
assert len(more) > 10_000, "and not at every turn"
"""


def test_settled() -> None:
    """In a process of its own: it holds for the whole of one."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
