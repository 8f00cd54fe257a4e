"""The second sale of the simulated night: adjusts, a pause, a line, late payments, returns and a freeze.

As little as obeys the wire and the feed as they are written down; who is served when is written out by hand,
so that it shares no rule with what judges it. ``Twist`` bends it where a lie must be told consistently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .night import Night, Person

SALE, BLUE, PINK = "s2", 0, 1
ITEMS = ("blue", "pink")
LIMIT, PLACES = 2, 3
HOLD_MS = 60_000
QUIET_MS = 3_000  # so that whoever was there was there all around an instant


class SecondSale:
    def __init__(self, night: Night, streamer: Person, service: Person) -> None:
        self.night, self.streamer, self.service = night, streamer, service
        self.twist = night.twist
        self.epoch = night.epoch + 1
        self.seq = 0
        self.status = "open"
        self.available = [2, 1]
        self.records: dict[str, list[dict[str, Any]]] = {}  # user -> reservations, as the wire shows them

    def play(self) -> None:
        self.open()
        self.adjust(BLUE, +1, "一箱没拆")
        self.grant("v0", BLUE)
        self.grant("v1", BLUE)
        self.grant("v2", BLUE)
        self.wait("v3", 0)
        self.wait("v4", 1)
        self.wait("v6", 2)
        self.release("v4", 0)
        self.switch("pauseSale", "pause", "paused")
        self.refuse("v8", "paused")
        self.switch("resumeSale", "resume", "open")
        self.confirm("v0", 0, "confirmed")
        self.confirm("v1", 0, "confirmed")
        self.expire("v2", 0)
        if self.twist.grant_past_the_line:
            self.grant("v5", BLUE)
            self.adjust(BLUE, +1, "")
        first, then = ("v6", "v3") if self.twist.overtake else ("v3", "v6")
        self.serve(first, 0)
        self.late("v2", 0, "refund_due")
        self.give_back("v0", 0, limit_back=True)
        if self.twist.keep_from_the_line:
            self.adjust(PINK, +1, "")
        self.serve(then, 0)
        self.give_back("v1", 0, limit_back=False)
        self.refuse("v1", "limit_reached", units=2)
        self.release("v6", 0)
        self.late("v6", 0, "refund_due" if self.twist.refund_wrongly else "confirmed")
        while self.available[BLUE]:
            self.grant("v9", BLUE)
        self.wait("v8", 0)
        self.wait("v8", 1)
        if not self.twist.skip_wrongly:
            self.grant("v8", PINK)
        self.release("v9", 0)
        self.serve("v8", 0)
        self.adjust(BLUE, +1, "")
        self.skip("v8", 1)
        self.freeze()
        self.refuse("v0", "frozen")
        if self.twist.sell_frozen:
            self.grant("v5", BLUE)
        self.night.ms += QUIET_MS
        for user, records in self.records.items():
            for place, record in enumerate(records):
                if record["state"] == "held":
                    self.release(user, place)
        self.close()

    # -- the sale --------------------------------------------------------------------------------------

    def open(self) -> None:
        night = self.night
        items = [{"itemId": item, "stock": n} for item, n in zip(ITEMS, self.available, strict=True)]
        listing = {"listingId": "l2", "title": "杯子", "items": items}
        night.ask(self.streamer, {"type": "publishListing", "room": "r", "listing": listing})
        night.critical({"type": "listingPublished", "listing": {**listing, "number": 2}})
        sale = {"saleId": SALE, "listingId": "l2", "limitPerUser": LIMIT}
        night.ask(self.streamer, {"type": "openSale", "room": "r", **sale, "waitlist": PLACES})
        times = {"opens": int(night.ms), "closes": int(night.ms) + 600_000}
        self.row(
            "open", items="blue=2 pink=1", limit=LIMIT, waitlist=PLACES, hold=HOLD_MS, command="o2", **times
        )
        night.other_stocks.append(self.stock)
        night.critical({"type": "saleOpened", "sale": {**sale, "stock": self.stock()}})

    def adjust(self, item: int, delta: int, reason: str) -> None:
        asked = {"saleId": SALE, "itemId": ITEMS[item], "delta": delta, "reason": reason}
        command = self.done({"type": "adjustStock", **asked})
        self.available[item] += delta
        self.row("adjust", item=item, delta=delta, reason=reason, actor=self.streamer.user, command=command)

    def switch(self, verb: str, kind: str, status: str) -> None:
        command = self.done({"type": verb, "saleId": SALE})
        self.row(kind, actor=self.streamer.user, command=command)
        self.status = status

    def freeze(self) -> None:
        command = self.done({"type": "freezeSale", "saleId": SALE})
        self.row("freeze", reason="ordered", seen="", actor=self.streamer.user, command=command)
        self.status = "frozen"
        for user, records in self.records.items():
            for place, record in enumerate(records):
                if record["state"] == "held":
                    self.notice(user, "reservationFrozen", place)

    def close(self) -> None:
        command = self.done({"type": "closeSale", "saleId": SALE})
        self.row("close", actor=self.streamer.user, command=command)
        self.status = "closed"
        self.night.critical({"type": "saleClosed", "stock": self.stock()})

    # -- buyers ----------------------------------------------------------------------------------------

    def grant(self, user: str, item: int) -> None:
        command, place = self.order(user, item), self.record(user, item, "held")
        self.available[item] -= 1
        self.row("reserve", due=self.due, orders=f"{user} {place} {command} {item}=1")
        self.outcome(user, command, "reserved", reservation=self.shown(user, place, command))

    def wait(self, user: str, ahead: int) -> None:
        command, place = self.order(user, BLUE), self.record(user, BLUE, "waiting")
        self.row("wait", orders=f"{user} {place} {command} {BLUE}=1")
        self.outcome(user, command, "waiting", ahead=ahead, reservation=self.shown(user, place, command))

    def refuse(self, user: str, outcome: str, units: int = 1) -> None:
        self.outcome(user, self.order(user, BLUE, units), outcome)

    def release(self, user: str, place: int) -> None:
        record = self.records[user][place]
        person = self.night.people[user]
        command = self.night.command(person, {"type": "release", "reservationId": record["reservationId"]})
        if record["state"] == "held":
            self.free(record)
        record["state"] = "released"
        self.row("release", reservation=f"{user} {place}", command=command)
        self.night.down(person, {"type": "reservation", "id": command, "reservation": dict(record)})

    def expire(self, user: str, place: int) -> None:
        self.night.ms += HOLD_MS + 1_000
        self.free(self.records[user][place])
        self.records[user][place]["state"] = "expired"
        self.row("expire", reservations=f"{user} {place}")

    def serve(self, user: str, place: int) -> None:
        self.records[user][place]["state"] = "held"
        self.available[BLUE] -= 1
        self.row("serve", due=self.due, reservations=f"{user} {place}")
        self.notice(user, "reservationServed", place)

    def skip(self, user: str, place: int) -> None:
        self.records[user][place]["state"] = "released"
        self.row("skip", reservations=f"{user} {place}")
        self.notice(user, "reservationSkipped", place)

    # -- the order service -----------------------------------------------------------------------------

    def confirm(self, user: str, place: int, state: str) -> None:
        self.told_service(user, place, "confirm", "confirm", state)
        self.notice(user, "reservationConfirmed", place)

    def late(self, user: str, place: int, state: str) -> None:
        had = state == "confirmed"
        if had:
            self.available[BLUE] -= 1
        self.told_service(user, place, "confirm", "confirm_late" if had else "refund_due", state)
        self.notice(user, "reservationConfirmed" if had else "reservationRefundDue", place)

    def give_back(self, user: str, place: int, *, limit_back: bool) -> None:
        self.free(self.records[user][place])
        more = {"limitBack": True} if limit_back else {}
        self.told_service(
            user, place, "return", "return", "returned", more, limit="back" if limit_back else "kept"
        )
        self.notice(user, "reservationReturned", place)

    def told_service(
        self,
        user: str,
        place: int,
        verb: str,
        kind: str,
        state: str,
        more: dict[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        record = self.records[user][place]
        ask = {"type": verb, "reservationId": record["reservationId"], **(more or {})}
        command = self.night.command(self.service, ask)
        self.row(kind, reservation=f"{user} {place}", command=command, **fields)
        record["state"] = state
        answer = {"type": "reservation", "id": command, "reservation": dict(record), "changed": True}
        self.night.down(self.service, answer)

    # -- lines -----------------------------------------------------------------------------------------

    @property
    def due(self) -> int:
        return int(self.night.ms) + HOLD_MS

    def stock(self) -> dict[str, Any]:
        available = dict(zip(ITEMS, self.available, strict=True))
        at = {"saleId": SALE, "epoch": self.epoch, "seq": self.seq}
        return {**at, "status": self.status, "available": available}

    def row(self, kind: str, **fields: Any) -> None:
        self.night.ms += 1
        self.seq += 1
        texts = {name: str(value) for name, value in fields.items()}
        row = {"kind": kind, "first": str(self.seq), "at": str(int(self.night.ms)), **texts}
        self.night.store.write("feed", sale=SALE, id=f"{self.epoch}-{self.seq}", fields=row)

    def done(self, body: dict[str, Any]) -> str:
        command = self.night.command(self.streamer, {**body, "room": "r"})
        self.night.down(self.streamer, {"type": "done", "id": command})
        return command

    def order(self, user: str, item: int, units: int = 1) -> str:
        lines = [{"itemId": ITEMS[item], "quantity": units}]
        return self.night.command(
            self.night.people[user], {"type": "purchase", "room": "r", "saleId": SALE, "lines": lines}
        )

    def record(self, user: str, item: int, state: str) -> int:
        records = self.records.setdefault(user, [])
        name = f"{SALE}~{user}~{len(records)}"
        lines = [{"itemId": ITEMS[item]}]
        records.append({"reservationId": name, "saleId": SALE, "state": state, "lines": lines})
        return len(records) - 1

    def free(self, record: dict[str, Any]) -> None:
        self.available[ITEMS.index(record["lines"][0]["itemId"])] += 1

    def shown(self, user: str, place: int, command: str) -> dict[str, Any]:
        record = self.records[user][place]
        record["commandId"] = command
        return dict(record)

    def outcome(self, user: str, command: str, outcome: str, **more: Any) -> None:
        at = {"saleId": SALE, "epoch": self.epoch, "seq": self.seq}
        answer = {"type": "outcome", "id": command, **at, "outcome": outcome, **more}
        self.night.down(self.night.people[user], answer)

    def notice(self, user: str, kind: str, place: int) -> None:
        shown = dict(self.records[user][place])
        self.night.down(self.night.people[user], {"type": "notice", "kind": kind, "reservation": shown})
