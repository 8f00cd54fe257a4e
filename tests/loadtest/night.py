"""A night of twelve viewers and one sale, played by a tiny pure simulator that writes a journal.

It is not the server: it is the shortest thing that obeys the wire and the feed as they are written down,
so that a journal of it is right, and every tampering of it is wrong in exactly one known way. ``Twist``
bends the simulator itself where the lie must be told consistently (a unit too many, a hold forgotten).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from loadtest.journal import EXITS, META, STORE, JournalWriter, read_lines, write_meta

from .second_sale import SecondSale

ROOM, SALE, ITEM = "r", "s1", "red:M"
START_MS = 1_767_000_000_000
AUDIENCE = "audience.jsonl"


@dataclass(frozen=True)
class Twist:
    """How the simulated server itself is wrong."""

    stock_granted: int = 4  # it grants this many of 4
    forget_expiry: bool = False
    limit_kept: bool = True
    grant_twice: bool = False
    # of the second sale
    refund_wrongly: bool = False
    overtake: bool = False
    grant_past_the_line: bool = False
    keep_from_the_line: bool = False
    skip_wrongly: bool = False
    sell_frozen: bool = False


@dataclass
class Person:
    user: str
    codec: str = "json"
    role: str = "viewer"
    c: int = 0
    cursor: int = 0
    n: int = 0
    seen_state: bool = True
    connected: bool = False
    paused: bool = False


@dataclass
class Night:
    directory: Path
    twist: Twist = field(default_factory=Twist)
    ms: float = START_MS
    people: dict[str, Person] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.journal = JournalWriter(self.directory, AUDIENCE)
        self.store = JournalWriter(self.directory, STORE)
        self.exits = JournalWriter(self.directory, EXITS)
        self.events: list[dict[str, Any]] = []
        self.n = self.seq = self.serial = self.connections = 0
        self.epoch = START_MS
        self.available, self.held, self.confirmed = 0, 0, 0
        self.places: dict[str, int] = {}
        self.holds: dict[str, list[str]] = {}  # command id -> user and place, one each unless twisted
        self.law = dict.fromkeys(("offered", "written", "merged", "sampled", "paused", "closed"), 0)
        self.critical_law = dict.fromkeys(("advanced", "written", "replayed", "covered"), 0)
        self.other_stocks: list[Callable[[], dict[str, Any]]] = []
        self.journal.write("begin", process="audience", wallMs=self.ms)

    # -- connections -----------------------------------------------------------------------------------

    def join(self, user: str, *, role: str = "viewer") -> Person:
        codec = "json" if len(self.people) % 2 else "msgpack"
        person = self.people.setdefault(user, Person(user, codec, role))
        resumed = person.c > 0
        self.connections += 1
        person.c, person.connected = self.connections, True
        self.write("open", person, user=user, role=role, codec=person.codec, deflate=False)
        self.down(person, {"type": "welcome", "id": "", "process": "p1", "userId": user, "role": role})
        place = {"epoch": self.epoch, "offset": person.cursor} if resumed else {}
        join_id = self.command(person, {"type": "join", "room": ROOM, **place})
        behind = len(self.events) - person.cursor
        mode = {"mode": "replayed", "replayed": behind} if resumed else {"mode": "snapshot"}
        head = {"epoch": self.epoch, "offset": len(self.events)}
        self.down(person, {"type": "joined", "id": join_id, "room": ROOM, "n": self.n, **head, **mode})
        person.n = self.n
        if resumed:
            self.catch_up(person, "replayed")
        else:
            person.cursor = len(self.events)
            self.frame([person], {"epoch": self.epoch, "snapshot": self.snapshot(), "state": self.state()})
        return person

    def cut(self, user: str, by: str = "eof") -> None:
        person = self.people[user]
        person.connected = person.paused = False
        self.write("shut", person, by=by, code=1006 if by != "leave" else 1000)

    def stall(self, user: str) -> None:
        self.people[user].paused = True
        self.write("stall", self.people[user])

    def read_again(self, user: str) -> None:
        person = self.people[user]
        person.paused = False
        self.write("read", person)
        self.catch_up(person, "replayed")
        self.frame([person], {"state": self.state()})

    # -- what the server says --------------------------------------------------------------------------

    def critical(self, event: dict[str, Any]) -> None:
        self.events.append({"offset": len(self.events) + 1, "atMs": int(self.ms), "event": event})
        fields = {"command": f"c{len(self.events)}", "payload": orjson.dumps(self.events[-1]).decode()}
        self.store.write("stream", room=ROOM, id=f"{self.epoch}-{len(self.events)}", fields=fields)
        for person in self.reading():
            self.catch_up(person, "written")

    def catch_up(self, person: Person, fate: str) -> None:
        missing = self.events[person.cursor :]
        if missing:
            self.frame([person], {"epoch": self.epoch, "critical": missing})
        self.critical_law["advanced"] += len(missing)
        self.critical_law[fate] += len(missing)
        person.cursor = len(self.events)

    def tick(self, comments: list[tuple[str, str]], *, merged: int = 0, shed: int = 0) -> None:
        """One danmaku block and the stock, to everybody who reads."""
        self.ms += 100
        self.n += 1
        rows = []
        for user, text in comments:
            self.serial += 1
            rows.append([f"d{self.serial}", user, user, text])
            sender = self.people[user]
            if sender.connected:
                sent = self.command(sender, {"type": "danmaku", "room": ROOM, "text": text})
                receipt = {"room": ROOM, "fate": "shown", "danmakuId": rows[-1][0]}
                self.down(sender, {"type": "receipt", "id": sent, **receipt})
        shown = len(rows)
        block: dict[str, Any] = {
            "offered": shown + merged + shed,
            "merged": merged,
            "shed": shed,
            "danmaku": rows,
        }
        listed = [person for person in self.people.values() if person.connected]
        self.frame(self.reading(), {"n": self.n, "danmaku": block, "state": self.state()})
        paused = len(listed) - len(self.reading())
        self.law["offered"] += block["offered"] * len(listed)
        self.law["merged"] += merged * len(listed)
        self.law["sampled"] += shed * len(listed)
        self.law["written"] += shown * (len(listed) - paused)
        self.law["paused"] += shown * paused

    def frame(self, people: list[Person], parts: dict[str, Any]) -> None:
        frame = {"type": "frame", "room": ROOM, "t": int(self.ms), "head": len(self.events), **parts}
        for person in people:
            payload = person.codec.encode() + orjson.dumps(frame)
            self.journal.received(self.ms, person.c, payload, frame)

    def state(self) -> dict[str, Any]:
        others = [stock() for stock in self.other_stocks]
        return {"version": int(self.ms), "stock": [self.stock(), *others] if self.seq else []}

    def stock(self) -> dict[str, Any]:
        status = "closed" if self.closed else "open"
        at = {"saleId": SALE, "epoch": self.epoch, "seq": self.seq, "status": status}
        return {**at, "available": {ITEM: self.available}}

    def snapshot(self) -> dict[str, Any]:
        known = [e["event"] for e in self.events]
        listings = [e["listing"] for e in known if e["type"] == "listingPublished"]
        explaining = [e["listingId"] for e in known if e["type"] == "explainingStarted"]
        sales = [{**e["sale"], "stock": self.stock()} for e in known if e["type"] == "saleOpened"]
        started = {"explaining": explaining[-1]} if explaining else {}
        return {"offset": len(self.events), "listings": listings, "sales": sales, **started}

    # -- the sale --------------------------------------------------------------------------------------

    closed = False

    def row(self, kind: str, changes: int = 1, **fields: Any) -> None:
        first, self.seq = self.seq + 1, self.seq + changes
        texts = {name: str(value) for name, value in fields.items()}
        row = {"kind": kind, "first": str(first), "at": str(int(self.ms)), **texts}
        self.store.write("feed", sale=SALE, id=f"{self.epoch}-{self.seq}", fields=row)

    def open_sale(self, streamer: Person, stock: int = 4) -> None:
        item = {"itemId": ITEM, "priceFen": 990, "stock": stock}
        listing = {"listingId": "l1", "title": "T恤", "items": [item]}
        self.ask(streamer, {"type": "publishListing", "room": ROOM, "listing": listing})
        self.critical({"type": "listingPublished", "listing": {**listing, "number": 1}})
        self.ask(streamer, {"type": "startExplaining", "room": ROOM, "listingId": "l1"})
        self.critical({"type": "explainingStarted", "listingId": "l1"})
        sale = {"saleId": SALE, "listingId": "l1", "limitPerUser": 1}
        self.ask(streamer, {"type": "openSale", "room": ROOM, **sale})
        times = {"opens": int(self.ms), "closes": int(self.ms) + 600_000}
        self.row("open", items=f"{ITEM}={stock}", limit=1, hold=1000, command="o1", **times)
        self.available = stock
        self.critical({"type": "saleOpened", "sale": {**sale, "stock": self.stock()}})

    def purchase(self, user: str, command_id: str, attempt: int = 0) -> str:
        person = self.people[user]
        order = {"saleId": SALE, "lines": [{"itemId": ITEM}], "attempt": attempt}
        self.command(person, {"type": "purchase", "room": ROOM, **order}, command_id)
        again = command_id in self.holds
        over = self.places.get(user, 0) >= 1 and self.twist.limit_kept
        short = self.held + self.confirmed >= self.twist.stock_granted
        answer: dict[str, Any] = {"type": "outcome", "id": command_id, "saleId": SALE, "epoch": self.epoch}
        if not again and (over or short):
            refusal = "limit_reached" if over else "sold_out"
            self.down(person, {**answer, "outcome": refusal, "seq": self.seq})
            return refusal
        if not again or self.twist.grant_twice:
            place = self.places.get(user, 0)
            self.places[user] = place + 1
            self.available, self.held = self.available - 1, self.held + 1
            due = int(self.ms) + 1000
            self.row("reserve", due=due, orders=f"{user} {place} {command_id} 0=1")
            self.holds.setdefault(command_id, []).append(f"{user} {place}")
        ref = self.holds[command_id][-1]
        held = {"reservationId": f"{SALE}~{ref.replace(' ', '~')}", "saleId": SALE, "commandId": command_id}
        reservation = {**held, "state": "held", "lines": [{"itemId": ITEM}], "expiresAtMs": 0}
        told = {"outcome": "reserved", "seq": self.seq, "reservation": reservation}
        self.down(person, {**answer, **told, **({"replayed": True} if again else {})})
        return "reserved"

    def confirm(self, service: Person, command_id: str, ref: str) -> None:
        reservation_id = f"{SALE}~{ref.replace(' ', '~')}"
        sent = self.command(service, {"type": "confirm", "reservationId": reservation_id})
        self.row("confirm", reservation=ref, command=sent)
        self.held, self.confirmed = self.held - 1, self.confirmed + 1
        held = {"reservationId": reservation_id, "saleId": SALE, "commandId": command_id}
        reservation = {**held, "state": "confirmed", "lines": [{"itemId": ITEM}], "expiresAtMs": 0}
        answer = {"id": sent, "reservation": reservation, "changed": True}
        self.down(service, {"type": "reservation", **answer})

    def pay_all(self, service: Person, *, but: str = "") -> None:
        for command_id in [each for each in self.holds if each != but]:
            for ref in self.holds.pop(command_id):
                self.confirm(service, command_id, ref)

    def expire(self, command_id: str) -> None:
        self.ms += 2000
        ref = self.holds.pop(command_id)[0]
        if not self.twist.forget_expiry:
            self.row("expire", reservations=ref)
            self.available, self.held = self.available + 1, self.held - 1

    def close_sale(self, streamer: Person) -> None:
        self.ask(streamer, {"type": "closeSale", "room": ROOM, "saleId": SALE})
        self.row("close", actor=streamer.user, command="x1")
        self.closed = True
        self.critical({"type": "saleClosed", "stock": self.stock()})

    # -- lines -----------------------------------------------------------------------------------------

    def reading(self) -> list[Person]:
        return [p for p in self.people.values() if p.connected and not p.paused]

    def command(self, person: Person, body: dict[str, Any], command_id: str = "") -> str:
        self.serial += 1
        command_id = command_id or f"{person.user}.{self.serial}"
        self.write("cmd", person, m={**body, "id": command_id})
        return command_id

    def ask(self, person: Person, body: dict[str, Any]) -> None:
        sent = self.command(person, body)
        self.down(person, {"type": "done", "id": sent})

    def down(self, person: Person, body: dict[str, Any]) -> None:
        self.write("down", person, m={**body, "t": int(self.ms)})

    def write(self, kind: str, person: Person, **fields: Any) -> None:
        self.ms += 1
        self.journal.write(kind, ms=self.ms, c=person.c, **fields)

    def end(self) -> None:
        self.ms += 100
        self.journal.write("mark", ms=self.ms, name="settled")
        for user, person in self.people.items():
            if person.connected:
                self.cut(user, "leave")
        self.journal.write("end", ms=self.ms, partial=False)
        state = {"updates": 40, "written": 30, "superseded": 10, "paused": 0, "closed": 0}
        lines = [
            f'liveserver_{lane}_units_total{{fate="{fate}"}} {float(value)}'
            for lane, law in (("danmaku", self.law), ("critical", self.critical_law), ("state", state))
            for fate, value in law.items()
        ]
        lines.append(f"liveserver_handshakes_accepted_total {float(self.connections)}")
        self.store.write("metrics", text="\n".join(lines))
        for name in ("server", "audience"):
            self.exits.write("exit", name=name, code=0)
        write_meta(self.directory, {"version": 1, "room": ROOM, "seed": 1})
        for writer in (self.journal, self.store, self.exits):
            writer.close()


def play(directory: Path, twist: Twist = Twist()) -> Path:
    """Two resumes (one by a cut that loses nothing), a stall, a resend, a refusal, one who never pays and
    whose unit sells again; then the second sale."""
    night = Night(directory, twist)
    streamer, service = night.join("eve", role="streamer"), night.join("pay", role="service")
    viewers = [f"v{i}" for i in range(10)]
    for user in viewers[:8]:
        night.join(user)
    night.tick([("v1", "多少钱"), ("v2", "链接")], merged=2, shed=1)
    night.open_sale(streamer)
    for user in viewers[8:]:
        night.join(user)
    night.stall("v7")
    night.tick([("v3", "扣1")])
    night.purchase("v0", "b-v0")
    night.purchase("v0", "b-v0", attempt=1)
    night.purchase("v0", "b-v0-more")
    for user in ("v1", "v2", "v3", "v4"):
        night.purchase(user, f"b-{user}")
    night.cut("v5")
    night.critical({"type": "saleSoldOut", "stock": night.stock()})
    night.tick([("v4", "没抢到")], merged=1)
    night.read_again("v7")
    night.pay_all(service, but="b-v2")
    night.expire("b-v2")
    night.purchase("v6", "b-v6")
    night.join("v5")
    night.pay_all(service)
    night.tick([("v0", "买到了"), ("v6", "888"), ("v1", "888")])
    night.close_sale(streamer)
    SecondSale(night, streamer, service).play()
    night.tick([("eve", "谢谢大家")])
    night.end()
    return directory


Lines = list[Any]


def rewrite(directory: Path, name: str, change: Callable[[Lines], Lines | None]) -> None:
    """``change`` mutates the file's lines, or returns others."""
    path = directory / name
    lines: Lines = list(read_lines(path))
    lines = change(lines) or lines
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))


__all__ = ["AUDIENCE", "EXITS", "META", "STORE", "Lines", "Night", "Twist", "play", "rewrite"]
