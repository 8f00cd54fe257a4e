"""one_outcome: every command got one answer, and every purchase came to one end.

Every command: on one connection never more replies with its id than it was sent there; exactly as many
where the connection was read to its end. Every purchase ``(user, command id)``:

- two ``reserved`` or ``waiting`` answers name the same reservation, and the later one says ``replayed``;
- the feed has at most one reservation of it, and if it has one, somebody was told (by a reply, or by a
  later lookup), and no refusal was given at or after the grant's seq;
- the last thing known of it is no ``pending``: if all answers were lost or unknown, a lookup says what
  the feed says.

A refusal is not remembered by the server: a resend of a refused command may be granted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from loadtest.verdict.case import Case, Connection, Message
from loadtest.verdict.feed import Held, Sale, fold_all
from loadtest.verdict.tally import Finding, Tally

UNKNOWN = ("pending",)  # outcomes and error codes after which the purchase may have run
GRANTS = ("reserved", "waiting")  # outcomes that name a reservation


@dataclass
class Purchase:
    user: str
    command: Message
    answers: list[Message] = field(default_factory=list)  # outcomes and errors, in time


def check(case: Case) -> Finding:
    tally = Tally()
    for connection in case.connections:
        _one_reply_each(tally, connection)
    sales = fold_all(case)
    for sale in sales.values():
        for law in ("once", "format"):
            for problem in sale.problems[law]:
                tally.wrong(problem)
    looked_up = _lookups(case)
    purchases = _purchases(case)
    for key, purchase in purchases.items():
        bought_in = sales.get(purchase.command["saleId"])
        grants = bought_in.grants.get(key, []) if bought_in else []
        _one_end(tally, purchase, grants, bought_in, looked_up.get(key, []))
    people = case.people()
    for sale in sales.values():
        for key in sale.grants.keys() - purchases.keys():
            if key[0] not in people and case.meta.get("guests"):
                continue  # somebody else's: the feed's laws hold for it all the same
            tally.wrong(f"sale {sale.sale_id}: nobody of the audience sent {key}, yet it was granted")
    return tally.finding()


def _one_reply_each(tally: Tally, connection: Connection) -> None:
    sent = Counter(i.body["id"] for i in connection.items if i.kind == "cmd")
    replied = Counter(
        i.body["id"] for i in connection.items if i.kind == "down" and i.body.get("id") and "id" in i.body
    )
    for command_id, times in sent.items():
        heard = replied.pop(command_id, 0)
        who = f"{connection.user} on {connection.name}: {command_id}"
        tally.expect(heard <= times, f"{who} was sent {times} times and answered {heard} times")
        if heard < times and connection.shut_by == "leave":
            tally.wrong(f"{who} was sent {times} times and answered {heard} times")
    for command_id in replied:
        tally.wrong(f"{connection.user} on {connection.name}: an answer to {command_id}, never sent there")


def _purchases(case: Case) -> dict[tuple[str, str], Purchase]:
    purchases: dict[tuple[str, str], Purchase] = {}
    heard: list[tuple[float, tuple[str, str], Message]] = []
    for connection in case.connections:
        for item in connection.items:
            key = connection.user, item.body.get("id", "")
            if item.kind == "cmd" and item.body.get("type") == "purchase":
                purchases.setdefault(key, Purchase(connection.user, item.body))
            elif item.kind == "down" and item.body.get("type") in ("outcome", "error"):
                heard.append((item.ms, key, item.body))
    for _, key, answer in sorted(heard, key=lambda entry: entry[0]):
        if key in purchases:
            purchases[key].answers.append(answer)
    return purchases


def _lookups(case: Case) -> dict[tuple[str, str], list[Message | None]]:
    """What REST said of a (user, command): a reservation, or None for 404. ``path`` ends in the command
    and names the user, as the audience wrote it down in ``answer``'s ``asked``."""
    found: dict[tuple[str, str], list[Message | None]] = {}
    for call in case.calls:
        asked = call.answer.get("asked")
        if call.method == "GET" and isinstance(asked, dict):
            reservation = call.answer.get("reservation") if call.status == 200 else None
            if call.status in (200, 404):
                found.setdefault((asked["user"], asked["command"]), []).append(reservation)
    return found


def _one_end(
    tally: Tally, purchase: Purchase, grants: list[Held], sale: Sale | None, lookups: list[Message | None]
) -> None:
    who = f"{purchase.user}'s {purchase.command['id']}"
    reserved = [a for a in purchase.answers if a.get("outcome") in GRANTS]
    ids = {(a.get("reservation") or {}).get("reservationId") for a in reserved}
    tally.expect(len(ids) <= 1, f"{who} was told several reservations: {sorted(map(str, ids))}")
    fresh = [a for a in reserved if not a.get("replayed", False)]
    tally.expect(len(fresh) <= 1, f"{who} was told {len(fresh)} times that it was granted just now")
    known_by_lookup = [r for r in lookups if r is not None]
    if grants:
        told = bool(reserved or known_by_lookup)
        tally.expect(told, f"{who} was granted at seq {grants[0].seq} and never heard of it")
        for answer in purchase.answers:
            late = _is_refusal(answer) and answer.get("seq", 0) >= grants[0].seq
            tally.expect(not late, f"{who} was granted at seq {grants[0].seq}, then {answer.get('outcome')}")
        for reservation in known_by_lookup:
            same = sale is not None and sale.grant_of(reservation.get("reservationId", "")) is grants[0]
            tally.expect(same, f"{who}: the lookup says {reservation.get('reservationId')}")
        return
    tally.expect(not known_by_lookup, f"{who}: a lookup knows a reservation the feed does not have")
    settled = any(not _is_unknown(answer) for answer in purchase.answers)
    tally.expect(settled or bool(lookups), f"{who} never came to an end: no answer, and no lookup")


def _is_unknown(answer: Message) -> bool:
    return answer.get("outcome") in UNKNOWN or answer.get("code") in UNKNOWN


def _is_refusal(answer: Message) -> bool:
    outcome = answer.get("outcome")
    return outcome is not None and outcome not in (*GRANTS, *UNKNOWN, "conflict")
