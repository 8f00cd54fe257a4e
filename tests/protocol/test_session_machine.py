"""The client's session against a tiny server, by Hypothesis: losses, reconnects, overlaps, lost frames,
snapshots, new epochs, replies before and after their frames, several events a frame.

What must hold at every step: whatever place the mirror says it is at, it equals the truth at that place;
critical events are told once each and in order; stock never goes back; and every frame of state or danmaku
is either received or counted as missed. In the end, once everything has been delivered, it is up to date.
"""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from protocol import commands
from protocol.client.happenings import (
    Answered,
    DanmakuShown,
    Disconnected,
    Entered,
    GapFound,
    Happened,
    Happening,
    Missed,
    Snapshotted,
    StateChanged,
    Unknown,
)
from protocol.client.session import Session
from protocol.codec import MSGPACK, Downward
from protocol.frames import DanmakuBlock, Frame, Snapshot, State
from protocol.replies import PurchaseOutcome, Receipt, Welcome
from protocol.types import Danmaku, Fate, OrderLine, Role, RoomStatus

from .tiny_room import TinyRoom

EXPECTED = (
    "Happened",
    "Snapshotted",
    "Missed",
    "GapFound",
    "StateChanged",
    "DanmakuShown",
    "Answered",
    "Unknown",
    "Disconnected",
    "entered: events replayed",
    "entered: replayed",
    "entered: snapshot",
    "purchase sent again",
)
LISTINGS = st.sampled_from(["l1", "l2", "l3", "l4"])


def without_stock(snapshot: Snapshot) -> Snapshot:
    """Stock rides the state lane too, so it may be newer than the offset says."""
    sales = [
        msgspec.structs.replace(sale, stock=msgspec.structs.replace(sale.stock, epoch=0, seq=0, available={}))
        for sale in snapshot.sales
    ]
    return msgspec.structs.replace(snapshot, sales=sales)


class ClientMachine(RuleBasedStateMachine):
    reached: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.room = TinyRoom()
        self.now_ms = 0.0
        self.session = Session(MSGPACK, random=lambda: 0.5)
        self.session.join("r1", self.now_ms)
        self.wire: list[Downward] = []  # written by the server, not yet read by the client
        self.lossy = False  # this wire has lost a critical frame
        self.joined = False  # the server holds the session in the room's list
        self.cursor = 0
        self.n = 0
        self.told: tuple[int, int] | None = None  # place of the last critical happening
        self.waiting: set[str] = set()
        self.ended: dict[str, str] = {}
        self.carried_out: dict[str, int] = {}
        self.serial = 0
        self.frames_read = 0
        self.frames_missed = 0
        self.frames_numbered = 0  # numbered for this connection, and not lost with it
        self.stock_seq = 0
        self.shown: list[str] = []

    # -- the room lives --------------------------------------------------------------------------------

    @rule(listing_id=LISTINGS, what=st.sampled_from(["publish", "retitle", "withdraw", "explain"]))
    def list_something(self, listing_id: str, what: str) -> None:
        there = any(each.listing_id == listing_id for each in self.room.cart)
        if what == "publish" and not there:
            self.room.publish(listing_id)
        elif what == "retitle" and there:
            self.room.retitle(listing_id, f"at {self.room.offset}")
        elif what == "withdraw" and there:
            self.room.withdraw(listing_id)
        elif what == "explain" and there:
            self.room.explain(listing_id)

    @rule(what=st.sampled_from(["reverse", "stop", "mute", "lift", "delete", "pause", "live"]))
    def order_something(self, what: str) -> None:
        room = self.room
        match what:
            case "reverse":
                room.reverse()
            case "stop":
                if room.explaining:
                    room.stop_explaining()
            case "mute":
                room.mute("troll", room.now_ms + 3_600_000)
            case "lift":
                room.mute("troll", 0)
            case "delete":
                room.delete("d0")
            case "pause":
                room.turn(RoomStatus.PAUSED)
            case _:
                room.turn(RoomStatus.LIVE)

    @rule(units=st.integers(1, 3))
    def open_or_sell(self, units: int) -> None:
        if "sale1" not in self.room.sales:
            self.room.open_sale("sale1", 5)
            return
        left = self.room.stock["sale1"].available["red"]
        stock = self.room.sell("sale1", min(units, left) if left else -units)
        self.tick_frame(Frame(room="r1", t=self.room.now_ms, state=State(version=1, stock=[stock])))

    @rule()
    def say_something(self) -> None:
        self.serial += 1
        comment = Danmaku(f"d{self.serial}", "bob", "Bob", "hi")
        block = DanmakuBlock(offered=1, danmaku=[comment])
        self.tick_frame(Frame(room="r1", t=self.room.now_ms, danmaku=block))

    @rule(old=st.booleans(), version=st.integers(1, 50))
    def old_or_new_state(self, old: bool, version: int) -> None:
        """State out of order: an older stock must not win."""
        stock = self.room.stock.get("sale1")
        if stock is not None and old and stock.seq > 1:
            stale = self.room.stock_truth[stock.seq - 1]
            self.tick_frame(Frame(room="r1", t=1, state=State(version=version, stock=[stale])))
        self.tick_frame(Frame(room="r1", t=1, state=State(version=version, viewers=version)))

    @rule(dice=st.integers(0, 5))
    def history_is_lost(self, dice: int) -> None:
        if dice == 0:
            self.room.start_epoch(self.room.epoch + 10)
            self.joined_again()
        elif dice == 1:
            self.room.kept_from = self.room.offset + 1

    @rule(frames_first=st.booleans())
    def happens_while_away(self, frames_first: bool) -> None:
        """A short cut with events in it: the usual resume."""
        if self.session.open:
            self.cut(1006)
        self.room.turn(RoomStatus.LIVE)
        self.connect(frames_first)
        self.deliver(3, frames_first)

    # -- the server writes -----------------------------------------------------------------------------

    def tick_frame(self, frame: Frame) -> None:
        if self.joined:
            self.n += 1
            self.frames_numbered += 1
            self.wire.append(msgspec.structs.replace(frame, n=self.n, head=self.room.offset))

    @rule(overlap=st.integers(0, 3))
    def write_critical(self, overlap: int) -> None:
        """What the session's cursor has not had yet; maybe some of what it has."""
        if self.joined and self.cursor < self.room.offset:
            start = max(0, self.cursor - overlap)
            self.wire.append(self.room.critical(self.room.log[start:]))
            self.cursor = self.room.offset

    @precondition(lambda self: self.joined)
    @rule(count=st.integers(1, 3))
    def skip_frames(self, count: int) -> None:
        """A slow viewer: numbered, and not sent to it."""
        self.n += count
        self.frames_numbered += count

    @precondition(lambda self: any(isinstance(each, Frame) and each.critical for each in self.wire))
    @rule()
    def lose_a_critical_frame(self) -> None:
        """A server's mistake: the client must notice, not paper over it."""
        at = next(i for i, each in enumerate(self.wire) if isinstance(each, Frame) and each.critical)
        del self.wire[at]
        self.lossy = True

    @precondition(lambda self: self.joined and not self.wire)
    @rule()
    def lose_one_and_write_the_next(self) -> None:
        self.room.turn(RoomStatus.LIVE)
        self.cursor, self.lossy = self.room.offset, True
        self.room.turn(RoomStatus.PAUSED)
        self.write_critical(0)

    def joined_again(self) -> None:
        """A new epoch reaches sessions in the room as a snapshot."""
        if self.joined:
            whole = self.room.snapshot()
            self.wire.append(
                Frame(room="r1", t=self.room.now_ms, epoch=self.room.epoch, head=0, snapshot=whole)
            )
            self.cursor = self.room.offset

    # -- the client speaks -----------------------------------------------------------------------------

    @rule()
    def purchase(self) -> None:
        self.serial += 1
        command = commands.Purchase(
            id=f"buy{self.serial}", room="r1", sale_id="sale1", lines=[OrderLine(item_id="red")]
        )
        self.waiting.add(command.id)
        self.session.send(command, self.now_ms)
        self.hear()

    @precondition(lambda self: self.session.welcome is not None)
    @rule(frames_first=st.booleans())
    def comment(self, frames_first: bool) -> None:
        self.serial += 1
        command = commands.SendDanmaku(id=f"say{self.serial}", room="r1", text="hello")
        self.waiting.add(command.id)
        self.session.send(command, self.now_ms)
        self.hear(frames_first)

    def hear(self, frames_first: bool = False) -> None:
        """The server reads what the client has written."""
        for payload in self.session.payloads_to_send():
            command = MSGPACK.decode_command(payload)
            t = self.room.now_ms
            if isinstance(command, commands.Join):
                if not self.joined:
                    self.joined, self.n = True, 40  # numbering is the process's, not the session's
                    self.frames_numbered = self.frames_read = self.frames_missed = 0
                joined, frames = self.room.join(command, self.n)
                self.cursor = self.room.offset
                self.wire += [*frames, joined] if frames_first else [joined, *frames]
            elif isinstance(command, commands.Purchase):
                assert self.carried_out.get(command.id, 0) <= command.attempt
                self.carried_out[command.id] = command.attempt + 1
                self.reached["purchase sent again"] += command.attempt > 0
                self.wire.append(
                    PurchaseOutcome(id=command.id, t=t, sale_id=command.sale_id, outcome="reserved")
                )
            elif isinstance(command, commands.SendDanmaku):
                assert command.id not in self.carried_out, "sent twice"
                self.carried_out[command.id] = 1
                fate = Receipt(id=command.id, t=t, room="r1", fate=Fate.SHOWN, danmaku_id=f"of-{command.id}")
                own = Danmaku(f"of-{command.id}", "ann", "Ann", command.text)
                if not frames_first:
                    self.wire.append(fate)
                self.tick_frame(Frame(room="r1", t=t, danmaku=DanmakuBlock(offered=1, danmaku=[own])))
                if frames_first:
                    self.wire.append(fate)

    # -- the connection --------------------------------------------------------------------------------

    @precondition(lambda self: not self.session.open)
    @rule(frames_first=st.booleans())
    def connect(self, frames_first: bool) -> None:
        self.session.connected(self.now_ms)
        self.lossy = False
        welcome = Welcome(
            id="",
            t=self.room.now_ms,
            user_id="ann",
            role=Role.VIEWER,
            session_id="s",
            process="p",
            keepalive_ms=25_000,
            expires_at_ms=0,
        )
        self.watch(self.session.receive(MSGPACK.encode(welcome), self.now_ms))
        self.hear(frames_first)

    @precondition(lambda self: self.session.open)
    @rule(code=st.sampled_from([1006, 1001, 1013, 4008]))
    def cut(self, code: int) -> None:
        self.wire.clear()
        self.joined = False
        self.watch(self.session.disconnected(code, self.now_ms))
        assert self.session.reconnect_at_ms is not None

    @precondition(lambda self: self.wire)
    @rule(count=st.integers(1, 6), frames_first=st.booleans())
    def deliver(self, count: int, frames_first: bool) -> None:
        for _ in range(min(count, len(self.wire))):
            message = self.wire.pop(0)
            if isinstance(message, Frame) and message.n:
                self.frames_read += 1
            self.watch(self.session.receive(MSGPACK.encode(message), self.now_ms))
        self.hear(frames_first)

    @rule(milliseconds=st.integers(1, 6_000))
    def time_passes(self, milliseconds: int) -> None:
        self.now_ms += milliseconds
        self.room.now_ms += milliseconds
        if self.session.open:
            self.session.heard(self.now_ms)  # a ping
        self.watch(self.session.tick(self.now_ms))
        self.hear()

    # -- what must hold --------------------------------------------------------------------------------

    def watch(self, happenings: list[Happening]) -> None:
        for each in happenings:
            self.reached[type(each).__name__] += 1
            if isinstance(each, Happened):
                place = (each.epoch, each.envelope.offset)
                assert self.told is not None and place == (self.told[0], self.told[1] + 1)
                assert each.envelope == self.epoch_log(each.epoch)[each.envelope.offset]
                self.told = place
            elif isinstance(each, Snapshotted):
                place = (each.epoch, each.snapshot.offset)
                assert self.told is None or place >= self.told
                self.told = place
            elif isinstance(each, Entered):
                assert self.session.rooms["r1"].mirror.follows(each.epoch, each.offset)
                mode = "events replayed" if each.replayed else each.mode
                self.reached[f"entered: {mode}"] += 1
            elif isinstance(each, GapFound):
                assert self.lossy or each.epoch != (self.told or (0, 0))[0]
            elif isinstance(each, Missed):
                self.frames_missed += each.frames
            elif isinstance(each, StateChanged):
                for stock in each.stock:
                    assert stock.seq > self.stock_seq, "stock went back"
                    assert stock == self.room.stock_truth[stock.seq]
                    self.stock_seq = stock.seq
            elif isinstance(each, Answered | Unknown):
                assert each.command_id in self.waiting and each.command_id not in self.ended
                self.waiting.discard(each.command_id)
                self.ended[each.command_id] = type(each).__name__
                if isinstance(each, Unknown):
                    assert each.command_id.startswith("say")
            elif isinstance(each, DanmakuShown):
                self.shown += [one.danmaku_id for one in each.danmaku]
            elif isinstance(each, Disconnected):
                assert each.retry_in_ms is not None

    def epoch_log(self, epoch: int) -> dict[int, object]:
        if not hasattr(self, "logs"):
            self.logs: dict[int, dict[int, object]] = {}
        known = self.logs.setdefault(epoch, {})
        if epoch == self.room.epoch:
            known.update((each.offset, each) for each in self.room.log)
        return known

    @invariant()
    def the_mirror_is_the_truth_at_its_place(self) -> None:
        self.epoch_log(self.room.epoch)
        mirror = self.session.rooms["r1"].mirror
        if mirror.epoch is not None:
            truth = self.room.truth[(mirror.epoch, mirror.offset)]
            assert without_stock(mirror.snapshot()) == without_stock(truth)
            assert (mirror.epoch, mirror.offset) == self.told

    @invariant()
    def each_comment_is_shown_once(self) -> None:
        assert len(self.shown) == len(set(self.shown))

    def teardown(self) -> None:
        """Let everything arrive: then the client is up to date, and owes no command."""
        for _ in range(6):
            if not self.session.open:
                self.connect(False)
            self.write_critical(0)
            self.say_something()
            while self.wire:
                self.deliver(6, False)
            self.time_passes(6_000)
        mirror = self.session.rooms["r1"].mirror
        assert (mirror.epoch, mirror.offset) == (self.room.epoch, self.room.offset)
        assert without_stock(mirror.snapshot()) == without_stock(self.room.snapshot())
        assert self.frames_read + self.frames_missed == self.frames_numbered
        assert not self.waiting
        assert self.session.unmatched_replies == 0
        if "sale1" in self.room.sales and mirror.sale("sale1") is not None:
            sale = mirror.sale("sale1")
            assert sale is not None and sale.stock.seq <= self.room.stock["sale1"].seq


def test_whatever_happens_the_mirror_is_the_truth_at_its_place() -> None:
    ClientMachine.reached.clear()
    run_state_machine_as_test(
        ClientMachine, settings=settings(max_examples=300, stateful_step_count=40, deadline=None)
    )
    reached = ClientMachine.reached
    print(dict(reached))
    for what in EXPECTED:
        assert reached[what] > 0, f"no program reached {what}"
