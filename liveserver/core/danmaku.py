"""One tick's danmaku of a room in this process: merge what is equal, keep to the budget, count everything.

Knows texts, priorities and time; nothing of sessions (a ticket is theirs, handed back untouched), frames or
the relay. Two walks meet here. What our own viewers say is offered, merged, sampled by the budget, and *also*
goes to the other processes (``outgoing``). What those send was budgeted where it arrived: it is merged with
ours, capped hard, put on our screens, and never sent on. Invariants, of every block collected:

- offered = len(danmaku) + len(gifts) + merged + shed, for the screen's block and the outgoing one alike;
- every ticket is settled exactly once, by the ``collect`` after its offer at the latest;
- nothing waits longer than one tick: what the budget can't show then is shed;
- a user has at most ``user_lines_per_s`` different lines a second, however many connections he has.
"""

from __future__ import annotations

import random

from protocol.frames import DanmakuBlock
from protocol.types import Danmaku, Fate, Gift, Repeat

from .blocks import outgoing_block, screen_block
from .budget import Budget
from .candidates import Candidates
from .limits import (
    DANMAKU_BUDGET_PER_S,
    MERGE_WINDOW_MS,
    PENDING_ENTRIES_MAX,
    PENDING_TEXTS_MAX,
    REMOTE_PER_TICK_MAX,
    USER_LINES_PER_S,
)
from .shown import ShownText, ShownTexts
from .speakers import Speakers
from .tally import Tally
from .text import normalise
from .tombstones import Tombstones
from .waiting import Offered, Settled, Waiting

__all__ = ["DanmakuPool", "Offered", "Settled"]


class DanmakuPool:
    """All calls but ``collect`` and the purges are O(1) (in the text's length). Pass a seeded ``rng``: the
    same calls then give the same blocks."""

    def __init__(
        self,
        budget_per_s: int = DANMAKU_BUDGET_PER_S,
        merge_window_ms: int = MERGE_WINDOW_MS,
        rng: random.Random | None = None,
        user_lines_per_s: int = USER_LINES_PER_S,
    ) -> None:
        self.budget = Budget(budget_per_s, rng or random.Random(0))
        self._speakers = Speakers(user_lines_per_s)
        self._candidates = Candidates()
        self._shown = ShownTexts(merge_window_ms)
        self._deleted = Tombstones()  # danmaku ids
        self._silenced = Tombstones()  # user ids
        self._outgoing: DanmakuBlock | None = None
        self._settled: list[Settled] = []
        self._start_tick()

    def _start_tick(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._candidates.clear()
        self._remote_waiting: dict[str, Waiting] = {}  # by the ids other processes know it by
        self._entries = 0
        self._ours = Tally()
        self._theirs = Tally()
        self._repeated: dict[str, ShownText] = {}  # lines whose count changed in this tick
        self._increments: dict[str, int] = {}  # by how much our own viewers raised it

    # -- what our viewers say --------------------------------------------------------------------------

    def offer(self, entry: Offered, now_ms: int) -> None:
        self._advance(now_ms)
        self._ours.offered += 1
        if entry.danmaku.danmaku_id in self._deleted:
            self._shed(entry, "deleted")
            return
        text = normalise(entry.danmaku.text)
        shown = self._shown.said(text)
        if shown is not None:
            self._join_shown(shown, entry)
        elif self._entries >= PENDING_ENTRIES_MAX:
            self._shed(entry, "budget")
        else:
            self._join_waiting(text, entry, now_ms)

    def offer_gift(self, gift: Gift) -> None:
        self._ours.gift(gift)

    def entered(self, count: int = 1) -> None:
        self._ours.entered += count

    def _join_shown(self, shown: ShownText, entry: Offered) -> None:
        self._ours.merged += 1
        self._count_up(shown, 1)
        self._raise(shown.danmaku_id, 1)
        self._settle(entry, Fate.MERGED, shown.danmaku_id)

    def _join_waiting(self, text: str, entry: Offered, now_ms: int) -> None:
        waiting = self._waiting.get(text)
        if waiting is None:
            user_id = entry.danmaku.user_id
            nth = self._speakers.next(user_id, now_ms)
            if nth is None:
                self._shed(entry, "rate", self._speakers.wait_ms(now_ms))
                return
            waiting = Waiting(text, nth, self.budget.asked())
            places = min(PENDING_TEXTS_MAX, self.budget.places)
            goes = self._candidates.enter(waiting, entry.priority, places)
            if goes is waiting:
                self._shed(entry, "budget")
                return
            if goes is not None:
                self._take_out(goes, goes.entries, "budget")
            self._waiting[text] = waiting
        self._entries += 1
        waiting.add(entry)

    # -- what other processes say ----------------------------------------------------------------------

    def merge_remote(self, block: DanmakuBlock, now_ms: int) -> None:
        """Take in what another process's ``outgoing`` gave. (Its own arithmetic is not trusted.)"""
        self._advance(now_ms)
        theirs = self._theirs
        theirs.offered += block.merged + block.shed + len(block.danmaku)
        theirs.merged += block.merged
        theirs.shed += block.shed
        theirs.entered += block.entered
        for danmaku in block.danmaku:
            self._take_remote(danmaku)
        for repeat in block.repeats:
            self._take_increment(repeat)
        for gift in block.gifts:
            theirs.gift(gift)

    def _take_remote(self, danmaku: Danmaku) -> None:
        if danmaku.danmaku_id in self._deleted or danmaku.user_id in self._silenced:
            self._theirs.shed += 1
            return
        text = normalise(danmaku.text)
        shown = self._shown.said(text)
        waiting = self._waiting.get(text)
        if shown is not None:
            self._theirs.merged += 1
            self._count_up(shown, 1)
            self._shown.alias(shown, danmaku.danmaku_id)
        elif waiting is not None and waiting.remote is not None:
            self._theirs.merged += 1
            waiting.more += 1
            waiting.aliases.append(danmaku.danmaku_id)
            self._remote_waiting[danmaku.danmaku_id] = waiting
        elif len(self._remote_waiting) >= REMOTE_PER_TICK_MAX:
            self._theirs.shed += 1
        else:
            if waiting is None:
                waiting = self._waiting[text] = Waiting(text)
            waiting.remote = danmaku
            self._remote_waiting[danmaku.danmaku_id] = waiting

    def _take_increment(self, repeat: Repeat) -> None:
        """A count for a line we don't know any more changes nothing."""
        shown = self._shown.by_id(repeat.danmaku_id)
        waiting = self._remote_waiting.get(repeat.danmaku_id)
        if shown is not None:
            self._count_up(shown, repeat.count)
        elif waiting is not None:
            waiting.more += repeat.count

    # -- the tick --------------------------------------------------------------------------------------

    def collect(self, now_ms: int) -> tuple[DanmakuBlock | None, list[Settled]]:
        """End the tick: what our screens show (None: nothing happened), and what became of the tickets."""
        self._advance(now_ms)
        kept = self._within_budget(now_ms)
        screen: list[Danmaku] = []
        own: list[Danmaku] = []
        for waiting in self._waiting.values():
            if waiting.remote is not None:
                screen.append(waiting.remote)
                self._show(waiting, waiting.remote, waiting.entries, now_ms)
            elif waiting.text in kept:
                first, *others = waiting.entries
                screen.append(first.danmaku)
                own.append(first.danmaku)
                self._settle(first, Fate.SHOWN, first.danmaku.danmaku_id)
                self._show(waiting, first.danmaku, others, now_ms)
            else:
                for entry in waiting.entries:
                    self._shed(entry, "budget")
        repeated = (Repeat(shown.danmaku_id, shown.count) for shown in self._repeated.values())
        block = screen_block(self._ours, self._theirs, screen, repeated)
        increments = (Repeat(danmaku_id, count) for danmaku_id, count in self._increments.items())
        self._outgoing = outgoing_block(self._ours, own, increments)
        settled, self._settled = self._settled, []
        self._start_tick()
        return block, settled

    def outgoing(self) -> DanmakuBlock | None:
        """Our own viewers' part of the last ``collect``, for the other processes; None: nothing to send.

        Its ``repeats`` count what came *in this tick* (not since the first), so that counts of several
        processes add up. Never send what ``collect`` returned: others' comments would go round for ever.
        """
        return self._outgoing

    def _within_budget(self, now_ms: int) -> set[str]:
        ours = [waiting for waiting in self._waiting.values() if waiting.remote is None]
        return {waiting.text for waiting in self.budget.choose(ours, now_ms)}

    def _show(self, waiting: Waiting, line: Danmaku, merged: list[Offered], now_ms: int) -> None:
        shown = self._shown.show(waiting.text, line, 1, now_ms)
        for danmaku_id in waiting.aliases:
            self._shown.alias(shown, danmaku_id)
        if waiting.more:
            self._count_up(shown, waiting.more)
        if merged:
            self._ours.merged += len(merged)
            self._count_up(shown, len(merged))
            self._raise(line.danmaku_id, len(merged))
        for entry in merged:
            self._settle(entry, Fate.MERGED, line.danmaku_id)

    # -- moderation ------------------------------------------------------------------------------------

    def purge(self, danmaku_id: str) -> None:
        """A comment was deleted. Equal ones that wait to be merged into it go with it."""
        self._deleted.bury(danmaku_id)
        self._no_more_repeats(self._shown.forget(danmaku_id))
        for waiting in list(self._waiting.values()):
            line = waiting.remote or waiting.entries[0].danmaku
            if line.danmaku_id == danmaku_id:
                self._take_out(waiting, waiting.entries, "deleted", remote=True)
            else:
                named = [entry for entry in waiting.entries if entry.danmaku.danmaku_id == danmaku_id]
                self._take_out(waiting, named, "deleted")

    def purge_user(self, user_id: str) -> None:
        """A user was muted. Others who said the same keep their turn."""
        self._silenced.bury(user_id)
        self._no_more_repeats(self._shown.forget_user(user_id))
        for waiting in list(self._waiting.values()):
            said = [entry for entry in waiting.entries if entry.danmaku.user_id == user_id]
            remote = waiting.remote is not None and waiting.remote.user_id == user_id
            self._take_out(waiting, said, "muted", remote=remote)

    def lift(self, user_id: str) -> None:
        """The mute was lifted: what other processes send of this user may come again."""
        self._silenced.lift(user_id)

    def _take_out(self, waiting: Waiting, gone: list[Offered], reason: str, *, remote: bool = False) -> None:
        """Shed these entries (and the other process's line, if asked to); the rest stays in order."""
        for entry in gone:
            self._shed(entry, reason)
        self._entries -= len(gone)
        waiting.drop(gone)
        if remote and waiting.remote is not None:
            self._theirs.shed += 1
            del self._remote_waiting[waiting.remote.danmaku_id]
            waiting.remote = None
        if waiting.remote is None and not waiting.entries:
            waiting.out = True
            del self._waiting[waiting.text]

    def _no_more_repeats(self, lines: list[ShownText]) -> None:
        for shown in lines:
            self._repeated.pop(shown.danmaku_id, None)
            self._increments.pop(shown.danmaku_id, None)

    # -- small steps -----------------------------------------------------------------------------------

    def _advance(self, now_ms: int) -> None:
        self._shown.advance(now_ms)
        self._deleted.advance(now_ms)
        self._silenced.advance(now_ms)

    def _count_up(self, shown: ShownText, by: int) -> None:
        shown.count += by
        self._repeated[shown.danmaku_id] = shown

    def _raise(self, danmaku_id: str, by: int) -> None:
        self._increments[danmaku_id] = self._increments.get(danmaku_id, 0) + by

    def _shed(self, entry: Offered, reason: str, retry_ms: int = 0) -> None:
        self._ours.shed += 1
        self._settle(entry, Fate.LIMITED, reason=reason, retry_ms=retry_ms)

    def _settle(
        self, entry: Offered, fate: Fate, danmaku_id: str = "", reason: str = "", retry_ms: int = 0
    ) -> None:
        if entry.ticket is not None:
            self._settled.append(Settled(entry.ticket, fate, danmaku_id, reason, retry_ms))
