"""Freezes every sale while the switch in the store is on: ``commands.ports.KillSwitch``, and its watch.

Each process looks at the switch every second and freezes what it holds. One of them, whichever has the lease,
goes through all sales of the store, again and again, until a pass finds none left: a sale that slipped in
between the switch and its opener's check is found by the next one. Whoever dies in the middle is followed by
another, from what the store says; what is frozen stays so, and only holders not yet told are told.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import structlog
from redis.asyncio import Redis

from liveserver.commands.freeze_sale import tell_holders
from liveserver.commands.ports import Context
from liveserver.commands.reservations import ledger_errors
from liveserver.stock.port import LedgerError, SaleStatus, StockView, UnknownSaleError
from liveserver.stock.sales import find_sales
from liveserver.store.kill_switch import KillSwitchStore, Thrown
from protocol.errors import CommandError

from .stock_desk import StockDesk
from .store_errors import store_errors
from .tasks import Tasks

LOOK_MS: Final = 1_000
AT_ONCE: Final = 16  # sales being frozen at a time
STALE_MS: Final = 5_000  # a claim whose holders weren't being told for so long was left behind
ON_ITS_WAY_MS: Final = (
    1_000  # a notice leaves with the next tick, or the relay's; killed before, it wasn't told
)
FAILED_MAX: Final = 100  # failures told of one pass

log = structlog.get_logger(__name__)


class KillSwitch:
    def __init__(self, store: KillSwitchStore, desk: StockDesk, tasks: Tasks, client: Redis) -> None:
        self._store = store
        self._desk = desk
        self._tasks = tasks
        self._client = client  # to find the sales
        self._now = asyncio.Event()
        self._telling: set[str] = set()
        self._at_once = asyncio.Semaphore(AT_ONCE)  # of telling: most of the store's connections stay free
        self.context: Context  # set by ``use``

    def use(self, context: Context) -> None:
        self.context = context

    async def check(self) -> None:
        thrown = await self.read()
        if thrown is not None:
            why = f": {thrown.reason}" if thrown.reason else ""
            raise CommandError("all_frozen", f"{thrown.actor} froze every sale{why}; lift that first")

    async def check_opened(self, sale_id: str) -> None:
        """Behind ``check`` and the opening itself, between which the switch may have been thrown: then the
        new sale is frozen here, and nobody has to find it."""
        thrown = await self.read()
        if thrown is not None:
            with ledger_errors():
                froze = await self._desk.ledger.freeze(
                    sale_id, actor=thrown.actor, command_id=thrown.command_id
                )
            self._desk.observe(froze.view)
            await self.check()

    async def read(self) -> Thrown | None:
        with store_errors(reading=True):
            return await self._store.read()

    async def throw(self, actor: str, reason: str, command_id: str) -> None:
        """On from here on, also after a restart; the sales follow. Thrown twice, it goes through them
        again."""
        with store_errors():
            await self._store.throw(
                at_ms=self.context.clock.now_ms(), actor=actor, command_id=command_id, reason=reason
            )
        self._now.set()

    async def lift(self) -> bool:
        """Sales open again; those that were frozen stay frozen. Whether it was on."""
        with store_errors():
            return await self._store.lift()

    async def watch(self) -> None:
        """Until cancelled, which is safe at any point."""
        while True:
            try:
                await self.beat()
            except CommandError:
                pass  # the store is away, and sells nothing
            except Exception:
                log.exception("freezing every sale failed, in a way nobody foresaw")
            await self._next()

    async def _next(self) -> None:
        waking = asyncio.create_task(self._now.wait())
        sleeping = asyncio.create_task(self.context.clock.sleep_ms(LOOK_MS))
        try:
            await asyncio.wait({waking, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._now.clear()
            waking.cancel()
            sleeping.cancel()

    async def beat(self) -> None:
        """One look at the switch, and what follows from it."""
        thrown = await self.read()
        if thrown is None:
            return
        with store_errors(), contextlib.suppress(_Overtaken):
            await self._freeze_all(thrown, self._desk.sales())
            if not thrown.done and await self._store.lease(self.context.process):
                await self._pass(thrown)

    async def _pass(self, thrown: Thrown) -> None:
        """Through all sales of the store. Done, when none was left to freeze and everybody was told."""
        sales = await find_sales(self._client)
        frozen, failed = await self._freeze_all(thrown, sales, leased=True)
        done = not frozen and not failed and not await self._store.claims()
        await self._store.report(frozen=0, failed=failed, done=done)
        if done:
            log.warning("every sale is frozen", sales=len(sales), actor=thrown.actor)

    async def _freeze_all(
        self, thrown: Thrown, sales: list[str], *, leased: bool = False
    ) -> tuple[int, list[str]]:
        """(how many this very call froze, what failed: sale and why). Lifted meanwhile, it freezes the
        ``AT_ONCE`` under way and no more: nothing thaws a sale."""
        frozen, failed = 0, list[str]()
        for start in range(0, len(sales), AT_ONCE):
            now = await self._store.read()
            if now is None or now.command_id != thrown.command_id:
                raise _Overtaken
            if leased and not await self._store.lease(self.context.process):
                raise _Overtaken
            portion = sales[start : start + AT_ONCE]
            done = await asyncio.gather(*(self._try(thrown, sale_id) for sale_id in portion))
            failed += [what for what in done if isinstance(what, str)][: FAILED_MAX - len(failed)]
            now_frozen = sum(what is True for what in done)
            if now_frozen:
                frozen += now_frozen
                await self._store.report(frozen=now_frozen, failed=failed, done=False)
        return frozen, failed

    async def _try(self, thrown: Thrown, sale_id: str) -> bool | str:
        try:
            return await self._freeze(thrown, sale_id)
        except UnknownSaleError:
            return False
        except LedgerError as error:
            log.error("a sale could not be frozen", sale=sale_id, why=error.code)
            return f"{sale_id}: {error.code}"

    async def _freeze(self, thrown: Thrown, sale_id: str) -> bool:
        """True: this very call froze it."""
        ledger = self._desk.ledger
        view = await ledger.view(sale_id)
        if _is_over(view):
            return False
        now_ms = self.context.clock.now_ms()
        claimed_ms = await self._store.claimed(sale_id)
        if claimed_ms is not None:
            left_behind = now_ms - claimed_ms >= STALE_MS
            if not left_behind:
                return False
        elif view.status is SaleStatus.FROZEN:
            return False  # by somebody else, who told them
        if claimed_ms is None and not await self._store.claim(sale_id, now_ms):
            return False  # another process was faster
        await self._store.still_telling(sale_id, now_ms)
        froze = await ledger.freeze(sale_id, actor=thrown.actor, command_id=thrown.command_id)
        self._desk.observe(froze.view)
        if not froze.changed and claimed_ms is None:
            await self._store.told(sale_id)
            return False
        if sale_id not in self._telling:
            self._telling.add(sale_id)
            if self._tasks.start(self._tell(sale_id), name=f"tell the holders of {sale_id}") is None:
                self._telling.discard(sale_id)  # too much to do: the claim grows stale, and is found
        return froze.changed

    async def _tell(self, sale_id: str) -> None:
        """What is not told by the time we die stays claimed, and is told by whoever finds it."""

        async def told() -> None:
            await self._store.still_telling(sale_id, self.context.clock.now_ms())

        try:
            with store_errors():
                async with self._at_once:
                    await tell_holders(self.context, sale_id, told=told)
                await self.context.clock.sleep_ms(ON_ITS_WAY_MS)
                async with self._at_once:
                    await self._store.told(sale_id)
        except (LedgerError, CommandError) as error:
            log.warning("holders of a frozen sale were not told yet", sale=sale_id, why=error.code)
        finally:
            self._telling.discard(sale_id)


class _Overtaken(Exception):
    """The switch was lifted; or we stood still, and another process goes through the sales now."""


def _is_over(view: StockView) -> bool:
    return view.status is SaleStatus.CLOSED and not any(view.held.values())
