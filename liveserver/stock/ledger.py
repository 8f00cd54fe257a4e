"""The ledger on Valkey or Redis: the port, carried by the scripts in ``lua/``.

Knows how to call the scripts, what this process has seen of each sale, and what an error means. Doesn't
know the rules of a sale (the scripts do), nor who asks.

What holds: no call is ever repeated unless its refusal says that nothing was done; every call carries
this process's fences (epoch, highest seq seen, run id, its idea of now, the last ms it may act), so a
store that lost something, went back in time or answers too late is noticed by the script itself.

A coroutine that is cancelled may have run or not; the connection it used is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Final, TypeVar

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from liveserver.core.clock import Clock
from liveserver.stock import checks, limits, scripts
from liveserver.stock.durability import Promise
from liveserver.stock.durable_call import DurableCalls
from liveserver.stock.ids import ReservationRef, parse_reservation_id, reservation_id
from liveserver.stock.packed import (
    SaleFacts,
    pack_items,
    pack_order,
    parse_told,
    parse_value,
)
from liveserver.stock.port import (
    BelowHeldError,
    Change,
    Durability,
    Froze,
    LedgerPendingError,
    LedgerUnavailableError,
    Line,
    Order,
    Outcome,
    Reservation,
    ReservationState,
    SaleClosedError,
    SaleConflictError,
    SaleFrozenError,
    SaleSpec,
    SaleStatus,
    StockView,
    Swept,
    TooManyAdjustsError,
    UnknownItemError,
    UnknownReservationError,
    UnknownSaleError,
    Verdict,
    WrongStateError,
)
from liveserver.stock.transitions import ANSWERED, End
from liveserver.valkey.connect import CONNECTIONS_MAX
from liveserver.valkey.scripts import Script

T = TypeVar("T")
log = structlog.get_logger(__name__)

ACT_WITHIN_MS: Final = 2_000  # Guess: past this a call refuses itself, and a lookup is final
OTHERS_AT_ONCE: Final = CONNECTIONS_MAX * 3 // 4  # calls that are no purchases; the rest stays for those
PROMISE_NOTHING: Final = Promise()
ATTEMPTS_MAX: Final = 5  # each but the last after a refusal that changes what we send

_RESERVED: Final = 16  # reserve.lua: 16 + place
_CODES: Final = {
    1: Outcome.SOLD_OUT,
    2: Outcome.LIMIT_REACHED,
    3: Outcome.NOT_STARTED,
    4: Outcome.PAUSED,
    5: Outcome.FROZEN,
    6: Outcome.CLOSED,
    7: Outcome.CONFLICT,
}

Arguments = Callable[[SaleFacts], Sequence[str | int]]


def _nothing(_: SaleFacts) -> Sequence[str | int]:
    return ()


class ValkeyLedger:
    """Implements ``port.Ledger``. ``on_expired`` hears of holds found due by a purchase, a confirm or a
    release of this process (``expire`` answers its own). ``on_lined`` hears of whoever was served
    in line (``held``) or skipped, having reached his limit (``released``), by any call of this process."""

    def __init__(
        self,
        client: Redis,
        clock: Clock,
        *,
        act_within_ms: int = ACT_WITHIN_MS,
        promise: Promise = PROMISE_NOTHING,
        on_expired: Callable[[list[Reservation]], None] | None = None,
        on_lined: Callable[[list[Reservation]], None] | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._act_within_ms = act_within_ms
        self._on_expired = on_expired
        self._on_lined = on_lined
        self._others = asyncio.Semaphore(OTHERS_AT_ONCE)
        self._durable = DurableCalls(client, promise)
        self._facts: dict[str, SaleFacts] = {}
        self._seen: dict[str, tuple[int, int]] = {}

    # The port

    async def open(self, spec: SaleSpec, *, command_id: str) -> StockView:
        checks.check_spec(spec)
        checks.check_id(command_id, "command id")
        static = (spec.limit_per_user, spec.hold_ms, spec.opens_at_ms, spec.closes_at_ms)
        packed = pack_items(spec.items)
        safe = int((await self._durable.facts()).fsynced)
        now_ms = self._clock.now_ms()
        reply, _ = await self._write(
            scripts.OPEN,
            spec.sale_id,
            (
                now_ms,
                now_ms + self._act_within_ms,
                *static,
                command_id,
                len(spec.items),
                packed,
                safe,
                spec.waitlist,
                spec.spread_ms,
                spec.ships_at_ms,
            ),
        )
        self._refuse(spec.sale_id, reply)
        facts = SaleFacts.of(spec, reply[1][1])
        _remember(self._facts, spec.sale_id, facts)
        return self._view(facts, reply[1])

    def learn(self, view: StockView) -> None:
        position = (view.epoch, view.seq)
        if position > self._seen.get(view.sale_id, (0, 0)):
            _remember(self._seen, view.sale_id, position)

    async def reserve(self, sale_id: str, orders: Sequence[Order]) -> tuple[list[Verdict], StockView]:
        checks.check_batch(orders)
        wanted: list[checks.Lines] = []

        def arguments(facts: SaleFacts) -> list[str]:
            wanted[:] = checks.numbered_batch(orders, facts.number_of)
            users = [order.user_id for order in orders]
            return users + [
                pack_order(order.command_id, lines) for order, lines in zip(orders, wanted, strict=True)
            ]

        facts, reply, reached = await self._act_proved(scripts.RESERVE, sale_id, arguments)
        view = self._view(facts, reply[1])
        self._tell_expired(facts, reply[4])
        self._tell_lined(facts, reply[5])
        verdicts = _verdicts(
            facts, view, orders, wanted, due_ms=reply[2], answers=reply[3], durability=reached
        )
        return verdicts, view

    async def confirm(self, reservation_id: str, *, command_id: str) -> Change:
        ref = parse_reservation_id(reservation_id)
        return await self._finish(scripts.CONFIRM, End.CONFIRM, ref, command_id)

    async def release(self, reservation_id: str, *, command_id: str, user_id: str | None = None) -> Change:
        ref = parse_reservation_id(reservation_id)
        if user_id is not None and user_id != ref.user_id:
            raise UnknownReservationError(reservation_id)
        return await self._finish(scripts.RELEASE, End.RELEASE, ref, command_id)

    async def return_order(self, reservation_id: str, *, command_id: str, limit_back: bool) -> Change:
        ref = parse_reservation_id(reservation_id)
        limit = "back" if limit_back else "kept"
        return await self._finish(scripts.RETURN, End.RETURN, ref, command_id, limit)

    async def _finish(
        self, script: Script, end: End, ref: ReservationRef, command_id: str, *more: str
    ) -> Change:
        checks.check_id(command_id, "command id")
        try:
            facts, reply = await self._act(
                script, ref.sale_id, lambda _: (ref.user_id, ref.place, command_id, *more)
            )
        except UnknownSaleError as error:
            raise UnknownReservationError(reservation_id(*ref)) from error
        view, reservation = self._view(facts, reply[1]), parse_told(facts, reply[2])
        self._tell_expired(facts, reply[4])
        self._tell_lined(facts, reply[5])
        if reservation.state not in ANSWERED[end]:
            raise WrongStateError(reservation)
        return Change(reservation, bool(reply[3]), view)

    async def expire(self, sale_id: str) -> Swept:
        facts, reply = await self._act(scripts.EXPIRE, sale_id, _nothing)
        expired = [parse_told(facts, told) for told in reply[2]]
        self._tell_lined(facts, reply[4])
        return Swept(expired, self._view(facts, reply[1]), bool(reply[3]))

    async def adjust(
        self, sale_id: str, item_id: str, delta: int, *, actor: str, reason: str, command_id: str
    ) -> StockView:
        checks.check_adjust(delta, actor, reason, command_id)

        def arguments(facts: SaleFacts) -> tuple[str | int, ...]:
            if item_id not in facts.number_of:
                raise UnknownItemError(item_id)
            return (facts.number_of[item_id], delta, actor, reason, command_id)

        facts, reply = await self._act(scripts.ADJUST, sale_id, arguments)
        self._tell_lined(facts, reply[2])
        return self._view(facts, reply[1])

    async def pause(self, sale_id: str, *, actor: str, command_id: str) -> StockView:
        return await self._switch(sale_id, "pause", actor, command_id)

    async def resume(self, sale_id: str, *, actor: str, command_id: str) -> StockView:
        return await self._switch(sale_id, "resume", actor, command_id)

    async def _switch(self, sale_id: str, kind: str, actor: str, command_id: str) -> StockView:
        checks.check_id(actor, "actor")
        checks.check_id(command_id, "command id")
        facts, reply = await self._act(scripts.SWITCH, sale_id, lambda _: (kind, actor, command_id))
        self._tell_lined(facts, reply[2])
        return self._view(facts, reply[1])

    async def freeze(self, sale_id: str, *, actor: str, command_id: str) -> Froze:
        checks.check_id(actor, "actor")
        checks.check_id(command_id, "command id")
        facts, reply = await self._act(scripts.FREEZE, sale_id, lambda _: (actor, command_id))
        return Froze(bool(reply[2]), self._view(facts, reply[1]))

    async def held(self, sale_id: str) -> list[Reservation]:
        facts, _ = await self._load(sale_id)
        found: list[Reservation] = []
        rank = 0
        while rank >= 0 and len(found) < limits.HELD_MAX:
            reply = await self._read(scripts.HELD, sale_id, (rank,))
            if reply[1] != facts.epoch:
                raise LedgerUnavailableError("the sale was opened anew meanwhile")
            found += (parse_told(facts, told) for told in reply[2])
            rank = reply[3]
        return found[: limits.HELD_MAX]

    async def close(self, sale_id: str, *, actor: str, command_id: str) -> StockView:
        checks.check_id(actor, "actor")
        checks.check_id(command_id, "command id")
        facts, reply = await self._act(scripts.CLOSE, sale_id, lambda _: (actor, command_id))
        return self._view(facts, reply[1])

    async def view(self, sale_id: str) -> StockView:
        facts, reply = await self._load(sale_id)
        view = self._view(facts, reply[1])
        if view.status is SaleStatus.CLOSED or reply[1][0] < facts.closes_at_ms:
            return view
        try:  # the clock has closed it: written down before anybody is told
            swept = await self.expire(sale_id)
        except (LedgerUnavailableError, LedgerPendingError):
            return view
        if swept.expired and self._on_expired is not None:
            self._on_expired(swept.expired)
        return swept.view

    async def terms(self, sale_id: str) -> SaleSpec:
        facts, _ = await self._load(sale_id)
        return facts.spec()

    async def lookup(self, sale_id: str, user_id: str, command_id: str) -> Reservation | None:
        bought = await self.reservations_of(sale_id, user_id)
        return next((one for one in bought if one.command_id == command_id), None)

    async def reservation(self, reservation_id: str) -> Reservation:
        ref = parse_reservation_id(reservation_id)
        try:
            bought = await self.reservations_of(ref.sale_id, ref.user_id)
        except UnknownSaleError as error:
            raise UnknownReservationError(reservation_id) from error
        for one in bought:
            if one.reservation_id == reservation_id:
                return one
        raise UnknownReservationError(reservation_id)

    async def reservations_of(self, sale_id: str, user_id: str) -> list[Reservation]:
        return (await self.reservations_of_each(sale_id, (user_id,)))[0]

    async def reservations_of_each(self, sale_id: str, user_ids: Sequence[str]) -> list[list[Reservation]]:
        assert 0 < len(user_ids) <= limits.LOOKUP_USERS_MAX, len(user_ids)
        reply = await self._read(scripts.LOOKUP, sale_id, user_ids)
        facts = self._facts.get(sale_id)
        if facts is None or facts.epoch != reply[1]:
            facts, _ = await self._load(sale_id)
        return [parse_value(facts, user_id, value) for user_id, value in zip(user_ids, reply[2], strict=True)]

    # Calling a script

    async def _act(self, script: Script, sale_id: str, arguments: Arguments) -> tuple[SaleFacts, list[Any]]:
        facts, reply, _ = await self._act_proved(script, sale_id, arguments)
        return facts, reply

    async def _act_proved(
        self, script: Script, sale_id: str, arguments: Arguments
    ) -> tuple[SaleFacts, list[Any], Durability]:
        """Calls a script that writes, until it says something other than what we ourselves can mend. With
        what its answer had reached."""
        for _ in range(ATTEMPTS_MAX):
            facts = self._facts.get(sale_id)
            if facts is None:
                facts, _reply = await self._load(sale_id)
            epoch, seq = max(self._seen.get(sale_id, (0, 0)), (facts.epoch, 0))
            # Items are numbered by the epoch we know. Is there word of a newer one, this only asks whether
            # the store lags: it sweeps, and is refused as ``newer`` or ``behind`` or learns the rest.
            stale = epoch > facts.epoch
            server = await self._durable.facts()
            now_ms = self._clock.now_ms()
            fences = (epoch, seq, server.run_id, int(server.fsynced), now_ms, now_ms + self._act_within_ms)
            own = () if stale else arguments(facts)
            reply, reached = await self._write(scripts.EXPIRE if stale else script, sale_id, (*fences, *own))
            match reply[0]:
                case b"ok" if not stale:
                    return facts, reply, reached
                case b"ok" | b"newer":
                    self._facts.pop(sale_id, None)
                case b"restarted":
                    log.warning("the store runs anew", sale=sale_id, was=server.run_id, now=reply[1].decode())
                    self._durable.forget()
                case b"behind":
                    here, seen = f"{reply[1]}-{reply[2]}", f"{epoch}-{seq}"
                    log.error("the store lost part of a sale; it is frozen", sale=sale_id, at=here, seen=seen)
                    self._seen[sale_id] = (reply[1], reply[2])
                    self._facts.pop(sale_id, None)
                case _:
                    self._refuse(sale_id, reply)
        raise LedgerUnavailableError(f"the store changed {ATTEMPTS_MAX} times under one call")

    def _refuse(self, sale_id: str, reply: list[Any]) -> None:
        """Every other answer than ok, as the port names it. None of them did anything."""
        match reply[0]:
            case b"ok":
                return
            case b"unknown":
                self._facts.pop(sale_id, None)
                raise UnknownSaleError(sale_id)
            case b"no_reservation":
                raise UnknownReservationError(sale_id)
            case b"sale_conflict":
                raise SaleConflictError(sale_id)
            case b"closed":
                raise SaleClosedError(sale_id)
            case b"frozen":
                raise SaleFrozenError(sale_id)
            case b"too_many_adjusts":
                raise TooManyAdjustsError(sale_id)
            case b"format":
                log.error("a newer version opened this sale; this process can't serve it", sale=sale_id)
                raise LedgerUnavailableError("a newer version of the server opened this sale")
            case b"rebuilding":
                raise LedgerUnavailableError("the sale is being rebuilt")
            case b"below_held":
                raise BelowHeldError(f"{reply[1]} available")
            case b"late":
                raise LedgerUnavailableError("the call came too late to act")
            case b"skew":
                ours = self._clock.now_ms()
                log.error("clocks too far apart, nothing is sold", store_ms=reply[1], ours_ms=ours)
                raise LedgerUnavailableError("our clock and the store's are too far apart")
            case unheard:
                raise AssertionError(f"no script answers {unheard!r}")

    async def _load(self, sale_id: str) -> tuple[SaleFacts, list[Any]]:
        reply = await self._read(scripts.VIEW, sale_id, ())
        facts = SaleFacts.from_reply(sale_id, reply[1][1], reply[2])
        _remember(self._facts, sale_id, facts)
        return facts, reply

    async def _read(self, script: Script, sale_id: str, arguments: Sequence[str | int]) -> list[Any]:
        """A reading script changes nothing, so every failure of it is certain."""
        try:
            async with self._others:
                reply: list[Any] = await script.call(self._client, scripts.keys_of(sale_id), arguments)
        except (RedisError, OSError) as error:
            raise LedgerUnavailableError(str(error)) from error
        self._refuse(sale_id, reply)
        return reply

    async def _write(
        self, script: Script, sale_id: str, arguments: Sequence[str | int]
    ) -> tuple[list[Any], Durability]:
        async with self._others if script is not scripts.RESERVE else nullcontext():
            keys, fence_key = scripts.keys_of(sale_id), scripts.fence_key(sale_id)
            return await self._durable.call(script, keys, arguments, fence_key=fence_key)

    # Reading a reply

    def _view(self, facts: SaleFacts, raw: list[Any]) -> StockView:
        _, epoch, seq, status = raw[:4]
        ids = [item.item_id for item in facts.items]
        view = StockView(
            sale_id=facts.sale_id,
            epoch=epoch,
            seq=seq,
            status=SaleStatus(status.decode()),
            available=dict(zip(ids, raw[4::4], strict=True)),
            opens_at_ms=facts.opens_at_ms,
            closes_at_ms=facts.closes_at_ms,
            held=dict(zip(ids, raw[5::4], strict=True)),
            confirmed=dict(zip(ids, raw[6::4], strict=True)),
            initial={item.item_id: item.stock for item in facts.items},
            adjusted=dict(zip(ids, raw[7::4], strict=True)),
            waitlist=facts.waitlist,
        )
        self.learn(view)
        return view

    def _tell_expired(self, facts: SaleFacts, told: list[bytes]) -> None:
        if told and self._on_expired is not None:
            self._on_expired([parse_told(facts, one) for one in told])

    def _tell_lined(self, facts: SaleFacts, told: list[bytes]) -> None:
        if told and self._on_lined is not None:
            self._on_lined([parse_told(facts, one) for one in told])


def _verdicts(
    facts: SaleFacts,
    view: StockView,
    orders: Sequence[Order],
    wanted: Sequence[checks.Lines],
    *,
    due_ms: int,
    answers: Sequence[int | bytes | list[Any]],
    durability: Durability,
) -> list[Verdict]:
    """Each order granted now, or put in line, is one seq; the last of them is the view's."""
    seq = view.seq - sum(
        answer[2] if isinstance(answer, list) else isinstance(answer, int) and answer >= _RESERVED
        for answer in answers
    )
    named: dict[checks.Lines, tuple[Line, ...]] = {}  # orders of a call want much the same
    verdicts: list[Verdict] = []
    for order, lines, answer in zip(orders, wanted, answers, strict=True):
        if isinstance(answer, list):
            told, ahead, new = answer
            seq += new
            waiting = parse_told(facts, told)
            verdicts.append(Verdict(Outcome.WAITING, view.epoch, seq, waiting, ahead, not new, durability))
        elif isinstance(answer, bytes):
            verdicts.append(
                Verdict(
                    Outcome.RESERVED,
                    view.epoch,
                    seq,
                    parse_told(facts, answer),
                    replayed=True,
                    durability=durability,
                )
            )
        elif answer < _RESERVED:
            verdicts.append(Verdict(_CODES[answer], view.epoch, seq))
        else:
            seq += 1
            if lines not in named:
                named[lines] = facts.named(lines)
            granted = Reservation(
                reservation_id=reservation_id(facts.sale_id, order.user_id, answer - _RESERVED),
                sale_id=facts.sale_id,
                user_id=order.user_id,
                command_id=order.command_id,
                lines=named[lines],
                state=ReservationState.HELD,
                expires_at_ms=due_ms,
            )
            verdicts.append(Verdict(Outcome.RESERVED, view.epoch, seq, granted, durability=durability))
    return verdicts


def _remember(kept: dict[str, T], sale_id: str, value: T) -> None:
    """Keeps at most ``SALES_SEEN_MAX`` sales: the one first heard of goes first."""
    if sale_id not in kept and len(kept) >= limits.SALES_SEEN_MAX:
        del kept[next(iter(kept))]
    kept[sale_id] = value
