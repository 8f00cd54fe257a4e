"""One viewer of the swarm, through all his connections.

He joins his one room, comes back from every loss (inside the server's window where it gave one, else by full
jitter), says what he is told to say, and holds the server to the laws of ``place.py`` and ``answers.py``.
What he notes goes to his ``Group``, which many share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtest.swarm.answers import Answers, Asked
from loadtest.swarm.heard import Ear, Heard
from loadtest.swarm.link import Link
from loadtest.swarm.opening import NotOpenedError
from loadtest.swarm.place import Broken, Place
from protocol.client import backoff
from protocol.client.pending import raised
from protocol.close import may_reconnect
from protocol.codec import Codec
from protocol.commands import Command, Join, Leave, Like, Ping, Purchase, SendDanmaku
from protocol.replies import Bye, ErrorReply, Joined, Left, Notice, PurchaseOutcome, Receipt, Reply, Welcome
from protocol.types import OrderLine

if TYPE_CHECKING:
    from loadtest.swarm.group import Group
    from loadtest.swarm.herd import Herd

IN_FLIGHT_MAX: Final = 48  # the wire allows 64
ATTEMPTS_MAX: Final = 100
AGAIN_MS: Final = 200
UNSETTLED: Final = frozenset({"pending", "unavailable"})
NOT_NOW: Final = frozenset({"retry", "rate_limited", "unavailable", "pending", "not_joined"})


class Viewer:
    __slots__ = (
        "_bye",
        "_serial",
        "answers",
        "codec",
        "cut_at_us",
        "deflate",
        "failures",
        "gone",
        "group",
        "herd",
        "link",
        "number",
        "orders",
        "place",
        "receive_buffer",
        "room",
        "slow",
        "token",
        "user",
    )

    def __init__(
        self, herd: Herd, number: int, user: str, token: str, room: str, group: Group, codec: Codec
    ) -> None:
        self.herd = herd
        self.number = number
        self.user = user
        self.token = token
        self.room = room
        self.group = group
        self.codec = codec
        self.deflate = False
        self.receive_buffer = 0
        self.link: Link | None = None
        self.place = Place()
        self.answers = Answers()
        self.orders: dict[str, Purchase] = {}  # purchases without their outcome
        self.failures = 0  # connections in a row that came to nothing
        self.slow = False  # it doesn't read at full speed: its delays are its own
        self.gone = False  # for good
        self.cut_at_us = 0  # when the last connection was lost, or the first begun
        self._bye: Bye | None = None
        self._serial = 0

    @property
    def present(self) -> bool:
        return self.place.in_step and self.link is not None and self.link.is_open

    @property
    def free(self) -> bool:
        return self.present and not self.slow and len(self.answers.waiting) < IN_FLIGHT_MAX

    @property
    def at_the_end(self) -> bool:
        """In step with all that was ever heard of his room, and nothing owed to him."""
        place = self.place
        newest = self.herd.heads.get(self.room, (0, 0))
        return (
            self.present
            and not self.answers.waiting
            and not self.orders
            and (place.epoch or 0, place.offset) >= newest
        )

    # -- what he does ----------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        self._ask("danmaku", SendDanmaku(id=self._id(), room=self.room, text=text))

    def like(self, count: int) -> None:
        self._ask("like", Like(id=self._id(), room=self.room, count=count))

    def ping(self) -> None:
        self._ask("ping", Ping(id=self._id()))

    def reenter(self) -> None:
        """Out of the room and in again, where he was."""
        self.cut_at_us = self.herd.now_us()
        self._ask("leave", Leave(id=self._id(), room=self.room))
        self._join()

    def buy(self, sale_id: str, item_id: str, quantity: int) -> None:
        """Ends in exactly one outcome, however often it has to be said."""
        lines = [OrderLine(item_id=item_id, quantity=quantity)]
        order = Purchase(id=f"{self.user}.b{self._next()}", room=self.room, sale_id=sale_id, lines=lines)
        self.orders[order.id] = order
        self.herd.outcomes.asked.add(order.id)
        self._ask("purchase", order)

    def leave(self) -> None:
        self.gone = True
        if self.link is not None:
            self.link.leave()

    # -- what his link says ----------------------------------------------------------------------------

    def opened(self, deflate: bool) -> Ear:
        self.herd.came(self)
        self._bye = None
        self.place.connected()
        return self.herd.ear(self.codec, deflate)

    def refused(self, error: NotOpenedError | OSError) -> None:
        """A handshake that came to nothing."""
        self.link = None
        status = error.status if isinstance(error, NotOpenedError) else 0
        self.herd.counts[f"refused_{status}" if status else "not_connected"] += 1
        retry_ms = error.retry_ms if isinstance(error, NotOpenedError) else 0
        self._back(isinstance(error, OSError) or error.comes_back, retry_ms, 0)

    def ended(self, code: int, fault: str) -> None:
        self.link = None
        self.cut_at_us = self.herd.now_us()
        self.herd.went(self, code)
        if fault:
            self._broke(Broken("wire", fault))
        for asked in self.answers.cut().values():
            self.herd.counts[f"unknown_{asked.kind}"] += 1
        self.place.connected()
        if self.gone:
            return
        bye = self._bye
        if bye is not None:
            self._back(bye.reconnect, bye.retry_ms, bye.spread_ms)
        else:
            self._back(may_reconnect(code), 0, 0)

    def heard(self, heard: Heard) -> None:
        if heard.room:
            self._frame(heard)
            return
        said = heard.said
        if isinstance(said, Bye):
            self._bye = said
            self.herd.counts["byes"] += 1
            self.herd.window_ms = max(self.herd.window_ms, said.retry_ms + said.spread_ms)
        elif isinstance(said, Notice):
            self.herd.counts["notices"] += 1
        elif isinstance(said, Welcome) and not said.id:
            self._join()
        elif isinstance(said, ErrorReply) and not said.id:
            self.herd.errors[said.code] += 1
        else:
            self._reply(said)  # type: ignore[arg-type]

    # -- inside ----------------------------------------------------------------------------------------

    def _frame(self, heard: Heard) -> None:
        if heard.room != self.room:
            self._broke(Broken("room", f"a frame of {heard.room}"))
            return
        place = self.place
        was_in_step = place.in_step
        broken = place.take(heard)
        if broken is not None:
            self._broke(broken)
        group = self.group
        group.frames += 1
        if was_in_step:
            if not self.slow:
                if heard.critical_stamps_us and place.offset == heard.last_offset:
                    group.arrived("critical", heard.critical_stamps_us, self.herd.now_us())
                if heard.comment_stamps_us and heard.n:
                    group.arrived("danmaku", heard.comment_stamps_us, self.herd.now_us())
        elif place.in_step:
            self._entered()
        if heard.last_offset or heard.snapshot_offset >= 0:
            self.herd.know(self.room, place)

    def _reply(self, reply: Reply) -> None:
        asked = self.answers.answered(reply.id)
        if isinstance(asked, Broken):
            self._broke(asked)
            return
        herd = self.herd
        now_us = herd.now_us()
        self.group.replied(asked.kind, now_us - asked.at_us, now_us)
        if isinstance(reply, ErrorReply):
            self._error(reply, asked)
        elif isinstance(reply, Joined):
            broken = self.place.joined(reply.epoch, reply.offset, reply.n)
            herd.counts[reply.mode] += 1
            if broken is not None:
                self._broke(broken)
            if self.place.in_step:
                self._entered()
        elif isinstance(reply, Left):
            self.place.connected()  # frames are numbered anew from the next join on
        elif isinstance(reply, Receipt):
            herd.fates[str(reply.fate)] += 1
        elif isinstance(reply, PurchaseOutcome):
            if reply.outcome in UNSETTLED:
                herd.counts[f"purchase_{reply.outcome}"] += 1
                self._again_later(reply.id, reply.retry_ms)
            else:
                self.orders.pop(reply.id, None)
                second = herd.outcomes.take(reply)
                if second is not None:
                    self._broke(second)

    def _error(self, reply: ErrorReply, asked: Asked) -> None:
        herd = self.herd
        herd.errors[reply.code] += 1
        if asked.kind == "join" and reply.code in NOT_NOW:
            herd.later(max(reply.retry_ms, AGAIN_MS), self._join)
        elif asked.kind == "purchase":
            if reply.code in NOT_NOW:
                self._again_later(reply.id, reply.retry_ms)
            else:
                self.orders.pop(reply.id, None)
                herd.outcomes.refused(reply.id, reply.code)

    def _again_later(self, order_id: str, retry_ms: int) -> None:
        """As spread as reconnects are: everybody asking again at once would be the next rush."""
        order = self.orders.get(order_id)
        if order is not None:
            wait_ms = backoff.delay_ms(
                order.attempt, self.herd.random.random, retry_ms=max(retry_ms, AGAIN_MS)
            )
            self.herd.later(wait_ms, self._again, order_id)

    def _again(self, order_id: str) -> None:
        order = self.orders.get(order_id)
        if order is None or order_id in self.answers.waiting or not self.present:
            return  # said again when he is back (``_entered``)
        if order.attempt >= ATTEMPTS_MAX:
            del self.orders[order_id]
            self.herd.counts["purchases_given_up"] += 1
            return
        again = raised(order)
        assert isinstance(again, Purchase)
        self.orders[order_id] = again
        self.herd.counts["purchases_said_again"] += 1
        self._ask("purchase", again)

    def _entered(self) -> None:
        now_us = self.herd.now_us()
        self.group.replied("enter", now_us - self.cut_at_us, now_us)
        self.failures = 0
        for order_id in list(self.orders):
            self._again(order_id)

    def _join(self) -> None:
        place = self.place
        known = place.epoch is not None
        place.owed = (0, 0)
        self._ask(
            "join",
            Join(id=self._id(), room=self.room, epoch=place.epoch, offset=place.offset if known else None),
        )

    def _back(self, comes_back: bool, retry_ms: int, spread_ms: int) -> None:
        if self.gone or not comes_back:
            self.herd.lost(self)
            return
        if self.herd.jitter:
            random = self.herd.random.random
            wait_ms = backoff.delay_ms(self.failures, random, retry_ms=retry_ms, spread_ms=spread_ms)
        else:
            wait_ms = 0.0  # the naive way
        self.failures += 1
        self.herd.come_back(self, wait_ms)

    def _ask(self, kind: str, command: Command) -> None:
        if self.link is None or not self.link.is_open:
            return
        self.answers.ask(command.id, kind, self.herd.now_us())
        self.herd.counts["commands"] += 1
        self.link.send(self.codec.encode(command), self.codec.text)

    def _broke(self, broken: Broken) -> None:
        self.herd.broke(broken.law, f"{self.user} in {self.room}: {broken.detail}")

    def _id(self) -> str:
        return f"{self.user}.{self._next()}"

    def _next(self) -> int:
        self._serial += 1
        return self._serial
