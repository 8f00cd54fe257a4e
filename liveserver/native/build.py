"""``send_frame.c`` to a library beside it. The library's name has the source's hash in it, so one that is of
another source is never taken for it.

Only the standard library is imported, and nothing of ours: an installer runs this before the rest is there.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("send_frame.c")
COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-O2", "-std=gnu11", "-Wall", "-Wextra", "-shared", "-fPIC")
COMPILE_S_MAX = 60.0
HASH_DIGITS = 12


class NotBuiltError(Exception):
    """Why there is no library, and how to come by one, in words for whoever asked for it."""


def library() -> Path:
    """Where the library of the present source is, once it is built."""
    digest = hashlib.sha256(" ".join(FLAGS).encode() + SOURCE.read_bytes()).hexdigest()[:HASH_DIGITS]
    return SOURCE.with_name(f"send_frame-{digest}.so")


def built() -> Path:
    """The library, compiled if it isn't there, or is of another machine (a tree is copied with all that is in
    it). Raises ``NotBuiltError``; nothing half made is left behind."""
    path = library()
    if loads(path):
        return path
    compiler = next((found for known in COMPILERS if (found := shutil.which(known))), None)
    if compiler is None:
        raise NotBuiltError(f"there is no C compiler on PATH ({', '.join(COMPILERS)})")
    partial = path.with_suffix(f".{os.getpid()}")  # who looks meanwhile finds it whole or not at all
    try:
        done = subprocess.run(
            [compiler, *FLAGS, "-o", str(partial), str(SOURCE)],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=COMPILE_S_MAX,
        )
        if done.returncode != 0:
            raise NotBuiltError(f"{compiler} could not compile {SOURCE.name}: {done.stderr.strip()[-500:]}")
        partial.replace(path)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotBuiltError(f"{SOURCE.name} could not be compiled: {error}") from error
    finally:
        _forget(partial)
    for old in path.parent.glob("send_frame-*.so"):
        if old != path:
            _forget(old)
    return path


def loads(path: Path) -> bool:
    """Is it there, and of this machine?"""
    try:
        ctypes.CDLL(str(path))
    except OSError:
        return False
    return True


def _forget(path: Path) -> None:
    with contextlib.suppress(OSError):  # a disk that is only read says so even of what isn't there
        path.unlink()
