"""The order service: payments come in and it confirms them, half over WebSocket, half over REST.

It is told of grants by the buyers themselves (a real one hears of payments from the bank). Every
``NEVER_PAYS_EVERY``-th buyer does not pay in time, so that holds run out and their units sell again; some of
those pay late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

import orjson

from loadtest.audience.member import Member, code_of
from loadtest.audience.plan import NEVER_PAYS_EVERY, PAYS_LATE_EVERY, RELEASES_EVERY
from loadtest.audience.rest import RestError, as_json, call
from loadtest.audience.world import World
from protocol.commands import Confirm, Release, Return, SendGift
from protocol.replies import ReservationChanged
from protocol.types import HeldReservation

TRIES_MAX: Final = 16
AGAIN_AFTER_S_MAX: Final = 1.5
BETWEEN_S: Final = 1 / 40  # of two commands of the service's session: the server allows fifty a second
QUEUE_S_MAX: Final = 0.3  # who would wait longer is confirmed over REST
TOGETHER_MAX: Final = 32  # calls of the service at once; the wire allows 64 unanswered commands
OVERDUE_S: Final = 0.15  # how long after its due a late payment comes
PAID: Final = frozenset({"confirmed", "refund_due", "wrong_state"})  # how a payment ends; else it is repeated
GIVEN_BACK: Final = frozenset({"returned", "wrong_state"})


class Shop:
    def __init__(self, world: World, service: Member, token: str) -> None:
        self.world = world
        self.service = service
        self._token = token
        self._grants = 0
        self._calls = 0
        self._turns = asyncio.Semaphore(TOGETHER_MAX)
        self._next_s = 0.0  # when the service's session may speak again

    async def granted(self, buyer: Member, reservation: HeldReservation, hold_ms: int) -> None:
        """Decide what becomes of a grant, and do it."""
        self._grants += 1
        grant, counts = self._grants, self.world.figures.counts
        if grant % NEVER_PAYS_EVERY == 0:
            if grant // NEVER_PAYS_EVERY % PAYS_LATE_EVERY == 0:
                await self.pays_late(reservation)
            else:
                counts["never_paid"] += 1
            return
        await asyncio.sleep(self.world.rng.uniform(0.05, 0.45) * hold_ms / 1000)
        if grant % RELEASES_EVERY == 0:
            counts["released"] += await self.released(buyer, reservation)
            return
        counts["confirmed"] += await self.paid(reservation) == "confirmed"

    async def paid(self, reservation: HeldReservation) -> str:
        """The state a payment came to (``wrong_state`` where it can't be paid any more)."""
        by_rest = self._by_rest_next()

        async def once() -> str:
            if by_rest:
                return await self._post(reservation, "confirm", command_id)
            return await self._say(Confirm(id=command_id, reservation_id=reservation.reservation_id))

        command_id = self.service.new_id()
        return await self._until(once, PAID)

    async def pays_late(self, reservation: HeldReservation) -> str:
        """The money comes when the hold is over: it is had anew, or goes back."""
        await self.overdue(reservation)
        state = await self.paid(reservation)
        self.world.figures.scenes[f"late_{state}"] += 1
        return state

    async def overdue(self, reservation: HeldReservation) -> None:
        """Until its time to pay is over by the server's clock."""
        now_ms = self.service.server_ms()
        await asyncio.sleep(max(0.0, reservation.expires_at_ms - now_ms) / 1000 + OVERDUE_S)

    async def given_back(self, reservation: HeldReservation, *, limit_back: bool) -> str:
        """What was paid comes back; the state it came to."""
        by_rest = self._by_rest_next()

        async def once() -> str:
            if by_rest:
                return await self._post(reservation, "return", command_id, {"limitBack": limit_back})
            return await self._say(
                Return(id=command_id, reservation_id=reservation.reservation_id, limit_back=limit_back)
            )

        command_id = self.service.new_id()
        state = await self._until(once, GIVEN_BACK)
        self.world.figures.scenes[state] += 1
        return state

    async def released(self, buyer: Member, reservation: HeldReservation) -> bool:
        """Its buyer gives it back."""
        command = Release(id=buyer.new_id(), reservation_id=reservation.reservation_id)
        return code_of(await buyer.ask(command)) == "reservation"

    async def gift(self, user: str, name: str, gift: str, count: int) -> None:
        command = SendGift(
            id=self.service.new_id(),
            room=self.world.room,
            user_id=user,
            name=name[:32],
            gift=gift[:32],
            count=count,
        )
        if await self._say(command) == "done":
            self.world.figures.counts["gifts"] += 1

    async def look_up(self, user: str, sale_id: str, command_id: str) -> str:
        """What a purchase whose answer stayed unknown came to: ``reserved``, ``none`` or ``unknown``."""
        path = f"/v1/sales/{quote(sale_id)}/reservations?user={quote(user)}&command={quote(command_id)}"
        for attempt in range(TRIES_MAX):
            status, _ = await self._call("GET", path, asked={"user": user, "command": command_id})
            if status in (200, 404):
                return "reserved" if status == 200 else "none"
            await asyncio.sleep(min(0.2 * 2**attempt, AGAIN_AFTER_S_MAX))
        return "unknown"

    def _by_rest_next(self) -> bool:
        """Half of the calls, and all that would wait too long for the socket."""
        self._calls += 1
        return self._calls % 2 == 0 or self._queue_s() > QUEUE_S_MAX

    def _queue_s(self) -> float:
        return self._next_s - asyncio.get_running_loop().time()

    async def _say(self, command: Confirm | Return | SendGift) -> str:
        """Over the socket, at a pace the server allows: a reservation's state, or the answer's code."""
        wait_s = max(self._queue_s(), 0.0)
        self._next_s = asyncio.get_running_loop().time() + wait_s + BETWEEN_S
        await asyncio.sleep(wait_s)
        async with self._turns:
            reply = await self.service.ask(command)
        return reply.reservation.state if isinstance(reply, ReservationChanged) else code_of(reply)

    async def _post(
        self, reservation: HeldReservation, verb: str, command_id: str, body: dict[str, Any] | None = None
    ) -> str:
        """Over REST: the same words as ``_say``."""
        path = f"/v1/reservations/{quote(reservation.reservation_id, safe='')}/{verb}"
        status, answer = await self._call("POST", path, key=command_id, body=body)
        if not isinstance(answer, dict):
            return "unknown"
        return str(answer["state"] if status == 200 else answer.get("code", "unknown"))

    async def _until(self, once: Callable[[], Awaitable[str]], ends: frozenset[str]) -> str:
        """Try a few times, since the same command again is the same as once."""
        word = ""
        for attempt in range(TRIES_MAX):
            word = await once()
            if word in ends:
                return word
            await asyncio.sleep(min(0.1 * 2**attempt, AGAIN_AFTER_S_MAX))
        self.world.fault("shop", f"the order service was answered {word}, to the last")
        return word

    async def _call(
        self,
        method: str,
        path: str,
        *,
        key: str = "",
        body: dict[str, Any] | None = None,
        asked: object | None = None,
    ) -> tuple[int, Any]:
        """The status and the answer; 0 where there was none. ``asked``, and a body, stand beside the answer
        in the journal."""
        options = self.world.options
        sent = b"" if body is None else orjson.dumps(body)
        answer: Any
        noted: Any
        try:
            async with self._turns:
                status, raw = await call(
                    options.host, options.port, method, path, token=self._token, key=key, body=sent
                )
        except RestError as error:
            status, answer, noted = 0, None, str(error)
        else:
            answer = noted = as_json(raw)
            if asked is not None or body is not None:
                noted = {"asked": body if asked is None else asked, "reservation": answer}
        self.world.journal.write(
            "call", ms=self.world.watch.now_ms(), method=method, path=path, status=status, answer=noted
        )
        return status, answer
