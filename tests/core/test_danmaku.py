from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveserver.core import budget as budget_module
from liveserver.core import danmaku as danmaku_module
from liveserver.core import tally as tally_module
from liveserver.core.danmaku import DanmakuPool, Offered, Settled
from liveserver.core.limits import MERGE_WINDOW_MS, REMOTE_PER_TICK_MAX, TOMBSTONE_MS, USER_LINES_PER_S
from liveserver.core.priority import Priority, priority_of
from protocol.frames import DanmakuBlock
from protocol.types import Danmaku, Fate, Gift, Repeat, Role

from .make import NOW_MS, comment, many

TICK_MS = 100


def a_pool(budget_per_s: int = 30, seed: int = 1) -> DanmakuPool:
    return DanmakuPool(budget_per_s, rng=random.Random(seed))


def offer(pool: DanmakuPool, danmaku: Danmaku, now_ms: int = NOW_MS, priority: int = Priority.VIEWER) -> None:
    """The ticket is the comment's own id."""
    pool.offer(Offered(danmaku, priority, danmaku.danmaku_id), now_ms)


def collect(pool: DanmakuPool, now_ms: int = NOW_MS) -> tuple[DanmakuBlock, dict[str, Settled]]:
    block, settled = pool.collect(now_ms)
    assert block is not None
    assert_sums(block)
    return block, {one.ticket: one for one in settled}


def outgoing(pool: DanmakuPool) -> DanmakuBlock:
    block = pool.outgoing()
    assert block is not None
    assert_sums(block)
    return block


def assert_sums(block: DanmakuBlock) -> None:
    assert block.offered == len(block.danmaku) + len(block.gifts) + block.merged + block.shed


def remote(*danmaku: Danmaku, **counts: Any) -> DanmakuBlock:
    offered = len(danmaku) + counts.get("merged", 0) + counts.get("shed", 0) + len(counts.get("gifts", ()))
    return DanmakuBlock(offered=offered, danmaku=list(danmaku), **counts)


def texts(block: DanmakuBlock) -> list[str]:
    return [danmaku.text for danmaku in block.danmaku]


# -- merging -------------------------------------------------------------------------------------------


def test_different_comments_are_shown_in_the_order_they_came() -> None:
    pool = a_pool()
    for number in range(5):
        offer(pool, comment(f"d{number}", f"text {number}", f"u{number}"))
    block, settled = collect(pool)
    assert block == DanmakuBlock(
        offered=5, danmaku=[comment(f"d{n}", f"text {n}", f"u{n}") for n in range(5)]
    )
    assert settled["d3"] == Settled("d3", Fate.SHOWN, "d3")


def test_equal_comments_of_one_tick_become_one_with_a_count() -> None:
    pool = a_pool()
    offer(pool, comment("d1", "哈哈哈哈", "u1"))
    offer(pool, comment("d2", "哈哈哈哈哈哈哈哈", "u2"))
    offer(pool, comment("d3", "哈哈哈！", "u1"))
    block, settled = collect(pool)
    assert block == DanmakuBlock(
        offered=3, merged=2, danmaku=[comment("d1", "哈哈哈哈", "u1")], repeats=[Repeat("d1", 3)]
    )
    assert settled["d1"].fate is Fate.SHOWN
    assert settled["d2"] == settled["d3"]._replace(ticket="d2") == Settled("d2", Fate.MERGED, "d1")


def test_what_is_on_screen_is_counted_up_absolutely_and_not_shown_again() -> None:
    pool = a_pool()
    offer(pool, comment("d1", "888"))
    collect(pool)
    for step, expected in ((1, 2), (2, 3)):
        offer(pool, comment(f"more{step}", "8888"), NOW_MS + step * TICK_MS)
        block, settled = collect(pool, NOW_MS + step * TICK_MS)
        assert block == DanmakuBlock(offered=1, merged=1, repeats=[Repeat("d1", expected)])
        assert settled[f"more{step}"] == Settled(f"more{step}", Fate.MERGED, "d1")
        assert outgoing(pool).repeats == [Repeat("d1", 1)], "the others add up what came in this tick"
    assert pool.collect(NOW_MS + 3 * TICK_MS) == (None, [])
    assert pool.outgoing() is None


def test_a_wave_is_shown_afresh_after_the_window_however_often_it_was_repeated() -> None:
    pool = a_pool()
    offer(pool, comment("d1", "888"))
    collect(pool)
    offer(pool, comment("d2", "888"), NOW_MS + MERGE_WINDOW_MS - 1)
    block, _ = collect(pool, NOW_MS + MERGE_WINDOW_MS - 1)
    assert (block.danmaku, block.repeats) == ([], [Repeat("d1", 2)])
    offer(pool, comment("d3", "888"), NOW_MS + MERGE_WINDOW_MS)
    block, _ = collect(pool, NOW_MS + MERGE_WINDOW_MS)
    assert (texts(block), block.repeats) == (["888"], [])


def test_a_merged_line_bears_the_name_of_who_matters_most() -> None:
    pool = a_pool()
    offer(pool, comment("d1", "yes", "u1"))
    offer(pool, comment("d2", "yes", "host"), priority=Priority.STREAMER)
    offer(pool, comment("d3", "yes", "fan"), priority=Priority.FAN)
    block, settled = collect(pool)
    assert block.danmaku == [comment("d2", "yes", "host")]
    assert settled["d1"] == Settled("d1", Fate.MERGED, "d2")


def test_repeats_ride_free_of_the_budget() -> None:
    pool = a_pool(budget_per_s=1)
    offer(pool, comment("d1", "one"))
    collect(pool)
    for number in range(50):
        offer(pool, comment(f"r{number}", "one"))
    block, _ = collect(pool)
    assert (block.merged, block.shed, block.repeats) == (50, 0, [Repeat("d1", 51)])


# -- the budget ----------------------------------------------------------------------------------------


def flood(pool: DanmakuPool, count: int, now_ms: int, priority: int = Priority.VIEWER, tag: str = "") -> None:
    for number in range(count):
        name = f"{tag}{number}@{now_ms}"
        offer(pool, comment(name, f"text {name} x", f"user {name}"), now_ms, priority)


def test_one_seconds_worth_at_once_then_the_rate() -> None:
    pool = a_pool(budget_per_s=30)
    shown = []
    for tick in range(21):
        now_ms = NOW_MS + tick * TICK_MS
        flood(pool, 100, now_ms)
        block, settled = collect(pool, now_ms)
        shown.append(len(block.danmaku))
        assert block.shed == 100 - len(block.danmaku)
        assert Counter(one.reason for one in settled.values() if one.fate is Fate.LIMITED) == {
            "budget": block.shed
        }
    assert shown == [30] + [3] * 20


def test_a_smaller_share_of_the_budget_holds_at_once() -> None:
    pool = a_pool(budget_per_s=30)
    pool.budget.set_share(10_000)
    flood(pool, 100, NOW_MS)
    assert len(collect(pool)[0].danmaku) == 10
    flood(pool, 100, NOW_MS + TICK_MS)
    assert len(collect(pool, NOW_MS + TICK_MS)[0].danmaku) == 1


def test_a_share_of_less_than_a_line_a_second_is_a_line_now_and_then() -> None:
    pool = a_pool(budget_per_s=30)
    pool.budget.set_share(400)
    shown = []
    for second in range(10):
        flood(pool, 100, NOW_MS + second * 1_000)
        shown.append(len(collect(pool, NOW_MS + second * 1_000)[0].danmaku))
    assert shown == [1, 0, 0, 1, 0, 0, 1, 0, 0, 1]


def test_tightened_and_let_go_again() -> None:
    pool = a_pool(budget_per_s=30)
    shown = []
    for second, percent in enumerate((100, 50, 50, 10, 100)):
        pool.budget.tighten(percent)
        flood(pool, 100, NOW_MS + second * 1_000)
        shown.append(len(collect(pool, NOW_MS + second * 1_000)[0].danmaku))
    assert shown == [30, 15, 15, 3, 30], "of what was saved up, tightening takes its part"


def test_what_asks_for_a_line_is_counted_and_what_is_merged_asks_for_none() -> None:
    pool = a_pool(budget_per_s=3)
    flood(pool, 50, NOW_MS)
    for number in range(5):
        offer(pool, comment(f"d{number}", "same", f"u{number}"))
    block, _ = collect(pool)
    offer(pool, comment("more", block.danmaku[0].text))
    assert pool.budget.wanted == 51


def test_no_budget_sheds_all() -> None:
    pool = a_pool(budget_per_s=0)
    flood(pool, 3, NOW_MS)
    block, _ = collect(pool)
    assert (block.shed, block.danmaku) == (3, [])


def test_streamer_moderator_buyer_and_fan_are_kept_first() -> None:
    pool = a_pool(budget_per_s=4)
    flood(pool, 50, NOW_MS)
    for role in ("FAN", "BUYER", "MODERATOR", "STREAMER"):
        flood(pool, 1, NOW_MS, Priority[role], role)
    flood(pool, 50, NOW_MS, tag="later")
    block, _ = collect(pool)
    assert [danmaku.danmaku_id.split("0")[0] for danmaku in block.danmaku] == [
        "FAN",
        "BUYER",
        "MODERATOR",
        "STREAMER",
    ]


def test_what_is_merged_is_shed_with_its_line() -> None:
    pool = a_pool(budget_per_s=1)
    offer(pool, comment("host", "hello"), priority=Priority.STREAMER)
    for number in range(3):
        offer(pool, comment(f"d{number}", "same", f"u{number}"))
    block, settled = collect(pool)
    assert (texts(block), block.merged, block.shed, block.repeats) == (["hello"], 0, 3, [])
    assert settled["d2"] == Settled("d2", Fate.LIMITED, "", "budget")


def test_one_users_many_comments_count_against_himself_first() -> None:
    for seed in range(20):
        pool = a_pool(budget_per_s=4, seed=seed)
        for number in range(50):
            offer(pool, comment(f"loud{number}", f"loud {number} x", "loud"))
        for user in ("a", "b", "c"):
            offer(pool, comment(user, f"of {user}", user))
        block, _ = collect(pool)
        assert {danmaku.user_id for danmaku in block.danmaku} == {"loud", "a", "b", "c"}


def test_one_users_different_texts_are_a_few_lines_a_second_and_he_is_told() -> None:
    pool = a_pool(budget_per_s=1_000)
    shown, told = 0, Counter[tuple[Fate, str]]()
    for tick in range(10):
        now_ms = NOW_MS + tick * TICK_MS
        for number in range(5):
            name = f"{tick}.{number}"
            offer(pool, comment(name, f"buy from me {name} x", "loud"), now_ms)
        offer(pool, comment(f"calm{tick}", f"calm {tick} x", f"calm{tick}"), now_ms)
        block, settled = collect(pool, now_ms)
        shown += sum(danmaku.user_id == "loud" for danmaku in block.danmaku)
        told.update((one.fate, one.reason) for one in settled.values())
        assert settled[f"calm{tick}"].fate is Fate.SHOWN
        assert {one.retry_ms for one in settled.values() if one.reason == "rate"} <= {1_000 - tick * TICK_MS}
    assert shown == USER_LINES_PER_S
    assert told == {(Fate.SHOWN, ""): 10 + shown, (Fate.LIMITED, "rate"): 50 - shown}


def test_a_second_later_he_may_speak_again() -> None:
    pool = a_pool()
    for second in range(3):
        now_ms = NOW_MS + second * 1_000
        for number in range(10):
            offer(pool, comment(f"{second}.{number}", f"buy {second} from {number} x", "loud"), now_ms)
        assert len(collect(pool, now_ms)[0].danmaku) == USER_LINES_PER_S


def test_one_users_same_text_is_one_line_with_a_count_however_often() -> None:
    pool = a_pool()
    for tick in range(10):
        for number in range(100):
            offer(pool, comment(f"{tick}.{number}", "加薇", "loud"), NOW_MS + tick * TICK_MS)
        block, settled = collect(pool, NOW_MS + tick * TICK_MS)
        assert block.shed == 0
        assert {one.fate for one in settled.values()} <= {Fate.SHOWN, Fate.MERGED}
    assert block.repeats == [Repeat("0.0", 1_000)]


def test_the_lot_is_fair_among_equals() -> None:
    kept: Counter[int] = Counter()
    for seed in range(400):
        pool = a_pool(budget_per_s=5, seed=seed)
        for number in range(20):
            offer(pool, comment(f"d{number}", f"text {number} x", f"u{number}"))
        kept.update(int(danmaku.danmaku_id[1:]) for danmaku in collect(pool)[0].danmaku)
    assert sum(kept.values()) == 400 * 5
    # 100 expected of each, deviation 8.7: five of them either way (the seeds are fixed: never by chance)
    assert all(56 <= kept[number] <= 144 for number in range(20)), kept


def test_the_same_seed_gives_the_same_blocks() -> None:
    def night(seed: int) -> list[str]:
        pool = a_pool(budget_per_s=5, seed=seed)
        flood(pool, 50, NOW_MS)
        return texts(collect(pool)[0])

    assert night(3) == night(3)
    assert night(3) != night(4)


def test_more_texts_than_can_wait_are_shed_at_once_and_the_best_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(danmaku_module, "PENDING_TEXTS_MAX", 10)
    pool = a_pool(budget_per_s=100)
    flood(pool, 15, NOW_MS)
    flood(pool, 3, NOW_MS, Priority.MODERATOR, "mod")
    block, settled = collect(pool)
    assert (len(block.danmaku), block.merged, block.shed) == (10, 0, 8)
    assert {f"text mod{number}@{NOW_MS} x" for number in range(3)} <= set(texts(block))
    assert Counter(one.reason for one in settled.values()) == {"": 10, "budget": 8}


@pytest.mark.parametrize("seed", range(10))
def test_what_is_let_go_early_would_not_have_been_shown(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool that keeps few lines until the tick and one that keeps all show the same."""

    def shown(places: int) -> list[list[str]]:
        monkeypatch.setattr(budget_module, "PLACES_MIN", places)
        pool, random_ = a_pool(budget_per_s=3, seed=seed), random.Random(seed)
        blocks = []
        for tick in range(5):
            now_ms = NOW_MS + tick * 1_000
            for number in range(60):
                name = f"{tick}.{number}"
                priority = random_.choice([Priority.VIEWER] * 8 + [Priority.FAN, Priority.STREAMER])
                offer(pool, comment(name, f"text {name} x", f"u{random_.randrange(20)}"), now_ms, priority)
            blocks.append(texts(collect(pool, now_ms)[0]))
        return blocks

    assert shown(0) == shown(10_000)


def test_a_line_a_moderator_repeats_while_it_waits_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_module, "PLACES_MIN", 2)
    for seed in range(20):
        pool = a_pool(budget_per_s=1, seed=seed)
        flood(pool, 2, NOW_MS)
        offer(pool, comment("mod", f"text 1@{NOW_MS} x", "mod"), priority=Priority.MODERATOR)
        flood(pool, 50, NOW_MS, tag="later")
        block, settled = collect(pool)
        assert block.danmaku[0].danmaku_id == "mod"
        assert (settled[f"1@{NOW_MS}"].fate, block.merged) == (Fate.MERGED, 1)


def test_lines_taken_out_or_taken_over_leave_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_module, "PLACES_MIN", 2)
    pool = a_pool(budget_per_s=1)
    flood(pool, 2, NOW_MS, Priority.MODERATOR, "mod")
    pool.purge(f"mod0@{NOW_MS}")
    pool.merge_remote(remote(comment("r", f"text mod1@{NOW_MS} x", "r")), NOW_MS)
    flood(pool, 1, NOW_MS, tag="viewer")
    block, _ = collect(pool)
    assert texts(block) == [f"text mod1@{NOW_MS} x", f"text viewer0@{NOW_MS} x"]


def test_more_comments_than_can_wait_are_shed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(danmaku_module, "PENDING_ENTRIES_MAX", 4)
    pool = a_pool()
    for number in range(7):
        offer(pool, comment(f"d{number}", "same", f"u{number}"))
    block, _ = collect(pool)
    assert (block.merged, block.shed, block.repeats) == (3, 3, [Repeat("d0", 4)])


# -- gifts and entries ---------------------------------------------------------------------------------


def test_gifts_of_one_sender_in_a_tick_are_summed() -> None:
    pool = a_pool(budget_per_s=0)
    for gift, count in (("rose", 1), ("rose", 9), ("car", 1)):
        pool.offer_gift(Gift("u1", "Ann", gift, count))
    pool.offer_gift(Gift("u2", "Bob", "rose", 1))
    pool.entered(3)
    block, _ = collect(pool)
    assert block == DanmakuBlock(
        offered=4,
        merged=1,
        gifts=[Gift("u1", "Ann", "rose", 10), Gift("u1", "Ann", "car", 1), Gift("u2", "Bob", "rose", 1)],
        entered=3,
    )
    assert outgoing(pool) == block


def test_gift_lines_are_capped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "GIFT_LINES_MAX", 2)
    pool = a_pool()
    for user in ("a", "b", "c", "a"):
        pool.offer_gift(Gift(user, user, "rose", 1))
    block, _ = collect(pool)
    assert (len(block.gifts), block.merged, block.shed) == (2, 1, 1)


def test_entries_alone_make_a_block() -> None:
    pool = a_pool()
    pool.entered()
    assert collect(pool)[0] == DanmakuBlock(entered=1)


# -- other processes -----------------------------------------------------------------------------------


def test_what_others_send_is_shown_beside_the_budget_and_never_sent_on() -> None:
    pool = a_pool(budget_per_s=1)
    pool.merge_remote(remote(comment("r1", "one"), comment("r2", "two"), shed=4, entered=2), NOW_MS)
    offer(pool, comment("d1", "ours"))
    block, _ = collect(pool)
    assert (texts(block), block.offered, block.shed, block.entered) == (["one", "two", "ours"], 7, 4, 2)
    sent = outgoing(pool)
    assert (texts(sent), sent.offered, sent.shed, sent.entered) == (["ours"], 1, 0, 0)


def test_ours_join_anothers_equal_line() -> None:
    pool = a_pool(budget_per_s=0)
    offer(pool, comment("d1", "same"))
    pool.merge_remote(remote(comment("r1", "same", "ru"), merged=2, repeats=[Repeat("r1", 2)]), NOW_MS)
    offer(pool, comment("d2", "same"))
    block, settled = collect(pool)
    assert block == DanmakuBlock(
        offered=5, merged=4, danmaku=[comment("r1", "same", "ru")], repeats=[Repeat("r1", 5)]
    )
    assert settled["d1"] == Settled("d1", Fate.MERGED, "r1")
    assert outgoing(pool) == DanmakuBlock(offered=2, merged=2, repeats=[Repeat("r1", 2)])


def test_anothers_equal_line_joins_ours_and_its_later_counts_too() -> None:
    pool = a_pool()
    offer(pool, comment("d1", "same"))
    collect(pool)
    pool.merge_remote(remote(comment("r1", "same", "ru")), NOW_MS)
    block, _ = collect(pool)
    assert block == DanmakuBlock(offered=1, merged=1, repeats=[Repeat("d1", 2)])
    assert pool.outgoing() is None, "what we counted for them stays here"
    pool.merge_remote(remote(merged=3, repeats=[Repeat("r1", 3)]), NOW_MS)
    assert collect(pool)[0].repeats == [Repeat("d1", 5)]


def test_two_others_with_the_same_line_are_one() -> None:
    pool = a_pool()
    pool.merge_remote(remote(comment("r1", "same", "a")), NOW_MS)
    pool.merge_remote(remote(comment("r2", "same", "b"), merged=1, repeats=[Repeat("r2", 1)]), NOW_MS)
    block, _ = collect(pool)
    assert block == DanmakuBlock(
        offered=3, merged=2, danmaku=[comment("r1", "same", "a")], repeats=[Repeat("r1", 3)]
    )
    pool.merge_remote(remote(merged=1, repeats=[Repeat("r2", 1)]), NOW_MS)
    assert collect(pool)[0].repeats == [Repeat("r1", 4)]


def test_a_count_for_a_line_nobody_remembers_changes_no_screen() -> None:
    pool = a_pool()
    pool.merge_remote(remote(merged=3, repeats=[Repeat("gone", 3)]), NOW_MS)
    assert collect(pool)[0] == DanmakuBlock(offered=3, merged=3)


def test_others_are_capped_hard_and_counted() -> None:
    pool = a_pool()
    sent = [comment(f"r{number}", f"text {number} x") for number in range(REMOTE_PER_TICK_MAX + 5)]
    pool.merge_remote(remote(*sent), NOW_MS)
    block, _ = collect(pool)
    assert (len(block.danmaku), block.shed) == (REMOTE_PER_TICK_MAX, 5)


def test_gifts_of_both_sides_are_summed_on_the_screen_only() -> None:
    pool = a_pool()
    pool.offer_gift(Gift("u", "Ann", "rose", 2))
    pool.merge_remote(remote(gifts=[Gift("u", "Ann", "rose", 3), Gift("v", "Bo", "car", 1)]), NOW_MS)
    block, _ = collect(pool)
    assert block.gifts == [Gift("u", "Ann", "rose", 5), Gift("v", "Bo", "car", 1)]
    assert block.merged == 1
    assert outgoing(pool).gifts == [Gift("u", "Ann", "rose", 2)]


def test_a_block_that_lies_about_its_sum_is_counted_by_its_parts() -> None:
    pool = a_pool()
    pool.merge_remote(DanmakuBlock(offered=99, shed=1, danmaku=[comment("r1", "one")]), NOW_MS)
    assert collect(pool)[0].offered == 2


# -- moderation ----------------------------------------------------------------------------------------


def test_a_deleted_comment_neither_waits_nor_comes_back() -> None:
    pool = a_pool()
    offer(pool, comment("d1", "rude", "u1"))
    offer(pool, comment("d2", "rude", "u2"))
    offer(pool, comment("d3", "fine", "u3"))
    pool.purge("d1")
    pool.merge_remote(remote(comment("d1", "rude", "u1")), NOW_MS)
    block, settled = collect(pool)
    assert (texts(block), block.shed) == (["fine"], 3)
    assert settled["d1"] == Settled("d1", Fate.LIMITED, "", "deleted")
    assert settled["d2"] == Settled("d2", Fate.LIMITED, "", "deleted")


def test_a_deleted_comment_that_was_merged_takes_only_itself_away() -> None:
    pool = a_pool()
    for number in range(3):
        offer(pool, comment(f"d{number}", "same", f"u{number}"))
    pool.purge("d1")
    block, settled = collect(pool)
    assert (block.repeats, block.merged, block.shed) == ([Repeat("d0", 2)], 1, 1)
    assert settled["d1"].reason == "deleted"


def test_nothing_is_merged_into_a_deleted_line() -> None:
    pool = a_pool()
    offer(pool, comment("d1", "same", "u1"))
    collect(pool)
    offer(pool, comment("d2", "same", "u2"))
    pool.purge("d1")
    offer(pool, comment("d3", "same", "u3"))
    block, _ = collect(pool)
    assert [danmaku.danmaku_id for danmaku in block.danmaku] == ["d3"]
    assert block.repeats == []
    assert outgoing(pool).repeats == []


def test_a_muted_user_is_taken_out_and_others_keep_their_turn() -> None:
    pool = a_pool()
    offer(pool, comment("d1", "same", "rude"))
    offer(pool, comment("d2", "same", "nice"))
    offer(pool, comment("d3", "mine", "rude"))
    pool.merge_remote(remote(comment("r1", "theirs", "rude")), NOW_MS)
    pool.purge_user("rude")
    pool.merge_remote(remote(comment("r2", "late", "rude")), NOW_MS)
    block, settled = collect(pool)
    assert block.danmaku == [comment("d2", "same", "nice")]
    assert (block.offered, block.shed, block.repeats) == (5, 4, [])
    assert settled["d1"] == Settled("d1", Fate.LIMITED, "", "muted")
    assert settled["d2"].fate is Fate.SHOWN
    assert settled["d3"].reason == "muted"


def test_a_muted_users_line_on_screen_is_joined_no_more() -> None:
    pool = a_pool()
    offer(pool, comment("d1", "same", "rude"))
    collect(pool)
    pool.purge_user("rude")
    offer(pool, comment("d2", "same", "nice"))
    assert collect(pool)[0].danmaku == [comment("d2", "same", "nice")]


def test_ours_that_joined_a_muted_users_remote_line_stand_for_themselves() -> None:
    pool = a_pool()
    offer(pool, comment("d1", "same", "nice"))
    pool.merge_remote(remote(comment("r1", "same", "rude")), NOW_MS)
    pool.purge_user("rude")
    pool.merge_remote(remote(merged=3, repeats=[Repeat("r1", 3)]), NOW_MS)
    block, settled = collect(pool)
    assert (block.danmaku, block.shed, block.repeats) == ([comment("d1", "same", "nice")], 1, [])
    assert settled["d1"].fate is Fate.SHOWN


def test_anothers_line_deleted_before_the_tick_takes_ours_with_it() -> None:
    pool = a_pool()
    pool.merge_remote(remote(comment("r1", "rude", "a"), comment("r2", "fine", "b")), NOW_MS)
    offer(pool, comment("d1", "rude", "c"))
    pool.purge("r1")
    block, settled = collect(pool)
    assert (texts(block), block.shed) == (["fine"], 2)
    assert settled["d1"] == Settled("d1", Fate.LIMITED, "", "deleted")


def test_what_is_purged_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(danmaku_module, "PENDING_ENTRIES_MAX", 1)
    pool = a_pool()
    offer(pool, comment("d1", "one"))
    pool.purge("d1")
    offer(pool, comment("d2", "two"))
    assert texts(collect(pool)[0]) == ["two"]


def test_a_quiet_tick_dates_tombstones_too() -> None:
    pool = a_pool()
    pool.purge("d1")
    assert pool.collect(NOW_MS) == (None, [])
    pool.merge_remote(remote(comment("d1", "one")), NOW_MS + TOMBSTONE_MS)
    assert texts(collect(pool)[0]) == ["one"]


def test_tombstones_stand_for_a_minute_from_the_next_sign_of_time() -> None:
    pool = a_pool()
    pool.purge("d1")
    pool.purge_user("rude")
    late = remote(comment("d1", "one"), comment("r1", "two", "rude"))
    pool.merge_remote(late, NOW_MS)
    assert collect(pool)[0].shed == 2
    pool.merge_remote(late, NOW_MS + TOMBSTONE_MS - 1)
    assert collect(pool)[0].shed == 2
    pool.merge_remote(late, NOW_MS + TOMBSTONE_MS)
    assert texts(collect(pool)[0]) == ["one", "two"]


def test_a_lifted_mute_lets_others_chunks_in_again() -> None:
    pool = a_pool()
    pool.purge_user("u1")
    pool.lift("u1")
    pool.merge_remote(remote(comment("r1", "hello", "u1")), NOW_MS)
    assert texts(collect(pool)[0]) == ["hello"]


# -- always --------------------------------------------------------------------------------------------

users = st.sampled_from(["u1", "u2", "u3"])
words = st.sampled_from(["one", "two", "three", "888", "8888", "ONE!"])
ops = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), st.integers(0, 1), users, words, st.sampled_from(list(Priority))),
        st.tuples(st.just("gift"), st.integers(0, 1), users),
        st.tuples(st.just("collect"), st.integers(0, 1), st.sampled_from([0, 50, 100, 3_000, 11_000])),
        st.tuples(st.just("purge"), st.integers(0, 60)),
        st.tuples(st.just("mute"), users),
        st.tuples(st.just("lift"), users),
    ),
    max_size=60,
)


@many
@given(ops, st.integers(0, 3))
def test_nothing_vanishes_between_two_processes(steps: list[Any], budget_per_s: int) -> None:
    """Two pools that send each other what they show: every block sums up, every ticket is settled once, and
    what one viewer sees of the other process's traffic is counted, whatever is merged, shed or deleted."""
    pools = [a_pool(budget_per_s, seed) for seed in (1, 2)]
    now_ms, named = NOW_MS, 0
    waiting: list[set[str]] = [set(), set()]
    offered, sent, seen = [0, 0], [0, 0], [0, 0]
    for step in [*steps, ("collect", 0, 0), ("collect", 1, 0), ("collect", 0, 0), ("collect", 1, 0)]:
        match step:
            case ("offer", at, user, word, priority):
                named += 1
                offer(pools[at], comment(f"d{named}", word, user), now_ms, priority)
                waiting[at].add(f"d{named}")
                offered[at] += 1
            case ("gift", at, user):
                pools[at].offer_gift(Gift(user, user, "rose", 1))
                offered[at] += 1
            case ("purge", number):
                for pool in pools:
                    pool.purge(f"d{number}")
            case ("mute", user):
                for pool in pools:
                    pool.purge_user(user)
            case ("lift", user):
                for pool in pools:
                    pool.lift(user)
            case ("collect", at, passes_ms):
                now_ms += passes_ms
                block, settled = pools[at].collect(now_ms)
                tickets = [one.ticket for one in settled]
                assert len(tickets) == len(set(tickets))
                assert set(tickets) == waiting[at]
                waiting[at].clear()
                if block is not None:
                    assert_sums(block)
                    seen[at] += block.offered
                chunk = pools[at].outgoing()
                if chunk is not None:
                    assert_sums(chunk)
                    sent[at] += chunk.offered
                    pools[1 - at].merge_remote(chunk, now_ms)
    assert sent == offered
    assert seen == [sum(offered), sum(offered)]


@many
@given(ops)
def test_no_line_is_shown_twice_within_the_window(steps: list[Any]) -> None:
    pool = a_pool(budget_per_s=30)
    now_ms, named = NOW_MS, 0
    last_shown: dict[str, int] = {}
    for step in steps:
        if step[0] == "offer":
            named += 1
            offer(pool, comment(f"d{named}", step[3], step[2]), now_ms)
        elif step[0] == "collect":
            now_ms += step[2]
            block, _ = pool.collect(now_ms)
            for danmaku in block.danmaku if block else ():
                text = danmaku.text.casefold().strip("!")[:3]
                assert now_ms - last_shown.get(text, 0) >= MERGE_WINDOW_MS
                last_shown[text] = now_ms


@pytest.mark.parametrize(
    ("role", "buyer", "fan", "priority"),
    [
        (Role.STREAMER, True, True, Priority.STREAMER),
        (Role.MODERATOR, True, True, Priority.MODERATOR),
        (Role.VIEWER, True, True, Priority.BUYER),
        (Role.VIEWER, False, True, Priority.FAN),
        (Role.VIEWER, False, False, Priority.VIEWER),
        (Role.SERVICE, False, False, Priority.VIEWER),
    ],
)
def test_priority(role: Role, buyer: bool, fan: bool, priority: Priority) -> None:
    assert priority_of(role, buyer=buyer, fan=fan) is priority
