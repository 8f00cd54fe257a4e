"""A journal, read back whole and put in order: connections, stays, calls, and what the store says.

Knows the journal's format and the wire's field names, no rule of the room. Everything is plain parsed
JSON: nothing of the server's, not even its decoders, is trusted here.

A *connection* is one WebSocket, a *stay* one time in the room on it (from ``joined`` to ``left`` or the
connection's end), a *person* all connections of one user.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from loadtest import journal

Message = dict[str, Any]

KILL_NOTICED_MS_MAX: Final = 2_000.0  # until the other end of a connection knows that its process is gone


class Item(NamedTuple):
    """What happened on a connection. ``kind``: cmd, down, frame, stall, read."""

    ms: float
    kind: str
    body: Message


@dataclass
class Connection:
    name: str  # file and number: unique in the journal
    user: str
    role: str
    codec: str
    deflate: bool
    opened_ms: float
    items: list[Item] = field(default_factory=list)
    shut_by: str = ""  # leave, eof, abort, server, lost; empty: the journal ends before it does
    shut_code: int = 0
    shut_ms: float = float("inf")

    @property
    def process(self) -> str:
        """The server process, as its ``welcome`` named it."""
        for item in self.items:
            if item.kind == "down" and item.body.get("type") == "welcome":
                return str(item.body.get("process", ""))
        return ""

    @property
    def staff(self) -> bool:
        return self.role != "viewer"

    @property
    def read_to_the_end(self) -> bool:
        """Whether every byte the server wrote has been read."""
        return self.shut_by in ("leave", "eof", "server")


@dataclass
class Stay:
    connection: Connection
    joined: Message
    asked: Message  # the join command
    items: list[Item]  # after ``joined``, up to ``left`` or the connection's end
    ended_ms: float
    left: bool  # by ``left``: everything written to it has been read

    @property
    def whole(self) -> bool:
        return self.left or self.connection.read_to_the_end

    def frames(self) -> Iterator[Item]:
        return (item for item in self.items if item.kind == "frame")


class Call(NamedTuple):
    """One REST call of the audience."""

    ms: float
    method: str
    path: str
    status: int
    answer: Message


class Entry(NamedTuple):
    """One entry of a stream in the store."""

    epoch: int
    number: int
    fields: dict[str, bytes]


class Exit(NamedTuple):
    name: str
    code: int


class Kill(NamedTuple):
    """A server process was killed on purpose: ``name`` as in its ``Exit``, ``process`` as in its welcomes."""

    name: str
    process: str
    ms: float

    def explains(self, ms: float) -> bool:
        """May what was broken off at this instant have been, by this?"""
        return self.ms <= ms <= self.ms + KILL_NOTICED_MS_MAX


@dataclass
class Case:
    meta: Message
    connections: list[Connection]
    calls: list[Call]
    faults: list[Message]
    ends: dict[str, bool]  # audience file -> whole (not partial)
    marks: dict[str, float]
    stream: list[Entry]
    feeds: dict[str, list[Entry]]
    metrics: str
    exits: list[Exit]
    kills: list[Kill] = field(default_factory=list)
    last_words: dict[str, str] = field(default_factory=dict)  # process -> its counters at its end

    @property
    def room(self) -> str:
        return str(self.meta.get("room", ""))

    def kill_of(self, process: str) -> Kill | None:
        return next((kill for kill in self.kills if kill.process == process), None)

    def people(self) -> dict[str, list[Connection]]:
        """By user, the connections in the order they were opened."""
        found: dict[str, list[Connection]] = {}
        for connection in sorted(self.connections, key=lambda c: c.opened_ms):
            found.setdefault(connection.user, []).append(connection)
        return found

    def stays(self) -> list[Stay]:
        return [stay for connection in self.connections for stay in stays_of(connection, self.room)]


def stays_of(connection: Connection, room: str) -> list[Stay]:
    stays: list[Stay] = []
    asked: dict[str, Message] = {}
    current: Stay | None = None
    for item in connection.items:
        kind = item.body.get("type")
        if item.kind == "cmd" and kind == "join":
            asked[item.body["id"]] = item.body
        elif item.kind == "down" and kind == "joined" and item.body.get("room") == room:
            join = asked.get(item.body["id"], {})
            current = Stay(connection, item.body, join, [], connection.shut_ms, False)
            stays.append(current)
            continue
        elif item.kind == "down" and kind == "left" and item.body.get("room") == room and current:
            # By the server's clock: what it composed later was for others.
            current.ended_ms, current.left, current = item.body.get("t", item.ms), True, None
        if current is not None and (item.kind != "frame" or item.body.get("room") == room):
            current.items.append(item)
    return stays


def load(directory: Path) -> Case:
    """Raises ``journal.JournalError`` for what is no journal."""
    case = Case(journal.read_meta(directory), [], [], [], {}, {}, [], {}, "", [])
    for path in journal.audience_files(directory):
        _load_audience(case, path)
    for name, take in ((journal.STORE, _take_store), (journal.EXITS, _take_exit)):
        path = directory / name
        if path.exists():
            for line in journal.read_lines(path):
                if isinstance(line, dict):
                    take(case, line)
    return case


def _load_audience(case: Case, path: Path) -> None:
    blobs: dict[int, Message] = {}
    open_connections: dict[int, Connection] = {}
    case.ends[path.name] = False
    try:
        for line in journal.read_lines(path):
            if isinstance(line, list):
                ms, c, b = line
                open_connections[c].items.append(Item(ms, "frame", blobs[b]))
            else:
                _take_audience(case, path, line, blobs, open_connections)
    except (KeyError, TypeError, ValueError) as error:
        raise journal.JournalError(f"{path.name}: {error!r}") from error


def _take_audience(
    case: Case,
    path: Path,
    line: Message,
    blobs: dict[int, Message],
    connections: dict[int, Connection],
) -> None:
    match line["k"]:
        case "blob":
            blobs[line["b"]] = line["m"]
        case "cmd" | "down" as kind:
            connections[line["c"]].items.append(Item(line["ms"], kind, line["m"]))
        case "stall" | "read" as kind:
            connections[line["c"]].items.append(Item(line["ms"], kind, {}))
        case "open":
            connection = Connection(
                name=f"{path.stem}:{line['c']}",
                user=line["user"],
                role=line["role"],
                codec=line["codec"],
                deflate=line["deflate"],
                opened_ms=line["ms"],
            )
            connections[line["c"]] = connection
            case.connections.append(connection)
        case "shut":
            connection = connections[line["c"]]
            connection.shut_ms, connection.shut_by = line["ms"], line["by"]
            connection.shut_code = line["code"]
        case "call":
            answer = line["answer"] if isinstance(line["answer"], dict) else {}
            case.calls.append(Call(line["ms"], line["method"], line["path"], line["status"], answer))
        case "mark":
            case.marks[line["name"]] = line["ms"]
        case "fault":
            case.faults.append(line)
        case "end":
            case.ends[path.name] = not line["partial"]
        case _:
            pass


def _take_store(case: Case, line: Message) -> None:
    match line["k"]:
        case "stream":
            case.stream.append(_entry(line))
        case "feed":
            case.feeds.setdefault(line["sale"], []).append(_entry(line))
        case "metrics":
            case.metrics += line["text"] + "\n"
        case _:
            pass


def _take_exit(case: Case, line: Message) -> None:
    if line["k"] == "kill":
        case.kills.append(Kill(line["name"], line["process"], line["ms"]))
    elif line["k"] == "counted":
        case.last_words[line["process"]] = line["text"]
    else:
        case.exits.append(Exit(line["name"], line["code"]))


def _entry(line: Message) -> Entry:
    epoch, _, number = line["id"].partition("-")
    fields = {name: journal.unpack_field(text) for name, text in line["fields"].items()}
    return Entry(int(epoch), int(number), fields)
