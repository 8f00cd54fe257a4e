"""Where compiled and fetched programs stay from run to run: a folder of the user's own cache."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

FOLDER = "liveserver-bench"


def folder(name: str) -> Path:
    """There, and ours to write; a temporary one where the user has no cache."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = Path(home) / FOLDER / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        path = Path(tempfile.mkdtemp(prefix=f"{FOLDER}-"))
    return path
