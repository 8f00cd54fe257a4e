"""critical_gapless: nobody missed, doubled or was told another version of a critical event.

Per person, through all connections: after ``joined``, events come at cursor + 1, + 2, … each equal to
the room's stream at that ``(epoch, offset)``; a snapshot sets the cursor and is allowed on a join that
said so. A resume whose gap the history holds must be answered by replay. At the end everyone present has
reached the stream's last offset.
"""

from __future__ import annotations

from typing import Final

from loadtest.verdict.case import Case, Connection, Message, Stay, stays_of
from loadtest.verdict.room import envelope_of
from loadtest.verdict.tally import Finding, Tally

HISTORY_EVENTS_MIN: Final = 64  # a resume this far behind, in the same epoch, must be replayed


class Cursor:
    """Where one person stands."""

    def __init__(self) -> None:
        self.epoch = 0
        self.offset = 0


def check(case: Case) -> Finding:
    tally = Tally()
    truth = {(e.epoch, e.number): envelope_of(e)["event"] for e in case.stream}
    settled_ms = case.marks.get("settled")
    head = (case.stream[-1].epoch, case.stream[-1].number) if case.stream else (0, 0)
    resumes = 0
    for user, connections in case.people().items():
        cursor = Cursor()
        for stay in _stays(connections, case.room):
            resumes += "offset" in stay.asked
            _follow(tally, user, stay, cursor, truth)
        present = settled_ms is not None and connections[-1].shut_ms >= settled_ms
        if present:
            reached = (cursor.epoch, cursor.offset)
            tally.expect(reached == head, f"{user} ended at {reached}, the stream at {head}")
    tally.remark(f"{resumes} resumes")
    return tally.finding()


def _stays(connections: list[Connection], room: str) -> list[Stay]:
    return [stay for connection in connections for stay in stays_of(connection, room)]


def _follow(
    tally: Tally, user: str, stay: Stay, cursor: Cursor, truth: dict[tuple[int, int], Message]
) -> None:
    joined, asked = stay.joined, stay.asked
    resumed = "offset" in asked and "epoch" in asked
    by_snapshot = joined["mode"] == "snapshot"
    if resumed:
        held = asked["epoch"] == joined["epoch"] and joined["offset"] - asked["offset"] <= HISTORY_EVENTS_MIN
        tally.expect(not (held and by_snapshot), f"{user} resumed {asked['offset']} and got a snapshot")
        cursor.epoch, cursor.offset = asked["epoch"], asked["offset"]
    elif not by_snapshot:
        tally.wrong(f"{user} joined afresh and got no snapshot")
    snapshot_due = by_snapshot
    for item in stay.frames():
        frame = item.body
        if "snapshot" in frame:
            far = frame["snapshot"]["offset"] - cursor.offset > HISTORY_EVENTS_MIN
            tally.expect(snapshot_due or far, f"{user} got a snapshot nobody promised")
            cursor.epoch, cursor.offset = frame["epoch"], frame["snapshot"]["offset"]
            snapshot_due = False
        for envelope in frame.get("critical", ()):
            place = frame["epoch"], envelope["offset"]
            if snapshot_due:
                tally.wrong(f"{user} got event {place} before the snapshot")
            elif place != (cursor.epoch, cursor.offset + 1):
                tally.wrong(f"{user} got event {place} after {(cursor.epoch, cursor.offset)}")
            if place not in truth:
                tally.wrong(f"{user} got event {place}, which the stream does not have")
            else:
                tally.expect(truth[place] == envelope["event"], f"{user} was told another event at {place}")
            cursor.epoch, cursor.offset = place
    if stay.whole:
        missed = joined["offset"] - cursor.offset if joined["epoch"] == cursor.epoch else 0
        tally.expect(missed <= 0, f"{user} was promised offset {joined['offset']}, got {cursor.offset}")
