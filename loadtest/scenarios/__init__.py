"""Scenarios: each a readable file of prose (its docstring), workload and pass marks.

``LONG`` and ``SHORT`` say how much of it; ``play(stage)`` is what happens, and adds the marks of its own to
those that hold of every scenario (``stage.py``). To add one, write a file like these and name it here.
"""

from __future__ import annotations

from typing import Final

NAMES: Final = (
    "sale_night",
    "danmaku_flood",
    "flash_sale",
    "reconnect_storm",
    "slow_viewers",
    "many_rooms",
    "soak",
)
