"""C to program, once per source and compiler."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from loadtest.bench import cache

HERE: Final = Path(__file__).parent
COMPILERS: Final = ("cc", "gcc", "clang")
FLAGS: Final = ("-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror")
COMPILE_S_MAX: Final = 60.0


class NotBuiltError(Exception):
    """Why it can't be had here, in words for the report."""


def built(name: str) -> Path:
    """The program of ``NAME.c``. Raises ``NotBuiltError``."""
    compiler = next((found for known in COMPILERS if (found := shutil.which(known))), None)
    if compiler is None:
        raise NotBuiltError(f"no C compiler on PATH ({', '.join(COMPILERS)})")
    program = cache.folder("native") / f"{name}-{_fingerprint(compiler)}"
    if not program.exists():
        _compile(compiler, HERE / f"{name}.c", program)
    return program


def _fingerprint(compiler: str) -> str:
    sources = b"".join(path.read_bytes() for path in sorted(HERE.glob("*.[ch]")))
    return hashlib.sha256(compiler.encode() + " ".join(FLAGS).encode() + sources).hexdigest()[:16]


def _compile(compiler: str, source: Path, program: Path) -> None:
    """Under another name first: who looks meanwhile finds it whole or not at all."""
    partial = program.with_suffix(f".{os.getpid()}")
    done = subprocess.run(
        [compiler, *FLAGS, "-o", partial, source],
        capture_output=True,
        text=True,
        check=False,
        timeout=COMPILE_S_MAX,
    )
    if done.returncode != 0:
        raise NotBuiltError(f"{compiler} could not compile {source.name}: {done.stderr.strip()[-500:]}")
    partial.replace(program)
