"""A journal on disk: one file a process, a day and so many bytes; and reading all of them again.

A file begins with a line ``{"journal":1,"process":"…","whole":"yes"}``. Nothing is synced: what a process
has written survives its own end by kill -9, not the crash of its host. A call that can't be noted (a full
disk) is alarmed about and counted; the file's first line then says ``"whole":"not"``, written over in place,
which needs no room on a full disk. Locked while its process lives, so nobody clears away a file in use.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from liveserver.stock.journal import Fact, read, written

SUFFIX: Final = ".journal"
FILE_BYTES_MAX: Final = 64 * 1024 * 1024
FOLDER_BYTES_MAX: Final = 4 * 1024 * 1024 * 1024  # then the oldest file goes, and that is a gap; Guess
KEEP_MS: Final = 30 * 86_400_000  # a file not written to for so long is cleared away
LINE_BYTES_MAX: Final = 64 * 1024
DAY_MS: Final = 86_400_000
ALARM_EVERY_S: Final = 10.0

_MARKS: Final = {True: b'"yes"}\n', False: b'"not"}\n'}

log = structlog.get_logger(__name__)


class JournalFiles:
    """Implements ``journal.Journal``. Makes the folder; raises ``OSError`` where it can't be written to."""

    def __init__(
        self,
        folder: Path,
        process: str,
        now_ms: Callable[[], int],
        *,
        file_bytes_max: int = FILE_BYTES_MAX,
        folder_bytes_max: int = FOLDER_BYTES_MAX,
        keep_ms: int = KEEP_MS,
    ) -> None:
        self.lines = 0
        self.failed = 0  # calls that could not be noted
        self._folder = folder
        self._process = process
        self._now_ms = now_ms
        self._file_bytes_max = file_bytes_max
        self._folder_bytes_max = folder_bytes_max
        self._keep_ms = keep_ms
        self._number = 0
        self._alarmed_s = -ALARM_EVERY_S
        self._fd, self._path, self._mark_at = -1, folder, 0
        self._size = self._day = 0
        self._torn = False  # the last line was cut off
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._next()

    def append(self, facts: Sequence[Fact]) -> None:
        if self._size >= self._file_bytes_max or self._now_ms() // DAY_MS != self._day:
            self._turn()
        lines = written(facts)
        text = b"\n" + lines if self._torn else lines
        try:
            done = os.write(self._fd, text)
        except OSError as error:
            self._missed(str(error))
            return
        self._size += done
        self._torn = done < len(text)
        if self._torn:
            self._missed("the disk took only part of it")
        else:
            self.lines += len(facts)

    def close(self) -> None:
        """May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _next(self) -> None:
        dropped = self._clear()
        self._open()
        if dropped:
            self._missed(f"the journals have grown too large: {', '.join(dropped)} had to go")

    def _open(self) -> None:
        now_ms = self._now_ms()
        self._number += 1
        path = self._folder / f"{now_ms}-{self._process}-{self._number}{SUFFIX}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        header = f'{{"journal":1,"process":"{self._process}","whole":'.encode()
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            whole = header + _MARKS[True]
            if os.write(fd, whole) < len(whole):
                raise OSError(f"{path} could not be begun: the disk is full")
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        self._fd, self._path, self._mark_at = fd, path, len(header)
        self._size, self._day, self._torn = len(whole), now_ms // DAY_MS, False

    def _turn(self) -> None:
        """On to a new file; where none can be made, on with the old one."""
        before = self._fd
        try:
            self._next()
        except OSError as error:
            self._alarm(f"no new file of the journal: {error}")
            self._size, self._day = 0, self._now_ms() // DAY_MS  # tried again after as much more
        else:
            os.close(before)

    def _missed(self, why: str) -> None:
        self.failed += 1
        self._alarm(why)
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)  # not O_APPEND, which pwrite would heed
        except OSError:
            return
        try:
            os.pwrite(fd, _MARKS[False], self._mark_at)
        except OSError:
            pass
        finally:
            os.close(fd)

    def _alarm(self, why: str) -> None:
        now_s = time.monotonic()
        if now_s - self._alarmed_s >= ALARM_EVERY_S:
            self._alarmed_s = now_s
            log.error(
                "the journal has a gap: a rebuild will not know all that was told",
                file=str(self._path),
                calls=self.failed,
                why=why,
            )

    def _clear(self) -> list[str]:
        """Takes away what is too old, and the oldest of what is too much, and names these; never a file in
        use. Another process may clear away the same at the same time."""
        stats = {}
        for path in self._folder.glob(f"*{SUFFIX}"):
            try:
                stats[path] = path.stat()
            except FileNotFoundError:
                continue
        left = sum(stat.st_size for stat in stats.values())
        dropped: list[str] = []
        for path, stat in sorted(stats.items(), key=lambda one: (one[1].st_mtime, one[0].name)):
            old = stat.st_mtime * 1000 < self._now_ms() - self._keep_ms
            if not (old or left > self._folder_bytes_max) or _in_use(path):
                continue
            path.unlink(missing_ok=True)
            left -= stat.st_size
            if not old:
                dropped.append(path.name)
        return dropped


def _in_use(path: Path) -> bool:
    """Or gone already: nothing to clear away."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(fd)


class Header(msgspec.Struct):
    journal: int
    process: str
    whole: str


class Gap(msgspec.Struct, frozen=True):
    """Part of a journal that can't be read, or was never written."""

    file: str
    why: str


def read_journals(folders: Sequence[Path], sale_id: str) -> Iterator[Fact | Gap]:
    """Everything noted of one sale, file by file. A last line that was cut off told nobody anything and is
    passed over; any other that can't be read is a ``Gap``. Raises ``OSError``."""
    for folder in folders:
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            yield from _read_file(path, sale_id)


def _read_file(path: Path, sale_id: str) -> Iterator[Fact | Gap]:
    with path.open("rb") as file:
        try:
            header = msgspec.json.decode(file.readline(LINE_BYTES_MAX), type=Header)
        except ValueError:
            yield Gap(str(path), "its first line is none of a journal")
            return
        if header.journal != 1:
            yield Gap(str(path), f"is of version {header.journal}, this tool reads 1")
            return
        if header.whole != "yes":
            yield Gap(str(path), "something could not be written")
        number = 1
        while line := file.readline(LINE_BYTES_MAX):
            number += 1
            if not line.endswith(b"\n") and len(line) < LINE_BYTES_MAX:
                return  # the last: its process ended while it wrote, before anybody was told
            try:
                fact = read(line)
            except ValueError as error:
                if line != b"\n":
                    yield Gap(str(path), f"line {number}: {error}")
                continue
            if fact.sale_id == sale_id:
                yield fact
