"""The command line: `liveserver serve | demo | token | watch | streamer | version`.

Each command is a file of its own; this one only puts them together.
"""

from __future__ import annotations

from liveserver.cli.main import main

__all__ = ["main"]
