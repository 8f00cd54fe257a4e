"""What went wrong, as people read it."""

from __future__ import annotations

import os


def in_words(error: Exception) -> str:
    """Of a file or directory at fault its name and what is wrong with it, without the number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)
