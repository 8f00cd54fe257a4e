"""The journal: everything the audience said and heard, one JSON value a line, append-only.

A journal is a directory. Each audience process writes ``NAME.jsonl``; the store is dumped into
``store.jsonl`` at the end; whoever started processes notes how they ended in ``exits.jsonl``; and
``meta.json`` says what was meant to happen. The verdict reads nothing else.

A line is an object with its kind under ``k``, or (most of them) the bare array ``[ms, c, b]``: connection
``c`` received the frame written down as blob ``b``. A frame is shared by a whole variant, so its text is
written once, when the first of its receivers sees it.

    begin   process, wallMs            a process starts to write
    open    ms, c, user, role, codec, deflate       connection c stands (numbered by the writer, from 1)
    shut    ms, c, by, code            c is over, ended by us (leave, eof, abort), the server, or lost
    cmd     ms, c, m                   a command as sent (a token is not written down)
    down    ms, c, m                   a reply, notice or bye as received
    blob    b, m                       a frame
    stall   ms, c / read  ms, c        c stops reading / reads again
    call    ms, method, path, status, answer        one REST call
    mark    ms, name                   an instant of the night: ``settled`` is when everybody should agree
    fault   ms, where, what            something the audience itself did not expect
    end     ms, partial                the process has written all it had to say
    stream  room, id, fields           one entry of the room's stream, as the store has it
    feed    sale, id, fields           one entry of a sale's feed
    metrics text                       the server's own counters, after the last viewer left
    exit    name, code                 how a process ended
    counted process, text              the counters of a process of the server that has ended, at its end
    kill    ms, name, process          a process of the server is killed on purpose, now

``ms`` is wall time in milliseconds, taken from the monotonic clock: within one journal it never goes
back. It knows no rule of the room and judges nothing. Invariants: a line is written whole or (killed
mid-write) is the last one and skipped by the reader; a process that has written ``bytes_max`` notes a
fault and stops writing, so a journal is bounded and never silently short.
"""

from __future__ import annotations

import base64
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

BYTES_MAX: Final = 2 << 30  # of one file
BLOBS_REMEMBERED_MAX: Final = 8_192  # Guess: minutes of frames; a frame forgotten is written again
FLUSH_BYTES: Final = 1 << 18
META: Final = "meta.json"
STORE: Final = "store.jsonl"
EXITS: Final = "exits.jsonl"
STORE_FIELDS_MARK: Final = "b64:"

Line = dict[str, Any]


class JournalError(Exception):
    """The directory is no journal, or a line in its middle can't be read."""


class Stopwatch:
    """Wall time that never goes back: read once, then carried on by the monotonic clock."""

    def __init__(self) -> None:
        self._ahead_ms = time.time() * 1000 - time.monotonic() * 1000

    def now_ms(self) -> float:
        return round(self._ahead_ms + time.monotonic() * 1000, 1)


class JournalWriter:
    """Appends to one file. Not thread-safe; buffered, so ``close`` it (it is a context manager)."""

    def __init__(self, directory: Path, name: str, *, bytes_max: int = BYTES_MAX) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._file = (directory / name).open("ab")
        self._buffer = bytearray()
        self._bytes_left = bytes_max
        self._blobs: OrderedDict[bytes, int] = OrderedDict()
        self._blobs_written = 0
        self.full = False

    def __enter__(self) -> JournalWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, kind: str, **fields: Any) -> None:
        self._append(orjson.dumps({"k": kind, **fields}))

    def received(self, ms: float, c: int, payload: bytes, frame: object) -> None:
        """``payload`` identifies the frame; ``frame`` (JSON-able) is written if it is new."""
        number = self._blobs.get(payload)
        if number is None:
            self._blobs_written += 1
            number = self._blobs_written
            self._blobs[payload] = number
            if len(self._blobs) > BLOBS_REMEMBERED_MAX:
                self._blobs.popitem(last=False)
            self.write("blob", b=number, m=frame)
        self._append(b"[%.1f,%d,%d]" % (ms, c, number))

    def flush(self) -> None:
        self._file.write(self._buffer)
        self._buffer.clear()
        self._file.flush()

    def close(self) -> None:
        if not self._file.closed:
            self.flush()
            self._file.close()

    def _append(self, line: bytes) -> None:
        if self.full:
            return
        if len(line) > self._bytes_left:
            self.full = True
            line = orjson.dumps({"k": "fault", "ms": 0, "where": "journal", "what": "the journal is full"})
        self._bytes_left -= len(line) + 1
        self._buffer += line
        self._buffer += b"\n"
        if len(self._buffer) >= FLUSH_BYTES:
            self.flush()


def write_meta(directory: Path, meta: Mapping[str, Any]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / META).write_bytes(orjson.dumps(meta, option=orjson.OPT_INDENT_2))


def read_meta(directory: Path) -> Line:
    try:
        meta = orjson.loads((directory / META).read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise JournalError(f"{directory} is no journal: {META}: {error}") from None
    if not isinstance(meta, dict):
        raise JournalError(f"{directory}: {META} is no object")
    return meta


def read_lines(path: Path) -> Iterator[Line | list[Any]]:
    """Every line of one file. A torn last line is skipped; any other bad one raises ``JournalError``."""
    bad: int | None = None
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if bad is not None:
                raise JournalError(f"{path.name}:{bad} is no JSON")
            try:
                line = orjson.loads(raw)
            except orjson.JSONDecodeError:
                bad = number
                continue
            if not isinstance(line, dict | list):
                raise JournalError(f"{path.name}:{number} is neither an object nor an array")
            yield line


def audience_files(directory: Path) -> list[Path]:
    return sorted(p for p in directory.glob("*.jsonl") if p.name not in (STORE, EXITS))


def pack_field(value: bytes) -> str:
    """A field of the store as JSON text: itself where it is UTF-8, else marked base64."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = STORE_FIELDS_MARK
    if text.startswith(STORE_FIELDS_MARK):
        return STORE_FIELDS_MARK + base64.b64encode(value).decode()
    return text


def unpack_field(text: str) -> bytes:
    if text.startswith(STORE_FIELDS_MARK):
        return base64.b64decode(text[len(STORE_FIELDS_MARK) :])
    return text.encode()
