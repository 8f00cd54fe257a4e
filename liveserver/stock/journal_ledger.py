"""A ledger that notes in a journal what it answers, before whoever asked hears of it.

Between the hub and the ledger proper, and of the same port, so neither knows of it. What is noted: every
reservation told to a buyer (bought now or before, served in line), each end asked for, and each order given
to a sale. Not noted: refusals, which promise nothing, and what time alone ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from liveserver.core.clock import Clock
from liveserver.stock.journal import Journal, Opened, Ordered, told
from liveserver.stock.port import (
    Change,
    Froze,
    Ledger,
    Order,
    Reservation,
    SaleSpec,
    StockView,
    Swept,
    Verdict,
)


class JournalLedger:
    """Implements ``port.Ledger``. Cancelled: as the ledger inside; what nobody was told may be missing."""

    def __init__(
        self,
        inner: Ledger,
        journal: Journal,
        clock: Clock,
        *,
        on_lined: Callable[[list[Reservation]], None] | None = None,
    ) -> None:
        """``on_lined`` hears what the ledger inside tells ``lined``, once it is noted."""
        self._inner = inner
        self._journal = journal
        self._clock = clock
        self._on_lined = on_lined
        self._lined: dict[str, list[Reservation]] = {}  # told, and not noted yet

    def lined(self, reservations: list[Reservation]) -> None:
        """The ledger inside says who was served in line, or skipped. Noted when its call is over, which is
        when the ``(epoch, seq)`` is known; after a call that is refused, with the next one."""
        for one in reservations:
            self._lined.setdefault(one.sale_id, []).append(one)

    def _note_lined(self, view: StockView) -> None:
        lined = self._lined.pop(view.sale_id, None)
        if lined:
            at_ms = self._clock.now_ms()
            self._journal.append([told(one, view.epoch, view.seq, at_ms) for one in lined])
            if self._on_lined is not None:
                self._on_lined(lined)

    async def open(self, spec: SaleSpec, *, command_id: str) -> StockView:
        view = await self._inner.open(spec, command_id=command_id)
        self._journal.append([Opened(view.epoch, view.seq, self._clock.now_ms(), command_id, spec)])
        return view

    def learn(self, view: StockView) -> None:
        self._inner.learn(view)

    async def reserve(self, sale_id: str, orders: Sequence[Order]) -> tuple[list[Verdict], StockView]:
        verdicts, view = await self._inner.reserve(sale_id, orders)
        if self._lined:
            self._note_lined(view)
        at_ms = self._clock.now_ms()
        facts = [
            told(verdict.reservation, verdict.epoch, verdict.seq, at_ms)
            for verdict in verdicts
            if verdict.reservation is not None
        ]
        if facts:
            self._journal.append(facts)
        return verdicts, view

    async def confirm(self, reservation_id: str, *, command_id: str) -> Change:
        return self._changed(await self._inner.confirm(reservation_id, command_id=command_id))

    async def release(self, reservation_id: str, *, command_id: str, user_id: str | None = None) -> Change:
        change = await self._inner.release(reservation_id, command_id=command_id, user_id=user_id)
        return self._changed(change)

    async def return_order(self, reservation_id: str, *, command_id: str, limit_back: bool) -> Change:
        change = await self._inner.return_order(reservation_id, command_id=command_id, limit_back=limit_back)
        return self._changed(change, limit_kept=change.changed and not limit_back)

    def _changed(self, change: Change, *, limit_kept: bool = False) -> Change:
        view, at_ms = change.view, self._clock.now_ms()
        self._note_lined(view)
        fact = told(change.reservation, view.epoch, view.seq, at_ms, limit_kept=limit_kept)
        self._journal.append([fact])
        return change

    async def expire(self, sale_id: str) -> Swept:
        swept = await self._inner.expire(sale_id)
        self._note_lined(swept.view)
        return swept

    async def adjust(
        self, sale_id: str, item_id: str, delta: int, *, actor: str, reason: str, command_id: str
    ) -> StockView:
        view = await self._inner.adjust(
            sale_id, item_id, delta, actor=actor, reason=reason, command_id=command_id
        )
        return self._ordered(view, "adjust", command_id, actor, item_id, delta, reason)

    async def pause(self, sale_id: str, *, actor: str, command_id: str) -> StockView:
        view = await self._inner.pause(sale_id, actor=actor, command_id=command_id)
        return self._ordered(view, "pause", command_id, actor)

    async def resume(self, sale_id: str, *, actor: str, command_id: str) -> StockView:
        view = await self._inner.resume(sale_id, actor=actor, command_id=command_id)
        return self._ordered(view, "resume", command_id, actor)

    async def freeze(self, sale_id: str, *, actor: str, command_id: str) -> Froze:
        froze = await self._inner.freeze(sale_id, actor=actor, command_id=command_id)
        self._ordered(froze.view, "freeze", command_id, actor)
        return froze

    async def close(self, sale_id: str, *, actor: str, command_id: str) -> StockView:
        view = await self._inner.close(sale_id, actor=actor, command_id=command_id)
        return self._ordered(view, "close", command_id, actor)

    def _ordered(
        self,
        view: StockView,
        kind: str,
        command_id: str,
        actor: str,
        item_id: str = "",
        delta: int = 0,
        reason: str = "",
    ) -> StockView:
        at_ms = self._clock.now_ms()
        self._note_lined(view)
        fact = Ordered(
            view.epoch, view.seq, at_ms, view.sale_id, kind, command_id, actor, item_id, delta, reason
        )
        self._journal.append([fact])
        return view

    async def held(self, sale_id: str) -> list[Reservation]:
        return await self._inner.held(sale_id)

    async def view(self, sale_id: str) -> StockView:
        return await self._inner.view(sale_id)

    async def terms(self, sale_id: str) -> SaleSpec:
        return await self._inner.terms(sale_id)

    async def lookup(self, sale_id: str, user_id: str, command_id: str) -> Reservation | None:
        return await self._inner.lookup(sale_id, user_id, command_id)

    async def reservation(self, reservation_id: str) -> Reservation:
        return await self._inner.reservation(reservation_id)

    async def reservations_of(self, sale_id: str, user_id: str) -> list[Reservation]:
        return await self._inner.reservations_of(sale_id, user_id)

    async def reservations_of_each(self, sale_id: str, user_ids: Sequence[str]) -> list[list[Reservation]]:
        return await self._inner.reservations_of_each(sale_id, user_ids)
