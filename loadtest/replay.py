"""Recordings of rooms: read, cut to length, and given out in time.

A recording is JSON lines (``.gz`` or plain): ``{"t": seconds from its start, "user": pseudonym, "type":
"danmaku", "text": "…"[, "n": count]}``. Types played: ``danmaku`` and ``superchat`` (comments), ``like``
and ``combo`` (taps: a combo only sums up what was counted before, so it is no second gift), ``gift`` and
``guard`` (gifts), ``enter``. Others are passed over.

Knows files and time, nothing of rooms or sockets. A line that can't be read is reported with its number
and skipped; more than ``BAD_LINES_MAX`` of them and the file is no recording.
"""

from __future__ import annotations

import gzip
import math
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import orjson

DEFAULT: Final = Path(__file__).parent / "rooms" / "default.jsonl"
BAD_LINES_MAX: Final = 1_000
EVENTS_MAX: Final = 2_000_000
LINE_BYTES_MAX: Final = 64 * 1024
TEXT_CHARS_MAX: Final = 100  # of one comment on the wire
COUNT_MAX: Final = 9_999
BACKLOG_PER_S: Final = 120  # Measured: recorders stall, then flood; no real second had more comments
KIND_OF: Final = {
    "danmaku": "danmaku",
    "superchat": "danmaku",
    "like": "like",
    "combo": "like",
    "gift": "gift",
    "guard": "gift",
    "enter": "enter",
}


class Happening(NamedTuple):
    """``kind``: danmaku, like, gift, enter. ``times``: taps, or how many of the gift."""

    at_s: float
    kind: str
    user: str
    text: str
    times: int


class BadRecordingError(Exception):
    pass


@dataclass
class Recording:
    """Happenings in the order of time."""

    happenings: list[Happening]
    bad: list[str] = field(default_factory=list)  # "line 7: …", the first of them
    bad_lines: int = 0

    @property
    def seconds(self) -> float:
        return self.happenings[-1].at_s if self.happenings else 0.0

    def stretch(self, seconds: float) -> list[Happening]:
        """A piece of this length, in its own rhythm, times from 0: a longer recording gives its busiest
        piece (among those no recorder's flood fell into), a shorter one is played again and again."""
        if not self.happenings:
            return []
        if self.seconds <= seconds:
            period = max(math.ceil(self.seconds), 1)
            rounds = math.ceil(seconds / period)
            again = (h._replace(at_s=h.at_s + k * period) for k in range(rounds) for h in self.happenings)
            return [h for h in again if h.at_s < seconds]
        start = self._busiest(seconds)
        times = [h.at_s for h in self.happenings]
        piece = self.happenings[bisect_left(times, start) : bisect_left(times, start + seconds)]
        return [h._replace(at_s=h.at_s - start) for h in piece]

    def superposed(self, seconds: float, copies: int) -> list[Happening]:
        """A bigger room: this many copies of a piece at once, each shifted (a recording that is merely
        played faster has a rhythm no room ever had)."""
        piece = self.stretch(seconds)
        shifted = [
            h._replace(at_s=(h.at_s + k * seconds / copies) % seconds) for k in range(copies) for h in piece
        ]
        return sorted(shifted, key=lambda happening: happening.at_s)

    def _busiest(self, seconds: float) -> int:
        """The starting second of the piece with most comments."""
        per_s = [0] * (int(self.seconds) + 2)
        for happening in self.happenings:
            if happening.kind == "danmaku":
                per_s[int(happening.at_s)] += 1
        width = max(int(seconds), 1)
        comments = floods = best = best_start = 0
        best = -1
        for end, count in enumerate(per_s):
            comments, floods = comments + count, floods + (count > BACKLOG_PER_S)
            start = end - width + 1
            if start > 0:
                comments -= per_s[start - 1]
                floods -= per_s[start - 1] > BACKLOG_PER_S
            if start >= 0 and not floods and comments > best:
                best, best_start = comments, start
        return best_start


def read(path: Path) -> Recording:
    """Raises ``BadRecordingError`` if the file can't be read, holds nothing to play, or has too many bad
    lines."""
    recording = Recording([])
    try:
        for number, line in enumerate(_lines(path), start=1):
            try:
                happening = _happening(line)
            except (ValueError, TypeError, KeyError) as error:
                recording.bad_lines += 1
                if len(recording.bad) < 10:
                    recording.bad.append(f"line {number}: {error}")
                if recording.bad_lines > BAD_LINES_MAX:
                    raise BadRecordingError(f"{path}: more than {BAD_LINES_MAX} bad lines") from None
                continue
            if happening is not None:
                recording.happenings.append(happening)
                if len(recording.happenings) >= EVENTS_MAX:
                    recording.bad.append(f"line {number}: the rest is left out")
                    break
    except (OSError, EOFError, zlib.error) as error:
        raise BadRecordingError(f"{path}: {error}") from error
    if not recording.happenings:
        raise BadRecordingError(f"{path} has nothing to play")
    recording.happenings.sort(key=lambda happening: happening.at_s)
    return recording


def _lines(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        while line := file.readline(LINE_BYTES_MAX):
            if line.strip():
                yield line


def _happening(line: bytes) -> Happening | None:
    value = orjson.loads(line)
    if not isinstance(value, dict):
        raise ValueError("no object")
    kind = KIND_OF.get(value["type"])
    if kind is None:
        return None
    at_s, user, text, count = value["t"], value.get("user", ""), value.get("text", ""), value.get("n", 1)
    if not isinstance(at_s, int | float) or not 0 <= at_s < 1e9:
        raise ValueError(f"no time: t is {at_s!r}"[:80])
    if not isinstance(user, str) or not isinstance(text, str) or not isinstance(count, int):
        raise ValueError("user and text are strings, n is a whole number")
    text = text.strip()[:TEXT_CHARS_MAX]
    if kind in ("danmaku", "gift") and not text:
        return None
    return Happening(float(at_s), kind, user, text, min(max(count, 1), COUNT_MAX))
