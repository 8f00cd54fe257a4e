"""Where the demo writes: its own folder, and files it was asked for, tried before the night."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from liveserver.cli.faults import in_words


@contextmanager
def private_folder() -> Iterator[Path]:
    """Ours alone, gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="liveserver-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_writable(path: Path, hint: str) -> None:
    """Now, and not after the night."""
    check_folder(path.parent, hint)
    was_there = path.exists()
    try:
        path.open("ab").close()
    except OSError as error:
        raise typer.BadParameter(f"can't be written: {in_words(error)}", param_hint=hint) from None
    if not was_there:
        path.unlink()


def check_folder(folder: Path, hint: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"can't be made: {in_words(error)}", param_hint=hint) from None
