"""The collector once the server listens: what stays is left alone, and garbage in cycles still goes."""

from __future__ import annotations

import subprocess
import sys

DEMO = """
import gc
from liveserver.cli import collector
from liveserver.cli.demo_night import NOT_STARTED, Night
from liveserver.cli.main import app

async def nobody_comes(self, server):
    assert gc.get_threshold() == (collector.YOUNG_MAX, *collector.AGES), gc.get_threshold()
    assert gc.get_freeze_count() > 10_000, gc.get_freeze_count()
    assert not any(one is server for one in gc.get_objects()), "it was settled before there was a server"
    print("settled")
    return NOT_STARTED

Night._audience = nobody_comes
app(["demo", "--headless"])
"""
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


def test_a_demo_is_settled_as_a_server_is() -> None:
    done = subprocess.run([sys.executable, "-c", DEMO], capture_output=True, text=True, timeout=60)
    assert "settled" in done.stdout, done.stderr
    assert done.returncode == 2, done.stderr


def test_settled() -> None:
    """In a process of its own: it holds for the whole of one."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
