"""A sale's feed, decoded and folded: the counters after every single change.

Written from the feed's published description alone; it shares no code with the server. The fold never
stops at something wrong: it notes it under one of ``LAWS`` and goes on, so that each check can report its
own law and the others stay readable.

    join     rows follow each other without a gap, (epoch, seq) rising
    balance  stock + adjusts = available + held + confirmed, nothing negative, at every change
    window   nothing is reserved or paid late before the opening or after the close, nothing reserved in a
             pause, nothing confirmed after a freeze; no hold ends at a wrong moment
    once     a (user, command) is granted at most once; an end is applied only in the states it is for
    limit    one user's units, held, confirmed or returned without giving the limit back, never exceed it
    line     who waits is served in turn, and nobody is granted what others wait for
    format   a row that can't be read; or of a rebuild, which this judge doesn't follow
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from loadtest.verdict.case import Case, Entry

LAWS: Final = ("join", "balance", "window", "once", "limit", "line", "format")

Ref = tuple[str, int]  # user, place

REBUILT: Final = frozenset({"rebuild", "recover", "correct", "reopen"})  # nobody rebuilds in mid-night
ROW_CHANGES_MAX: Final = 128
NOT_JUDGED: Final = "a rebuilt sale is proved by `liveserver ledger verify`, and not here"


@dataclass
class Held:
    """A reservation as the feed tells it."""

    user: str
    place: int
    command: str
    lines: dict[str, int]  # item id -> units
    due_ms: int
    seq: int  # of its grant
    state: str = "held"

    @property
    def units(self) -> int:
        return sum(self.lines.values())


@dataclass
class Sale:
    """A folded feed. ``at[seq]`` is the available units per item right after that change."""

    sale_id: str
    items: list[str] = field(default_factory=list)
    limit: int = 0
    waitlist: int = 0
    opens_ms: int = 0
    closes_ms: int = 0
    epoch: int = 0
    seq: int = 0
    closed: bool = False
    frozen: bool = False
    paused: bool = False
    initial: dict[str, int] = field(default_factory=dict)
    adjusted: dict[str, int] = field(default_factory=dict)
    available: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    confirmed: dict[str, int] = field(default_factory=dict)
    units_by_user: dict[str, int] = field(default_factory=dict)
    counted: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # user -> (seq, units from there)
    reservations: dict[Ref, Held] = field(default_factory=dict)
    grants: dict[tuple[str, str], list[Held]] = field(default_factory=dict)  # (user, command)
    line: dict[str, list[Ref]] = field(default_factory=dict)  # item id -> who waits for it, in order
    waited_at: dict[int, frozenset[str]] = field(default_factory=dict)  # seq -> items somebody waits for
    at: dict[int, dict[str, int]] = field(default_factory=dict)
    epoch_at: dict[int, int] = field(default_factory=dict)
    seen_seq: int = 0  # the last change a viewer can see: of available, or of the status
    problems: dict[str, list[str]] = field(default_factory=lambda: {law: [] for law in LAWS})

    def available_at(self, epoch: int, seq: int) -> dict[str, int] | None:
        """None: the feed has no such instant. A new epoch begins where the last one stood."""
        if seq not in self.at or self.epoch_at[seq] > epoch or epoch < 1:
            return None
        return self.at[seq]

    def units_at(self, user: str, seq: int) -> int:
        """What counted against the user's limit right after that change."""
        steps = self.counted.get(user, [])
        place = bisect_right(steps, seq, key=lambda step: step[0])
        return steps[place - 1][1] if place else 0

    def grant_of(self, reservation_id: str) -> Held | None:
        """By the id clients see: ``sale~user~place``."""
        sale_id, _, rest = reservation_id.partition("~")
        user, _, place = rest.rpartition("~")
        if sale_id != self.sale_id or not place.isdigit():
            return None
        return self.reservations.get((user, int(place)))

    def _wrong(self, law: str, what: str) -> None:
        self.problems[law].append(f"sale {self.sale_id} seq {self.seq}: {what}")


Before = Callable[[Sale, dict[str, str]], None]


def fold_all(case: Case) -> dict[str, Sale]:
    return {sale_id: fold(sale_id, entries) for sale_id, entries in case.feeds.items()}


def fold(sale_id: str, entries: Iterable[Entry], before: Before | None = None) -> Sale:
    """``before`` sees the sale as it stood, and the row that comes."""
    sale = Sale(sale_id)
    for entry in entries:
        try:
            row = {name: value.decode() for name, value in entry.fields.items()}
            if before is not None:
                before(sale, row)
            _row(sale, entry, row)
        except (KeyError, ValueError, IndexError) as error:
            sale._wrong("format", f"row {entry.epoch}-{entry.number} can't be read: {error!r}")
    return sale


def _row(sale: Sale, entry: Entry, row: dict[str, str]) -> None:
    first, at_ms = int(row["first"]), int(row["at"])
    if first != sale.seq + 1 or entry.number < first or entry.epoch < max(sale.epoch, 1):
        sale._wrong(
            "join", f"the next row covers {first}..{entry.number} of epoch {entry.epoch}, was {sale.epoch}"
        )
    sale.epoch, sale.seq = entry.epoch, first - 1
    match row["kind"]:
        case "open":
            _open(sale, row)
        case "reserve":
            for order in row["orders"].split("\n"):
                _reserve(sale, order, int(row["due"]), at_ms)
        case "wait":
            for order in row["orders"].split("\n"):
                _wait(sale, order, at_ms)
        case "serve" | "skip" as kind:
            for ref in row["reservations"].split("\n"):
                _serve(sale, ref, int(row["due"]) if kind == "serve" else None, at_ms)
        case "confirm" | "release" as kind:
            _end(sale, row["reservation"], kind, at_ms)
        case "confirm_late" | "refund_due" | "return" as kind:
            _afterwards(sale, row, kind, at_ms)
        case "expire":
            for ref in row["reservations"].split("\n"):
                _end(sale, ref, "expire", at_ms)
        case "adjust":
            item, delta = sale.items[int(row["item"])], int(row["delta"])
            sale.adjusted[item] += delta
            _step(sale, {item: delta}, {}, {})
        case "close" | "freeze" | "pause" | "resume" as kind:
            sale.closed, sale.frozen = sale.closed or kind == "close", sale.frozen or kind == "freeze"
            sale.paused = kind == "pause" or (sale.paused and kind != "resume")
            _step(sale, {}, {}, {})
            sale.seen_seq = sale.seq
        case kind if kind in REBUILT:
            sale._wrong("format", f"row {entry.epoch}-{entry.number} is a {kind}: {NOT_JUDGED}")
            for _ in range(min(entry.number - sale.seq, ROW_CHANGES_MAX)):
                _step(sale, {}, {}, {})
            sale.frozen = sale.frozen and kind != "reopen"
        case other:
            raise ValueError(f"unknown kind {other!r}")
    if sale.seq != entry.number:
        sale._wrong("join", f"the row says it ends at {entry.number}")
        sale.seq = entry.number


def _open(sale: Sale, row: dict[str, str]) -> None:
    if sale.items:
        sale._wrong("once", "opened twice")
    stock = {item: int(units) for item, units in (pair.split("=") for pair in row["items"].split(" "))}
    sale.items = list(stock)
    sale.initial = dict(stock)
    sale.waitlist = int(row.get("waitlist", "0"))
    sale.line = {item: [] for item in stock}
    sale.limit, sale.opens_ms, sale.closes_ms = int(row["limit"]), int(row["opens"]), int(row["closes"])
    for counters in (sale.available, sale.held, sale.confirmed, sale.adjusted):
        counters.update(dict.fromkeys(stock, 0))
    _step(sale, stock, {}, {})


def _reserve(sale: Sale, order: str, due_ms: int, at_ms: int) -> None:
    held = _order(sale, order, due_ms)
    _step(sale, {item: -n for item, n in held.lines.items()}, held.lines, {})
    if any(sale.line[item] for item in held.lines):
        sale._wrong("line", f"{held.user} was granted what others wait for")
    _remember(sale, held, at_ms)
    _count(sale, held.user, held.units)


def _wait(sale: Sale, order: str, at_ms: int) -> None:
    held = _order(sale, order, 0)
    held.state = "waiting"
    if held.units != 1:
        sale._wrong("line", f"{held.user} waits for {held.units} units")
    else:
        (item,) = held.lines
        if sale.available[item] and not sale.line[item]:
            sale._wrong("line", f"{held.user} waits for {item}, and it is there")
        sale.line[item].append((held.user, held.place))
    if sum(map(len, sale.line.values())) > sale.waitlist:
        sale._wrong("line", f"{held.user} waits beyond {sale.waitlist} places")
    _step(sale, {}, {}, {})
    _remember(sale, held, at_ms)


def _serve(sale: Sale, text: str, due_ms: int | None, at_ms: int) -> None:
    """``due_ms`` None: it is skipped."""
    user, place = text.split(" ")
    held = sale.reservations.get((user, int(place)))
    if held is None or held.state != "waiting":
        sale._wrong("once", f"{text} is served, and it is {held.state if held else 'unknown'}")
        _step(sale, {}, {}, {})
        return
    (item,) = held.lines
    if sale.paused or not _selling(sale, at_ms):
        sale._wrong("window", f"{text} was served outside the sale's window")
    if due_ms is None:
        held.state = "released"
        sale.line[item].remove((user, held.place))
        if not sale.limit:
            sale._wrong("line", f"{text} was skipped, and there is no limit")
        _step(sale, {}, {}, {})
        return
    if sale.line[item][0] != (user, held.place):
        sale._wrong("line", f"{text} was served before {sale.line[item][0]}")
    sale.line[item].remove((user, held.place))
    held.state, held.due_ms = "held", due_ms
    _step(sale, {item: -1}, {item: 1}, {})
    _count(sale, user, 1)


def _order(sale: Sale, order: str, due_ms: int) -> Held:
    user, place, command, text = order.split(" ")
    lines = {
        sale.items[int(number)]: int(quantity)
        for number, quantity in (pair.split("=") for pair in text.split(","))
    }
    return Held(user, int(place), command, lines, due_ms, sale.seq + 1)


def _remember(sale: Sale, held: Held, at_ms: int) -> None:
    """A new reservation, granted or in line."""
    user, command = held.user, held.command
    if sale.paused or not _selling(sale, at_ms):
        sale._wrong("window", f"{user} was granted {command} outside the sale's window")
    if (user, held.place) in sale.reservations:
        sale._wrong("once", f"place {held.place} of {user} was given twice")
    sale.reservations[user, held.place] = held
    grants = sale.grants.setdefault((user, command), [])
    grants.append(held)
    if len(grants) > 1:
        sale._wrong("once", f"{user} was granted {command} twice")


def _selling(sale: Sale, at_ms: int) -> bool:
    return not (sale.closed or sale.frozen) and sale.opens_ms <= at_ms < sale.closes_ms


def _count(sale: Sale, user: str, more: int) -> None:
    """Units against the user's limit."""
    units = sale.units_by_user[user] = sale.units_by_user.get(user, 0) + more
    sale.counted.setdefault(user, []).append((sale.seq, units))
    if sale.limit and units > sale.limit:
        sale._wrong("limit", f"{user} has {units} units, the limit is {sale.limit}")


def _end(sale: Sale, text: str, kind: str, at_ms: int) -> None:
    user, place = text.split(" ")
    held = sale.reservations.get((user, int(place)))
    if held is not None and held.state == "waiting" and kind == "release":
        (item,) = held.lines
        sale.line[item].remove((user, held.place))
        held.state = "released"
        _step(sale, {}, {}, {})
        return
    if held is None or held.state != "held":
        sale._wrong("once", f"{kind} of {text}, which is {held.state if held else 'unknown'}")
        _step(sale, {}, {}, {})
        return
    if (at_ms < held.due_ms) == (kind == "expire"):
        sale._wrong("window", f"{kind} of {text} at {at_ms}, due {held.due_ms}")
    gone = {item: -n for item, n in held.lines.items()}
    if kind == "confirm":
        if sale.frozen:
            sale._wrong("window", f"{text} was confirmed in a frozen sale")
        held.state = "confirmed"
        _step(sale, {}, gone, held.lines)
    else:
        held.state = "expired" if kind == "expire" else "released"
        _step(sale, held.lines, gone, {})
        _count(sale, user, -held.units)


AFTERWARDS: Final = {  # kind -> the states it is for, the state it leads to
    "confirm_late": (("expired", "released"), "confirmed"),
    "refund_due": (("expired", "released"), "refund_due"),
    "return": (("confirmed",), "returned"),
}


def _afterwards(sale: Sale, row: dict[str, str], kind: str, at_ms: int) -> None:
    """What happens to a reservation that is no longer held."""
    user, place = row["reservation"].split(" ")
    held = sale.reservations.get((user, int(place)))
    states, after = AFTERWARDS[kind]
    if held is None or held.state not in states:
        sale._wrong("once", f"{kind} of {user} {place}, which is {held.state if held else 'unknown'}")
        _step(sale, {}, {}, {})
        return
    if kind == "confirm_late" and any(sale.line[item] for item in held.lines):
        sale._wrong("line", f"{user} {place} was confirmed late, and others wait")
    held.state = after
    gone = {item: -n for item, n in held.lines.items()}
    if kind == "confirm_late":
        _step(sale, gone, {}, held.lines)
        if not _selling(sale, at_ms):
            sale._wrong("window", f"{user} {place} was confirmed late outside the sale's window")
        _count(sale, user, held.units)
    elif kind == "return":
        if row["limit"] not in ("back", "kept"):
            raise ValueError(f"limit {row['limit']!r}")
        _step(sale, held.lines, {}, gone)
        if row["limit"] == "back":
            _count(sale, user, -held.units)
    else:
        _step(sale, {}, {}, {})


def _step(sale: Sale, available: dict[str, int], held: dict[str, int], confirmed: dict[str, int]) -> None:
    """One change: one seq."""
    sale.seq += 1
    counters = ((sale.available, available), (sale.held, held), (sale.confirmed, confirmed))
    for counter, deltas in counters:
        for item, delta in deltas.items():
            counter[item] += delta
            if counter[item] < 0:
                sale._wrong("balance", f"item {item} stands at {counter[item]}")
    for item in sale.items:
        owned = sale.available[item] + sale.held[item] + sale.confirmed[item]
        if owned != sale.initial[item] + sale.adjusted[item]:
            sale._wrong("balance", f"item {item}: {owned} units of {sale.initial[item]} + adjusts")
    if available:
        sale.seen_seq = sale.seq
    sale.at[sale.seq] = dict(sale.available)
    sale.waited_at[sale.seq] = frozenset(item for item, line in sale.line.items() if line)
    sale.epoch_at[sale.seq] = sale.epoch
