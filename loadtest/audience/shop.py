"""The order service: payments come in and it confirms them, half over WebSocket, half over REST.

It is told of grants by the buyers themselves (a real one hears of payments from the bank). Every
``NEVER_PAYS_EVERY``-th buyer never pays, so that units run out and sell again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

from loadtest.audience.member import Member, code_of
from loadtest.audience.plan import NEVER_PAYS_EVERY, RELEASES_EVERY
from loadtest.audience.rest import RestError, as_json, call
from loadtest.audience.world import World
from protocol.commands import Confirm, Release, SendGift
from protocol.replies import ReservationChanged
from protocol.types import HeldReservation

TRIES_MAX: Final = 16
AGAIN_AFTER_S_MAX: Final = 1.5
BETWEEN_S: Final = 1 / 40  # of two commands of the service's session: the server allows fifty a second
QUEUE_S_MAX: Final = 0.3  # who would wait longer is confirmed over REST
TOGETHER_MAX: Final = 32  # calls of the service at once; the wire allows 64 unanswered commands


class Shop:
    def __init__(self, world: World, service: Member, token: str) -> None:
        self.world = world
        self.service = service
        self._token = token
        self._grants = 0
        self._turns = asyncio.Semaphore(TOGETHER_MAX)
        self._next_s = 0.0  # when the service's session may speak again

    async def granted(self, buyer: Member, reservation: HeldReservation, hold_ms: int) -> None:
        """Decide what becomes of a grant, and do it."""
        self._grants += 1
        counts = self.world.figures.counts
        if self._grants % NEVER_PAYS_EVERY == 0:
            counts["never_paid"] += 1
            return
        await asyncio.sleep(self.world.rng.uniform(0.05, 0.45) * hold_ms / 1000)
        if self._grants % RELEASES_EVERY == 0:
            reply = await buyer.ask(Release(id=buyer.new_id(), reservation_id=reservation.reservation_id))
            counts["released"] += code_of(reply) == "reservation"
            return
        by_rest = self._grants % 2 == 0 or self._queue_s() > QUEUE_S_MAX
        paid = await (self._by_rest(reservation) if by_rest else self._by_socket(reservation))
        counts["confirmed"] += paid

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

    async def _by_socket(self, reservation: HeldReservation) -> bool:
        command = Confirm(id=self.service.new_id(), reservation_id=reservation.reservation_id)
        return await self._until(lambda: self._say(command))

    def _queue_s(self) -> float:
        return self._next_s - asyncio.get_running_loop().time()

    async def _say(self, command: Confirm | SendGift) -> str:
        """Over the socket, at a pace the server allows."""
        wait_s = max(self._queue_s(), 0.0)
        self._next_s = asyncio.get_running_loop().time() + wait_s + BETWEEN_S
        await asyncio.sleep(wait_s)
        async with self._turns:
            reply = await self.service.ask(command)
        return _came_to(reply.reservation.state) if isinstance(reply, ReservationChanged) else code_of(reply)

    async def _by_rest(self, reservation: HeldReservation) -> bool:
        path = f"/v1/reservations/{quote(reservation.reservation_id, safe='')}/confirm"
        command_id = self.service.new_id()

        async def once() -> str:
            status, answer = await self._call("POST", path, key=command_id)
            if status == 200:
                return _came_to(answer["state"])
            return "wrong_state" if status == 409 else "unknown"

        return await self._until(once)

    async def _until(self, once: Callable[[], Awaitable[str]]) -> bool:
        """Try a few times, since confirming again is the same as confirming."""
        code = ""
        for attempt in range(TRIES_MAX):
            code = await once()
            if code == "reservation":
                return True
            if code in ("refund_due", "wrong_state"):
                return False  # too late: the hold had run out, and it could not be had any more
            await asyncio.sleep(min(0.1 * 2**attempt, AGAIN_AFTER_S_MAX))
        self.world.fault("shop", f"a payment could not be told: {code}")
        return False

    async def _call(
        self, method: str, path: str, *, key: str = "", asked: object | None = None
    ) -> tuple[int, Any]:
        """The status and the answer; 0 where there was none."""
        options = self.world.options
        try:
            async with self._turns:
                status, raw = await call(options.host, options.port, method, path, token=self._token, key=key)
        except RestError as error:
            self.world.journal.write(
                "call", ms=self.world.watch.now_ms(), method=method, path=path, status=0, answer=str(error)
            )
            return 0, None
        answer = as_json(raw)
        noted = answer if asked is None else {"asked": asked, "reservation": answer}
        self.world.journal.write(
            "call", ms=self.world.watch.now_ms(), method=method, path=path, status=status, answer=noted
        )
        return status, answer


def _came_to(state: str) -> str:
    """What a payment came to: ``reservation`` if the units are the buyer's, else the state it says."""
    return "reservation" if state == "confirmed" else state
