"""Who is in the room: viewers, buyers, one streamer. Each command is one row of the statistics.

A row's name is the command, its type how it ended: ``ok`` or the reply's own word (``reserved``,
``sold_out``, ``shown``); a failure is ``refused`` (with the error's code) or ``unknown`` (no answer in time,
or the connection was lost: it may have been carried out).
"""

from __future__ import annotations

import itertools
import random
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

from gevent import GreenletExit
from locust import User, task
from locust.contrib.fasthttp import FastHttpSession

from loadtest.locust.live import Live, NoSession
from loadtest.locust.tokens import Mint
from protocol.client.errors import CommandRefused, LiveError, NotConnected, OutcomeUnknown
from protocol.client.mirror import Mirror
from protocol.client.pending import raised
from protocol.commands import (
    AdjustStock,
    Command,
    Like,
    OpenSale,
    Ping,
    PublishListing,
    Purchase,
    Release,
    SendDanmaku,
    StartExplaining,
)
from protocol.replies import PurchaseOutcome, Receipt, Reply
from protocol.types import ItemDraft, ListingDraft, OrderLine, Role, Sale

PATH: Final = "/v1/live"
TEXTS: Final = (
    "多少钱",
    "666",
    "来了来了",
    "还有货吗",
    "包邮吗",
    "好看",
    "什么时候发货",
    "链接几号",
    "冲",
    "已拍",
)
TAPS_MAX: Final = 14  # Measured in recorded rooms: 7.6 taps a like on average
PENDING_TRIES_MAX: Final = 3
ITEM: Final = "jar"
SALE_S: Final = 600  # then the streamer opens the next: a buyer has 64 reservations in one sale
ADDED_UNITS: Final = 1_000

_serial = itertools.count()


class LiveUser(User):
    """Comes into the room at its start, and stays."""

    abstract = True
    host = "http://127.0.0.1:8080"
    role = Role.VIEWER
    mint: Mint  # set once per process, by the locustfile

    live: Live
    mirror: Mirror

    def on_start(self) -> None:
        token = self.mint(self.role, getattr(self.environment.runner, "worker_index", 0), next(_serial))
        self.live = Live(_live_url(str(self.host)), token, self._lost)
        self.room: str = self.options.room
        self._timed("connect", self.live.open)
        self.mirror = self._timed("join", lambda: self.live.join(self.room))

    def on_stop(self) -> None:
        if hasattr(self, "live"):
            self.live.close()

    def wait_time(self) -> float:
        return random.uniform(0.5, 1.5) * float(self.options.pace)

    @property
    def options(self) -> Any:
        return self.environment.parsed_options

    def ask(self, command: Command) -> Reply | None:
        """Its reply, or None for a failure; either is in the statistics."""
        name, began = str(type(command).__struct_config__.tag), time.perf_counter()
        try:
            reply, payload_bytes = self.live.ask(command)
        except CommandRefused as error:
            self._count("refused", name, began, error=LiveError(f"{error.code} {error.field}".strip()))
        except OutcomeUnknown as error:
            self._count("unknown", name, began, error=LiveError(error.why))
        except NotConnected:
            self._count("unsent", name, began, error=LiveError("there was no connection"))
        else:
            self._count(_ended(reply), name, began, payload_bytes)
            return reply
        return None

    # -- inside ----------------------------------------------------------------------------------------

    def _timed(self, name: str, step: Callable[[], Any]) -> Any:
        """A step without which there is no user: its failure is counted, and ends him."""
        began = time.perf_counter()
        try:
            result = step()
        except NoSession as error:
            self._count("refused", name, began, error=error)
            raise GreenletExit from None
        self._count("ok", name, began)
        return result

    def _lost(self, code: int) -> None:
        self._count("lost", "connection", time.perf_counter(), error=LiveError(f"closed {code}"))

    def _count(
        self, how: str, name: str, began: float, payload_bytes: int = 0, error: Exception | None = None
    ) -> None:
        self.environment.events.request.fire(
            request_type=how,
            name=name,
            response_time=(time.perf_counter() - began) * 1_000,
            response_length=payload_bytes,
            exception=error,
            context=self.context(),
        )


class Viewer(LiveUser):
    """Watches, likes now and then, comments less often (likes to comments 0.81 : 0.37, as recorded)."""

    weight = 89

    @task(81)
    def like(self) -> None:
        self.ask(Like(id=self.live.new_id(), room=self.room, count=random.randint(1, TAPS_MAX)))

    @task(37)
    def comment(self) -> None:
        self.ask(SendDanmaku(id=self.live.new_id(), room=self.room, text=random.choice(TEXTS)))

    @task(10)
    def ping(self) -> None:
        self.ask(Ping(id=self.live.new_id()))


class Buyer(LiveUser):
    """Looks at the sale's page, and buys; gives back what he holds before he buys again, so that a run can go
    on for ever. Looks to purchases 5.5 : 2.3, buyers to viewers (5.5 + 2.3) : 89."""

    weight = 8

    def on_start(self) -> None:
        super().on_start()
        self.http = FastHttpSession(str(self.host), self.environment.events.request, self, insecure=False)
        self.holds: list[str] = []

    @task(55)
    def look(self) -> None:
        sale = self._sale()
        if sale is not None:
            self.http.get(f"/v1/sales/{sale.sale_id}", name="/v1/sales/ID")

    @task(23)
    def buy(self) -> None:
        sale, listing = self._sale(), None
        if sale is not None:
            listing = self.mirror.listing(sale.listing_id)
        if sale is None or listing is None:
            return
        while self.holds:
            self.ask(Release(id=self.live.new_id(), reservation_id=self.holds.pop()))
        line = OrderLine(item_id=random.choice(listing.items).item_id)
        command: Command = Purchase(id=self.live.new_id(), room=self.room, sale_id=sale.sale_id, lines=[line])
        for _ in range(PENDING_TRIES_MAX):
            reply = self.ask(command)
            if not isinstance(reply, PurchaseOutcome):
                return
            if reply.outcome == "reserved" and reply.reservation is not None:
                self.holds.append(reply.reservation.reservation_id)
            if reply.outcome != "pending":
                return
            command = raised(command)  # unknown: the same one again tells

    def _sale(self) -> Sale | None:
        now_ms = self.live.server_ms()
        running = [
            sale
            for sale in self.mirror.sales
            if sale.opens_at_ms <= now_ms < sale.closes_at_ms and not sale.detached
        ]
        return random.choice(running) if running else None


class Streamer(LiveUser):
    """One in all: lists a product, opens sales of it one after the other, talks, restocks."""

    fixed_count = 1
    role = Role.STREAMER

    def on_start(self) -> None:
        super().on_start()
        boot = secrets.token_hex(4)
        self.listing_id = f"locust-{boot}"
        self.sale_id = ""
        self._sales = 0
        self._over_s = 0.0
        items = [ItemDraft(item_id=ITEM, price_fen=1_990, stock=int(self.options.units))]
        draft = ListingDraft(listing_id=self.listing_id, title="辣椒油", line="今晚秒杀", items=items)
        self.ask(PublishListing(id=self.live.new_id(), room=self.room, listing=draft))
        self._open()

    @task(5)
    def explain(self) -> None:
        self._open_if_over()
        self.ask(StartExplaining(id=self.live.new_id(), room=self.room, listing_id=self.listing_id))

    @task(3)
    def talk(self) -> None:
        self._open_if_over()
        self.ask(SendDanmaku(id=self.live.new_id(), room=self.room, text="家人们看一号链接"))

    @task(2)
    def restock(self) -> None:
        self._open_if_over()
        self.ask(
            AdjustStock(
                id=self.live.new_id(),
                room=self.room,
                sale_id=self.sale_id,
                item_id=ITEM,
                delta=ADDED_UNITS,
                reason="补货",
            )
        )

    def _open_if_over(self) -> None:
        if time.monotonic() >= self._over_s:
            self._open()

    def _open(self) -> None:
        self._sales += 1
        self.sale_id = f"{self.listing_id}-{self._sales}"
        self._over_s = time.monotonic() + SALE_S
        self.ask(
            OpenSale(
                id=self.live.new_id(),
                room=self.room,
                sale_id=self.sale_id,
                listing_id=self.listing_id,
                duration_ms=SALE_S * 1_000,
                shelf=True,
            )
        )


def _ended(reply: Reply) -> str:
    if isinstance(reply, PurchaseOutcome):
        return reply.outcome
    if isinstance(reply, Receipt):
        return str(reply.fate)
    return "ok"


def _live_url(host: str) -> str:
    """``http://shop:8080`` → ``ws://shop:8080/v1/live``; a ``ws://`` address is taken as it stands."""
    scheme, _, rest = host.rstrip("/").partition("://")
    if scheme in ("ws", "wss"):
        return f"{scheme}://{rest}" if "/" in rest else f"{scheme}://{rest}{PATH}"
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest}{PATH}"
