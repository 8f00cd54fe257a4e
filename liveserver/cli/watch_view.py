"""What ``liveserver watch`` shows, as values: lines for a pipe, a picture for a terminal. Pure: no terminal,
no socket; the server's time is an argument.
"""

from __future__ import annotations

from collections import deque

from rich import box
from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.text import Text

from liveserver.cli.cart_table import sale_words, table
from liveserver.cli.naming import sale_of
from liveserver.cli.parsing import yuan
from protocol import events
from protocol.client.happenings import (
    DanmakuShown,
    Disconnected,
    Dropped,
    Entered,
    Happened,
    Missed,
    Noticed,
    RoomHappening,
    Snapshotted,
    StateChanged,
    Welcomed,
)
from protocol.client.mirror import Mirror
from protocol.types import Danmaku, Sale, Stock

COMMENTS_MAX = 200
COLOURS = ("cyan", "green", "yellow", "blue", "magenta", "bright_red", "bright_cyan", "bright_green")
ROLE_MARKS = {"streamer": "[host] ", "moderator": "[mod] ", "service": "[staff] "}
NARROW_COLUMNS = 100
CART_FRAME_ROWS = 6  # border and padding above and below, the table's head and its rule


def plain(text: str) -> str:
    """Without control characters: what somebody types must not drive somebody else's terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


class Comments:
    """The last comments and gifts, with repeat counts. What is deleted or muted goes."""

    def __init__(self, *, show_ids: bool = False) -> None:
        self._show_ids = show_ids
        self._lines: deque[Danmaku] = deque(maxlen=COMMENTS_MAX)
        self._counts: dict[str, int] = {}

    def take(self, happening: RoomHappening) -> None:
        match happening:
            case Snapshotted(snapshot=snapshot):
                known = {each.danmaku_id for each in self._lines}
                self._lines.extend(each for each in snapshot.recent if each.danmaku_id not in known)
            case DanmakuShown():
                self._lines.extend(happening.danmaku)
                for gift in happening.gifts:
                    text = f"sent {gift.gift} ×{gift.count}"
                    self._lines.append(Danmaku("", gift.user_id, gift.name, text))
                for repeat in happening.repeats:
                    self._counts[repeat.danmaku_id] = repeat.count
            case Happened():
                self._moderate(happening.envelope.event)
            case _:
                return
        self._counts = {
            each.danmaku_id: self._counts[each.danmaku_id]
            for each in self._lines
            if each.danmaku_id in self._counts
        }

    def last(self, most: int) -> list[Text]:
        return [self._text(each) for each in list(self._lines)[-most:]] if most > 0 else []

    def _text(self, danmaku: Danmaku) -> Text:
        colour = COLOURS[sum(danmaku.user_id.encode()) % len(COLOURS)]
        text = Text(ROLE_MARKS.get(danmaku.role, ""), style="bold red", no_wrap=True, overflow="ellipsis")
        text.append(plain(danmaku.name or danmaku.user_id), style=colour)
        text.append(f": {plain(danmaku.text)}", style="default")
        count = self._counts.get(danmaku.danmaku_id, 1)
        if count > 1:
            text.append(f"  ×{count}", style="bold yellow")
        if self._show_ids and danmaku.danmaku_id:
            text.append(f"  {danmaku.danmaku_id}", style="dim")
        return text

    def _moderate(self, event: events.Event) -> None:
        if isinstance(event, events.DanmakuDeleted):
            self._keep([each for each in self._lines if each.danmaku_id != event.danmaku_id])
        elif isinstance(event, events.UserMuted) and event.until_ms > 0:
            self._keep([each for each in self._lines if each.user_id != event.user_id])

    def _keep(self, lines: list[Danmaku]) -> None:
        self._lines = deque(lines, maxlen=COMMENTS_MAX)


def picture(
    mirror: Mirror, comments: Comments, *, connection: str, server_ms: float, width: int, height: int
) -> RenderableType:
    """The whole terminal: a head line, what is explained, comments, the cart."""
    layout = Layout()
    parts = [Layout(_head(mirror, connection), name="head", size=1)]
    explained = mirror.listing(mirror.explaining)
    if explained is not None:
        words = sale_words(sale_of(mirror, explained.listing_id), server_ms)
        prices = " / ".join(f"{each.variant} ¥{yuan(each.price_fen)}".strip() for each in explained.items[:4])
        line = Text(f" {explained.number}  {plain(explained.title)}  ", style="bold")
        line.append(prices, style="red").append(f"  {words}", style="green")
        parts.append(
            Layout(Panel(line, title="讲解 explaining", box=box.ROUNDED, border_style="red"), size=3)
        )
    room_rows = height - sum(part.size or 0 for part in parts)
    body = Layout(name="body")
    cart = Panel(
        table(mirror, server_ms), title=f"小黄车 cart · {len(mirror.listings)}", border_style="yellow"
    )
    if width < NARROW_COLUMNS:
        items = sum(len(each.items) for each in mirror.listings)
        cart_rows = min(CART_FRAME_ROWS + max(1, items), room_rows // 2)
        body.split_column(Layout(_chat(comments, room_rows - cart_rows)), Layout(cart, size=cart_rows))
    else:
        body.split_row(Layout(_chat(comments, room_rows), ratio=2), Layout(cart, ratio=3))
    layout.split_column(*parts, body)
    return layout


def _head(mirror: Mirror, connection: str) -> Text:
    head = Text(f" {mirror.room} ", style="bold white on red", no_wrap=True, overflow="ellipsis")
    head.append(f" {mirror.status} ", style="bold red")
    if mirror.viewers is not None:
        head.append(f"  {mirror.viewers:,} watching", style="default")
    if mirror.likes is not None:
        head.append(f"  ♥ {mirror.likes:,}", style="bright_red")
    return head.append(f"   {connection}", style="green" if connection == "connected" else "yellow")


def _chat(comments: Comments, rows: int) -> RenderableType:
    return Panel(Group(*comments.last(rows - 2)), title="弹幕 danmaku", border_style="cyan")


# -- lines, for a pipe ---------------------------------------------------------------------------------


def lines(happening: RoomHappening, mirror: Mirror) -> list[str]:
    """One line each, in the order they happened; counts are left out (they change all the time)."""
    match happening:
        case Entered():
            how = f"{happening.replayed} events replayed" if happening.mode == "replayed" else "all new"
            return [f"joined {happening.room} at {happening.epoch}-{happening.offset} ({how})"]
        case Snapshotted(snapshot=snapshot):
            listed = [_listing_line("cart", each.listing_id, mirror) for each in snapshot.listings]
            said = [_danmaku_line(each) for each in snapshot.recent]
            return [*listed, *(f"sale {_sale_line(each)}" for each in mirror.sales), *said]
        case DanmakuShown():
            repeated = [f"repeated {each.danmaku_id} ×{each.count}" for each in happening.repeats]
            gifts = [f"gift {plain(each.name)}: {plain(each.gift)} ×{each.count}" for each in happening.gifts]
            return [*(_danmaku_line(each) for each in happening.danmaku), *repeated, *gifts]
        case Happened():
            return [_event_line(happening.envelope.event, mirror)]
        case StateChanged(stock=stock):
            return [f"stock {_stock_line(each)}" for each in stock]
        case Missed():
            return [f"missed {happening.frames} frames"]
        case Dropped():
            return [f"dropped {happening.danmaku_blocks} danmaku blocks unread"]
        case _:
            return []


def session_line(happening: object) -> str:
    """What concerns the connection; empty for what needs no line."""
    match happening:
        case Welcomed(welcome=welcome):
            return f"connected as {welcome.user_id} ({welcome.role})"
        case Disconnected(retry_in_ms=None):
            return f"disconnected ({happening.code}), for good"
        case Disconnected():
            return f"disconnected ({happening.code}), again in {(happening.retry_in_ms or 0) / 1000:.1f} s"
        case Noticed(notice=notice):
            return f"notice {notice.kind}"
        case _:
            return ""


def _event_line(event: events.Event, mirror: Mirror) -> str:
    match event:
        case events.ListingPublished(listing=listing):
            return _listing_line("listed", listing.listing_id, mirror)
        case events.ListingUpdated(listing=listing):
            return _listing_line("updated", listing.listing_id, mirror)
        case events.ListingWithdrawn():
            return f"withdrawn {event.listing_id}"
        case events.CartOrdered():
            return f"cart order {' '.join(str(each.number) for each in mirror.listings)}"
        case events.ExplainingStarted():
            return _listing_line("explaining", event.listing_id, mirror)
        case events.ExplainingStopped():
            return "explaining nothing"
        case events.SaleOpened(sale=sale):
            return f"sale opened {_sale_line(sale)}"
        case events.SaleSoldOut(stock=stock):
            return f"sold out {_stock_line(stock)}"
        case events.SaleRestocked(stock=stock):
            return f"restocked {_stock_line(stock)}"
        case events.SaleClosed(stock=stock):
            return f"sale closed {_stock_line(stock)}"
        case events.SaleDetached():
            return f"sale detached {event.sale_id}"
        case events.DanmakuDeleted():
            return f"deleted {event.danmaku_id}"
        case events.UserMuted():
            return f"muted {event.user_id} until {event.until_ms}"
        case events.RoomStatusChanged():
            return f"room {event.status}"


def _danmaku_line(danmaku: Danmaku) -> str:
    mark = ROLE_MARKS.get(danmaku.role, "")
    return (
        f"danmaku {danmaku.danmaku_id} {mark}{plain(danmaku.name or danmaku.user_id)}: {plain(danmaku.text)}"
    )


def _listing_line(verb: str, listing_id: str, mirror: Mirror) -> str:
    listing = mirror.listing(listing_id)
    if listing is None:
        return f"{verb} {listing_id}"
    items = ", ".join(f"{each.variant} ¥{yuan(each.price_fen)}".strip() for each in listing.items)
    return f"{verb} {listing.number} {plain(listing.title)} ({items})"


def _sale_line(sale: Sale) -> str:
    line = f", line of {sale.waitlist}" if sale.waitlist else ""
    return f"{_stock_line(sale.stock)}{line}"


def _stock_line(stock: Stock) -> str:
    units = " ".join(f"{item}={count}" for item, count in stock.available.items())
    return f"{stock.sale_id} {stock.status} {units} at {stock.epoch}-{stock.seq}"
