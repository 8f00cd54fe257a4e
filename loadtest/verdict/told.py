"""What people and the order service were told of reservations, and what they had asked for.

A notice goes at most once, and only to who is there: ``told_once`` demands it of whoever stood in the room,
reading, all around the instant. (A process killed just then may have taken the notice along.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from loadtest.verdict.broadcasts import NOTICED_MS_MAX, stalled_over
from loadtest.verdict.case import Case, Message, Stay
from loadtest.verdict.tally import Tally

RESERVATIONS: Final = "/v1/reservations/"


@dataclass(frozen=True)
class Ask:
    """The order service's confirm or return of one reservation, with what it came to."""

    reservation_id: str
    limit_back: bool
    states: tuple[str, ...]  # as answered, in time; an error's code where it was one

    @property
    def done(self) -> bool:
        return "returned" in self.states


def answers_of(case: Case) -> list[Message]:
    """Every reservation as an answer to somebody's command or call showed it."""
    found = [
        item.body["reservation"]
        for connection in case.connections
        for item in connection.items
        if item.kind == "down" and item.body.get("type") == "reservation"
    ]
    for call in case.calls:
        shown = call.answer.get("reservation", call.answer)
        if call.method == "POST" and call.status == 200 and isinstance(shown, dict):
            found.append(shown)
    return found


def outcomes_of(case: Case, outcome: str) -> Iterator[tuple[str, Message, Message]]:
    """Buyer, order and answer of each purchase answered so. The order is empty where it was never sent."""
    orders = {
        (connection.user, sent.body["id"]): sent.body
        for connection in case.connections
        for sent in connection.items
        if sent.kind == "cmd" and sent.body.get("type") == "purchase"
    }
    for connection in case.connections:
        for heard in connection.items:
            if heard.kind == "down" and heard.body.get("outcome") == outcome:
                yield connection.user, orders.get((connection.user, heard.body["id"]), {}), heard.body


def confirms_asked(case: Case) -> list[Ask]:
    return _asked(case, "confirm")


def returns_asked(case: Case) -> list[Ask]:
    return _asked(case, "return")


def _asked(case: Case, verb: str) -> list[Ask]:
    """By reservation, over socket and REST."""
    limits: dict[str, bool] = {}
    states: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for connection in case.connections:
        of_command: dict[str, str] = {}
        for item in connection.items:
            body = item.body
            if item.kind == "cmd" and body.get("type") == verb:
                of_command[body["id"]] = body["reservationId"]
                limits[body["reservationId"]] = body.get("limitBack", False)
            elif item.kind == "down" and body.get("id") in of_command:
                word = body["reservation"]["state"] if body["type"] == "reservation" else body.get("code", "")
                states[of_command[body["id"]]].append((item.ms, word))
    for call in case.calls:
        reservation_id, _, last = call.path.removeprefix(RESERVATIONS).rpartition("/")
        if call.method != "POST" or last != verb or not call.path.startswith(RESERVATIONS):
            continue
        shown = call.answer.get("reservation", call.answer)
        limits[unquote(reservation_id)] = bool(call.answer.get("asked", {}).get("limitBack", False))
        if isinstance(shown, dict):
            word = shown.get("state", "") if call.status == 200 else shown.get("code", "")
            states[unquote(reservation_id)].append((call.ms, word))
    return [
        Ask(reservation_id, limit_back, tuple(word for _, word in sorted(states[reservation_id])))
        for reservation_id, limit_back in limits.items()
    ]


class Notices:
    """The personal notices everybody heard, and who could have heard one."""

    def __init__(self, case: Case) -> None:
        self._guests = bool(case.meta.get("guests"))
        self._kills = case.kills
        self._heard: dict[tuple[str, str, str], int] = defaultdict(int)  # user, kind, reservation id
        self._stays: dict[str, list[Stay]] = defaultdict(list)
        for stay in case.stays():
            self._stays[stay.connection.user].append(stay)
        for connection in case.connections:
            for item in connection.items:
                if item.kind == "down" and item.body.get("type") == "notice" and "reservation" in item.body:
                    reservation_id = item.body["reservation"]["reservationId"]
                    self._heard[connection.user, item.body["kind"], reservation_id] += 1

    def of(self, kind: str) -> set[tuple[str, str]]:
        """(user, reservation id) of every notice of this kind."""
        return {(user, reservation_id) for user, said, reservation_id in self._heard if said == kind}

    def told_once(self, tally: Tally, user: str, kind: str, reservation_id: str, at_ms: float) -> None:
        """Never twice; and once, where the user was there from ``NOTICED_MS_MAX`` before to after."""
        if user not in self._stays and self._guests:
            return
        times = self._heard[user, kind, reservation_id]
        least = 1 if self._was_there(user, at_ms) else 0
        tally.expect(least <= times <= 1, f"{user} was told {kind} of {reservation_id} {times} times")

    def _was_there(self, user: str, at_ms: float) -> bool:
        from_ms, to_ms = at_ms - NOTICED_MS_MAX, at_ms + NOTICED_MS_MAX
        if any(from_ms <= kill.ms <= to_ms for kill in self._kills):
            return False  # the process that was to tell it may be the one that was killed
        return any(
            stay.joined["t"] < at_ms and stay.ended_ms > to_ms and not stalled_over(stay, from_ms, to_ms)
            for stay in self._stays.get(user, ())
        )
