"""What ``liveserver demo`` shows while the night goes on: a live panel on a terminal, else plain lines.

It knows the audience's progress lines, nothing of processes or servers.
"""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

LINE_EVERY: Final = 4  # progress comes twice a second: a plain line every two seconds
DANMAKU_LINES: Final = 5

Progress = dict[str, Any]


class Screen:
    """A context manager: between enter and exit ``show`` is called with each progress line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=True)
        self._shown = 0
        self._first_danmaku = False
        self._phase = ""

    def __enter__(self) -> Screen:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def show(self, progress: Progress) -> None:
        if self._console.is_terminal:
            self._live.update(_panel(progress))
        else:
            self._plain(progress)

    def _plain(self, progress: Progress) -> None:
        recent = progress.get("recent", [])
        if recent and not self._first_danmaku:
            self._first_danmaku = True
            self.say(f"first danmaku  {recent[-1]}")
        if self._shown % LINE_EVERY == 0 or progress["phase"] != self._phase:
            self._phase = progress["phase"]
            stock = "  ".join(f"{name} {s['available']}/{s['of']}" for name, s in progress["stock"].items())
            self.say(
                f"{progress['phase']:<17} viewers {progress['viewers']:>4}  danmaku {progress['shown']:>5}"
                f" (+{progress['merged']} merged)  reserved {progress['reserved']:>4}"
                f" of {progress['purchases']:>5}  {stock}"
            )
        self._shown += 1


def scenes_line(scenes: dict[str, int]) -> str:
    """What became of orders beside the rush, as far as it has."""
    parts = [
        ("in line", scenes.get("waiting", 0)),
        ("served", scenes.get("served", 0)),
        ("late payments", scenes.get("late_confirmed", 0) + scenes.get("late_refund_due", 0)),
        ("to refund", scenes.get("refund_due", 0) + scenes.get("late_refund_due", 0)),
        ("returned", scenes.get("returned", 0)),
        ("refused by a pause", scenes.get("paused", 0)),
        ("refused by a freeze", scenes.get("frozen", 0)),
    ]
    return ", ".join(f"{times} {what}" for what, times in parts if times)


def _panel(progress: Progress) -> Panel:
    figures = Table.grid(padding=(0, 2))
    p99_ms = progress["p99_ms"]
    figures.add_row(
        Text(f"{progress['viewers']} viewers", "bold"),
        f"{progress['shown']} danmaku shown, {progress['merged']} merged",
        f"{progress['reserved']} of {progress['purchases']} purchases reserved",
        "" if p99_ms is None else f"p99 {p99_ms:.0f} ms",
    )
    bars = Table.grid(padding=(0, 2))
    for name, stock in progress["stock"].items():
        left, of = stock["available"], max(stock["of"], 1)
        word = "sold out" if not left and stock["status"] == "open" else stock["status"]
        bars.add_row(name, ProgressBar(total=of, completed=min(left, of), width=40), f"{left} left", word)
    recent = [Text(line, overflow="ellipsis", no_wrap=True) for line in progress["recent"][-DANMAKU_LINES:]]
    beside = Text(scenes_line(progress.get("scenes", {})), "dim")
    return Panel(
        Group(figures, bars, beside, *recent), title=f"live room: {progress['phase']}", title_align="left"
    )


def summary(figures: dict[str, Any]) -> str:
    """The night in four lines."""
    danmaku, bought = figures["danmaku"], figures["purchases"]
    delivery, listing = figures["delivery_ms"], figures["listing_ms"]
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(bought["outcomes"].items()))
    return "\n".join(
        (
            f"viewers {figures['viewers']}, reconnects {figures['reconnects']}"
            f" ({figures['resumed_by_replay']} resumed by replay),"
            f" {figures['stopped_reading']} stopped reading",
            f"danmaku {danmaku['in']} in, {danmaku['shown']} shown, {danmaku['merged']} merged,"
            f" {danmaku['shed']} shed; delivery p50 {delivery['p50']} ms, p99 {delivery['p99']} ms;"
            f" a listing is on screen within {listing['p99']} ms (p99)",
            f"purchases {bought['asked']} for {bought['units_offered']} units, at most"
            f" {bought['per_second_peak']}/s: {outcomes}",
            f"beside the rushes: {scenes_line(figures['scenes'])}",
        )
    )
