"""Is a sale what its feed says? The feed is folded, and everything kept beside it is compared.

It only reads, in bounded pages, and works while the sale is selling: every page of ``audit.lua`` tells, of
one instant, the counters, where the feed ends, and some buyers or entries of the due index or of the line;
the fold goes on to just that end before it is compared. So no page is held against another moment's truth.

What holds: a buyer or a due entry that stood from the first page to the last has been compared (so promise
HSCAN and ZSCAN), and whoever the feed knew before the first page and no page showed is missing.

Not compared: the memory of adjusts' command ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from liveserver.stock import compare
from liveserver.stock.compare import Finding
from liveserver.stock.feed import PAGE_ROWS, read_entries
from liveserver.stock.fold import BrokenLawError, Fold, Law
from liveserver.stock.rows import parse_row
from liveserver.stock.scripts import AUDIT, feed_key, keys_of

PAGE: Final = 500  # buyers or due entries; Measured: 0.4 ms of the store's time a page, one record a buyer
FINDINGS_MAX: Final = 20

Comparison = Callable[[Fold, Mapping[str, str]], Iterable[Finding]]


class Progress(msgspec.Struct, frozen=True):
    part: str  # rows, buyers, holds, places in line
    done: int
    total: int  # about


class Report(msgspec.Struct, frozen=True):
    """``findings`` is empty if every law holds. An entry of the feed that breaks one is the last finding:
    nothing after it was read."""

    sale_id: str
    epoch: int
    seq: int  # everything before it was checked, and everything beside the feed at it or a little before
    rows: int
    buyers: int
    reservations: int
    initial: dict[str, int]  # by item id, as the feed folds
    adjusted: dict[str, int]
    available: dict[str, int]
    held: dict[str, int]
    confirmed: dict[str, int]
    findings: list[Finding]


async def audit(
    client: Redis, sale_id: str, *, on_progress: Callable[[Progress], None] = lambda progress: None
) -> Report:
    """Raises redis-py's exceptions. Safe to cancel. Memory: the sale's buyers and reservations."""
    work = _Audit(client, sale_id, on_progress)
    try:
        await work.run()
    except BrokenLawError as error:
        work.note([Finding(error.where, error.law, error.text)])
    return work.report()


class _Audit:
    def __init__(self, client: Redis, sale_id: str, on_progress: Callable[[Progress], None]) -> None:
        self._client = client
        self._sale_id = sale_id
        self._on_progress = on_progress
        self._fold = Fold()
        self._rows_total = 0
        self._findings: dict[tuple[str, Law], Finding] = {}  # a counter that is wrong is wrong on each page

    async def run(self) -> None:
        self._rows_total = await self._client.xlen(feed_key(self._sale_id))
        await self._page("", b"0")
        await self._buyers()
        await self._due()
        await self._line()

    def note(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            if len(self._findings) >= FINDINGS_MAX:
                return
            self._findings.setdefault((finding.where, finding.law), finding)

    def report(self) -> Report:
        fold = self._fold
        ids = [item.item_id for item in fold.spec.items] if fold.spec is not None else []
        return Report(
            sale_id=self._sale_id,
            epoch=fold.epoch,
            seq=fold.seq,
            rows=fold.rows,
            buyers=len(fold.buyers),
            reservations=sum(1 for _ in fold.reservations()),
            initial=dict(zip(ids, fold.initial, strict=True)),
            adjusted=dict(zip(ids, fold.adjusted, strict=True)),
            available=dict(zip(ids, fold.available, strict=True)),
            held=dict(zip(ids, fold.held, strict=True)),
            confirmed=dict(zip(ids, fold.confirmed, strict=True)),
            findings=list(self._findings.values()),
        )

    async def _buyers(self) -> None:
        unseen = set(self._fold.buyers)
        cursor, done = b"0", 0
        while True:
            cursor, page = await self._page("buyers", cursor)
            self.note(compare.buyers(self._fold, page))
            unseen.difference_update(page)
            done += len(page)
            self._tell("buyers", done, len(self._fold.buyers))
            if cursor == b"0":
                break
        self.note(Finding(f"buyers {user}", Law.BUYER, "is missing") for user in sorted(unseen))

    async def _due(self) -> None:
        unseen = compare.due_members(self._fold)
        await self._index("due", "holds", compare.due, unseen)
        stranded = sorted(unseen & compare.due_members(self._fold))
        text = "is missing: its holds never end"
        self.note(Finding(f"due {member}", Law.DUE_INDEX, text) for member in stranded)

    async def _line(self) -> None:
        unseen = set(compare.line_members(self._fold))
        await self._index("line", "places in line", compare.line, unseen)
        lost = sorted(unseen & set(compare.line_members(self._fold)))
        text = "is missing: it is never served"
        self.note(Finding(f"line {member}", Law.LINE_INDEX, text) for member in lost)

    async def _index(self, what: str, part: str, held_against: Comparison, unseen: set[str]) -> None:
        """Every page of a sorted set; takes what was seen out of ``unseen``."""
        cursor, done, total = b"0", 0, len(unseen)
        while True:
            cursor, page = await self._page(what, cursor)
            self.note(held_against(self._fold, page))
            unseen.difference_update(page)
            done += len(page)
            self._tell(part, done, total)
            if cursor == b"0":
                return

    async def _page(self, what: str, cursor: bytes) -> tuple[bytes, dict[str, str]]:
        """One page, and the fold at its very instant, compared with its counters."""
        reply: Any = await AUDIT.call(self._client, keys_of(self._sale_id), (what, cursor, PAGE))
        meta, (last, _, following, page) = _pairs(reply[0]), reply[1:]
        if last:
            epoch, seq = map(int, last.split(b"-"))
            await self._fold_until((epoch, seq))
        if not meta or not last:
            gone = (
                "the feed is gone" if meta else "the counters are gone" if last else "there is no such sale"
            )
            raise BrokenLawError("feed" if meta else "meta", Law.MISSING, gone)
        written, ends = f"{meta.get('epoch')}-{meta.get('seq')}", f"{self._fold.epoch}-{self._fold.seq}"
        if written != ends or last.decode() != ends:
            raise BrokenLawError("meta seq", Law.POSITION, f"is {written}, by the feed {last.decode()}")
        self.note(compare.counters(self._fold, meta))
        self.note(compare.terms(self._fold, meta))
        self.note(compare.status(self._fold, meta))
        return following, _pairs(page)

    async def _fold_until(self, until: tuple[int, int]) -> None:
        """Up to and including the row ``until``; bounded by it however fast the sale sells."""
        after = self._fold.epoch, self._fold.seq
        while after < until:
            entries = await read_entries(self._client, self._sale_id, after=after, until=until)
            for entry_id, fields in entries:
                try:
                    row = parse_row(self._sale_id, entry_id, fields)
                except ValueError as error:
                    kind = "unknown kind" in str(error)
                    law = Law.UNKNOWN_KIND if kind else Law.FORMAT
                    raise BrokenLawError(entry_id.decode(), law, str(error)) from error
                self._fold.take(row)
                after = row.epoch, row.last
            self._tell("rows", self._fold.rows, self._rows_total)
            if len(entries) < PAGE_ROWS:
                return

    def _tell(self, part: str, done: int, total: int) -> None:
        self._on_progress(Progress(part, done, max(done, total)))


def _pairs(flat: list[bytes]) -> dict[str, str]:
    """What a reply lists as key, value, key, value."""
    texts = [text.decode("utf-8", "replace") for text in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))
