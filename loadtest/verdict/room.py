"""A room folded from what was heard of it: the cart, what is explained, the sales' stock.

The same fold serves for each viewer (snapshots, critical events and state frames as received) and for
the truth (the room's stream as the store has it). Pure; stock is merged by version: the greater
``(epoch, seq)`` wins, always.
"""

from __future__ import annotations

from typing import Any

import msgpack
import orjson

from loadtest.verdict.case import Entry, Message


class Room:
    def __init__(self) -> None:
        self.cart: list[str] = []
        self.listings: dict[str, Message] = {}
        self.explaining = ""
        self.status = "live"
        self.stock: dict[str, Message] = {}  # sale id -> the newest Stock heard
        self.sold_out: dict[str, bool] = {}

    def look(self) -> dict[str, Any]:
        """What every screen must show the same at the end, beside stock."""
        return {
            "cart": [self.listings.get(listing_id) for listing_id in self.cart],
            "explaining": self.explaining,
            "status": self.status,
        }

    def hear_frame(self, frame: Message) -> None:
        """A frame as a client takes it: snapshot, then critical, then state."""
        if "snapshot" in frame:
            self.hear_snapshot(frame["snapshot"])
        for envelope in frame.get("critical", ()):
            self.hear_event(envelope["event"])
        for stock in (frame.get("state") or {}).get("stock", ()):
            self.hear_stock(stock)

    def hear_snapshot(self, snapshot: Message) -> None:
        listings = snapshot.get("listings", [])
        self.cart = [listing["listingId"] for listing in listings]
        self.listings = {listing["listingId"]: listing for listing in listings}
        self.explaining = snapshot.get("explaining", "")
        self.status = snapshot.get("status", "live")
        for sale in snapshot.get("sales", ()):
            self.sold_out[sale["saleId"]] = sale.get("soldOut", False)
            self.hear_stock(sale["stock"])

    def hear_stock(self, stock: Message) -> None:
        known = self.stock.get(stock["saleId"])
        if known is None or version(stock) > version(known):
            self.stock[stock["saleId"]] = stock

    def hear_event(self, event: Message) -> None:
        match event["type"]:
            case "listingPublished" | "listingUpdated":
                listing = event["listing"]
                if listing["listingId"] not in self.listings:
                    self.cart.append(listing["listingId"])
                self.listings[listing["listingId"]] = listing
            case "listingWithdrawn":
                self.listings.pop(event["listingId"], None)
                self.cart = [listing_id for listing_id in self.cart if listing_id != event["listingId"]]
                if self.explaining == event["listingId"]:
                    self.explaining = ""
            case "cartOrdered":
                self.cart = list(event.get("listingIds", []))
            case "explainingStarted":
                self.explaining = event["listingId"]
            case "explainingStopped":
                if self.explaining == event["listingId"]:
                    self.explaining = ""
            case "saleOpened":
                self.sold_out[event["sale"]["saleId"]] = event["sale"].get("soldOut", False)
                self.hear_stock(event["sale"]["stock"])
            case "saleSoldOut" | "saleRestocked" | "saleClosed" as kind:
                stock = event["stock"]
                if kind != "saleClosed":
                    self.sold_out[stock["saleId"]] = kind == "saleSoldOut"
                self.hear_stock(stock)
            case "roomStatus":
                self.status = event["status"]
            case _:
                pass


def version(stock: Message) -> tuple[int, int]:
    return stock["epoch"], stock["seq"]


def stocks_in(frame: Message) -> list[Message]:
    """Every Stock a frame carries, wherever it stands."""
    found: list[Message] = list((frame.get("state") or {}).get("stock", ()))
    found += [sale["stock"] for sale in (frame.get("snapshot") or {}).get("sales", ())]
    for envelope in frame.get("critical", ()):
        event = envelope["event"]
        if "stock" in event:
            found.append(event["stock"])
        elif "sale" in event:
            found.append(event["sale"]["stock"])
    return found


def envelope_of(entry: Entry) -> Message:
    """A stream entry as the envelope viewers get: JSON or msgpack in the field ``payload``.

    Raises ``ValueError`` for what is neither."""
    payload = entry.fields["payload"]
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError:
        value = msgpack.unpackb(payload)
    if not isinstance(value, dict):
        raise ValueError(f"entry {entry.epoch}-{entry.number} is no envelope")
    return value if "event" in value else {"offset": entry.number, "event": value}
