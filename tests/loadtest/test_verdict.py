"""The verdict on a right night, and on the same night tampered with: exactly the right checks turn red."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from loadtest.verdict import CHECKS, judge, load

from .night import AUDIENCE, EXITS, STORE, Lines, Twist, play, rewrite


def red(directory: Path) -> set[str]:
    checks = judge(load(directory))["checks"]
    return {name for name, finding in checks.items() if not finding["ok"]}


def test_a_right_night_holds_and_every_check_saw_something(tmp_path: Path) -> None:
    verdict = judge(load(play(tmp_path)))
    assert verdict["ok"], verdict
    assert list(verdict["checks"]) == list(CHECKS)
    assert all(finding["examined"] > 0 for finding in verdict["checks"].values())


def test_an_empty_journal_fails_every_check(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_bytes(b'{"version": 1, "room": "r"}')
    assert red(tmp_path) == set(CHECKS)


# -- tampering -----------------------------------------------------------------------------------------


def downs(lines: Lines, kind: str) -> Iterator[tuple[int, Any]]:
    for index, line in enumerate(lines):
        if isinstance(line, dict) and line["k"] == "down" and line["m"]["type"] == kind:
            yield index, line["m"]


def blobs(lines: Lines, part: str) -> Iterator[Any]:
    return (
        line["m"] for line in lines if isinstance(line, dict) and line["k"] == "blob" and part in line["m"]
    )


def receptions(lines: Lines, part: str, c: int | None = None) -> list[int]:
    """Indices of receptions of frames that have this part, by one connection or any."""
    having = {
        line["b"] for line in lines if isinstance(line, dict) and line["k"] == "blob" and part in line["m"]
    }
    return [
        index
        for index, line in enumerate(lines)
        if isinstance(line, list) and line[2] in having and c in (None, line[1])
    ]


def drop_a_critical_event(lines: Lines) -> None:
    del lines[receptions(lines, "critical", c=4)[1]]


def double_a_critical_event(lines: Lines) -> None:
    at = receptions(lines, "critical", c=4)[1]
    lines.insert(at, list(lines[at]))


def another_event_for_one(lines: Lines) -> None:
    """One viewer alone is told another title: a blob of its own."""
    at = receptions(lines, "critical", c=5)[0]
    blob = next(x for x in lines if isinstance(x, dict) and x["k"] == "blob" and x["b"] == lines[at][2])
    forged = orjson.loads(orjson.dumps({**blob, "b": 9_999}))
    forged["m"]["critical"][0]["event"]["listing"]["title"] = "另一件"
    lines[at][2] = 9_999
    lines.insert(at, forged)


def cart_differs(lines: Lines) -> None:
    """The snapshot of whoever came late shows another cart."""
    next(m for m in blobs(lines, "snapshot") if m["snapshot"]["listings"])["snapshot"]["listings"].clear()


def stock_goes_back(lines: Lines) -> None:
    """The last states' version moves back, so screens stay at an older stock."""
    for frame in blobs(lines, "state"):
        for stock in frame["state"]["stock"]:
            if stock["status"] == "closed":
                stock["seq"] -= 4
    for frame in blobs(lines, "critical"):
        for envelope in frame["critical"]:
            if envelope["event"]["type"] == "saleClosed":
                envelope["event"]["stock"]["seq"] -= 4


def reply_doubled(lines: Lines) -> None:
    at, _ = next(downs(lines, "outcome"))
    lines.insert(at, lines[at])


def reply_lost(lines: Lines) -> None:
    del lines[next(at for at, m in downs(lines, "outcome") if m["outcome"] == "sold_out")]


def another_reservation_for_the_resend(lines: Lines) -> None:
    _, told = next((at, m) for at, m in downs(lines, "outcome") if m.get("replayed"))
    told["reservation"]["reservationId"] = "s1~v1~0"
    told["reservation"]["commandId"] = "b-v1"


def refused_after_the_grant(lines: Lines) -> None:
    _, told = next((at, m) for at, m in downs(lines, "outcome") if m.get("replayed"))
    told.update(outcome="limit_reached", reservation=None, replayed=False)


def sold_out_while_units_were_there(lines: Lines) -> None:
    _, told = next((at, m) for at, m in downs(lines, "outcome") if m["outcome"] == "sold_out")
    told["seq"] = 2


def danmaku_frame_lost(lines: Lines) -> None:
    del lines[receptions(lines, "danmaku", c=4)[1]]


def danmaku_frame_doubled(lines: Lines) -> None:
    at = receptions(lines, "danmaku", c=4)[1]
    lines.insert(at, list(lines[at]))


def block_counts_lie(lines: Lines) -> None:
    for frame in blobs(lines, "danmaku"):
        if frame["n"] == 1:
            frame["danmaku"]["shed"] = 0


def shown_to_nobody(lines: Lines) -> None:
    _, receipt = next(downs(lines, "receipt"))
    receipt["danmakuId"] = "d-never"


def closed_by_our_fault(lines: Lines) -> None:
    shut = next(x for x in lines if isinstance(x, dict) and x["k"] == "shut")
    shut.update(by="server", code=1011)


def killed_before_the_end(lines: Lines) -> None:
    lines.pop()


def feed(lines: Lines, kind: str) -> Iterator[Any]:
    return (x for x in lines if x["k"] == "feed" and x["fields"]["kind"] == kind)


def feed_row_removed(lines: Lines) -> None:
    lines.remove(next(feed(lines, "confirm")))


def rebuilt_in_the_end(lines: Lines) -> None:
    """The rows of a rebuild, behind all others."""
    at = max(k for k, line in enumerate(lines) if line["k"] == "feed" and line["sale"] == "s1")
    epoch, seq = map(int, lines[at]["id"].split("-"))
    for nth, kind in enumerate(("rebuild", "recover", "correct", "reopen"), start=1):
        row = {"kind": kind, "first": str(seq + nth), "at": lines[at]["fields"]["at"], "base": "64"}
        row |= {"orders": "zoe 9 c9 0=1 r0", "due": "0", "actor": "eve", "command": "x", "since": "0"}
        lines.insert(at + nth, {**lines[at], "id": f"{epoch + 1}-{seq + nth}", "fields": row})


def sale_never_closed(lines: Lines) -> None:
    lines.remove(next(feed(lines, "close")))


def opened_with_more(lines: Lines) -> None:
    row = next(feed(lines, "open"))
    row["fields"]["items"] = "red:M=5"


def limit_loosened(lines: Lines) -> None:
    next(feed(lines, "open"))["fields"]["limit"] = "5"


def written_counted_twice(lines: Lines) -> None:
    metrics = next(x for x in lines if x["k"] == "metrics")
    metrics["text"] = (
        metrics["text"]
        .replace('danmaku_units_total{fate="written"} ', "&1")
        .replace("&1", 'danmaku_units_total{fate="written"} 1')
    )


def paused_hides_a_loss(lines: Lines) -> None:
    """The server's own sum still closes: one unit moved from written to paused."""
    metrics = next(x for x in lines if x["k"] == "metrics")
    out = []
    for line in metrics["text"].splitlines():
        name, value = line.split(" ")
        if "fate" not in name:
            out.append(line)
            continue
        change = {"written": -1.0, "paused": 1.0} if "danmaku" in name else {}
        fate = name.split('"')[1]
        out.append(f"{name} {float(value) + change.get(fate, 0)}")
    metrics["text"] = "\n".join(out)


def critical_counter_wrong(lines: Lines) -> None:
    metrics = next(x for x in lines if x["k"] == "metrics")
    metrics["text"] = metrics["text"].replace(
        'critical_units_total{fate="replayed"} ', 'critical_units_total{fate="replayed"} 9'
    )


def connection_forgotten(lines: Lines) -> None:
    metrics = next(x for x in lines if x["k"] == "metrics")
    metrics["text"] = metrics["text"].replace("handshakes_accepted_total ", "handshakes_accepted_total 1")


def exit_code_not_zero(lines: Lines) -> None:
    lines[0]["code"] = -9


def told_of_a_command_never_sent(lines: Lines) -> None:
    at, told = next(downs(lines, "outcome"))
    stranger = {**lines[at], "m": {**told, "id": "stranger", "outcome": "closed", "reservation": None}}
    lines.insert(at, stranger)


def grant_never_told(lines: Lines) -> None:
    """The buyer's line was cut before the answer, and nobody looked it up."""
    at, _ = next((at, m) for at, m in downs(lines, "outcome") if m["id"] == "b-v1")
    c = lines.pop(at)["c"]
    next(x for x in lines if isinstance(x, dict) and x["k"] == "shut" and x["c"] == c)["by"] = "eof"


def looked_up(lines: Lines, user: str, reservation: dict[str, Any] | None) -> None:
    asked = {"user": user, "command": f"b-{user}"}
    status = 404 if reservation is None else 200
    answer = {"asked": asked, "reservation": reservation}
    call = {"k": "call", "ms": 0, "method": "GET", "path": "/", "status": status, "answer": answer}
    lines.insert(1, call)


def lookup_names_another(lines: Lines) -> None:
    looked_up(lines, "v1", {"reservationId": "s1~v3~0"})


def lookup_knows_of_a_refused_one(lines: Lines) -> None:
    looked_up(lines, "v4", {"reservationId": "s1~v4~0"})


def answer_stays_pending(lines: Lines) -> None:
    next(m for _, m in downs(lines, "outcome") if m["id"] == "b-v4")["outcome"] = "pending"


def granted_just_now_twice(lines: Lines) -> None:
    del next(m for _, m in downs(lines, "outcome") if m.get("replayed"))["replayed"]


def resume_by_snapshot(lines: Lines) -> None:
    next(m for _, m in downs(lines, "joined") if m["mode"] == "replayed")["mode"] = "snapshot"


def replay_never_came(lines: Lines) -> None:
    c = next(lines[at]["c"] for at, m in downs(lines, "joined") if m["mode"] == "replayed")
    del lines[receptions(lines, "critical", c=c)[0]]


def joined_afresh_without_a_snapshot(lines: Lines) -> None:
    del lines[receptions(lines, "snapshot", c=5)[0]]


def last_event_lost(lines: Lines) -> None:
    """Nothing comes after it that would show the gap."""
    del lines[receptions(lines, "critical", c=5)[-1]]


def snapshot_out_of_the_blue(lines: Lines) -> None:
    at = receptions(lines, "snapshot", c=5)[0]
    lines.insert(receptions(lines, "danmaku", c=5)[0], list(lines[at]))


def never_settled(lines: Lines) -> None:
    lines.remove(next(x for x in lines if isinstance(x, dict) and x["k"] == "mark"))


def cut_and_not_back(lines: Lines) -> None:
    next(x for x in reversed(lines) if x["k"] == "shut").update(ms=0, by="abort")


def a_wrong_stock_shown(lines: Lines) -> None:
    """In a frame that later ones correct."""
    next(m for m in blobs(lines, "state") if m["state"]["stock"])["state"]["stock"][0]["available"][
        "red:M"
    ] += 1


def another_frame_under_the_same_number(lines: Lines) -> None:
    at = receptions(lines, "danmaku", c=5)[0]
    blob = next(x for x in lines if isinstance(x, dict) and x["k"] == "blob" and x["b"] == lines[at][2])
    forged = orjson.loads(orjson.dumps({**blob, "b": 9_999}))
    forged["m"]["danmaku"]["danmaku"][0][3] = "别的"
    lines[at][2] = 9_999
    lines.insert(at, forged)


def frame_lost_for_everybody(lines: Lines) -> None:
    frame = {x["b"] for x in lines if isinstance(x, dict) and x["k"] == "blob" and x["m"].get("n") == 3}
    lines[:] = [x for x in lines if not isinstance(x, list) or x[2] not in frame]


def audience_at_fault(lines: Lines) -> None:
    lines.insert(1, {"k": "fault", "ms": 0, "where": "v1", "what": "KeyError"})


def restocked_without_a_row(lines: Lines) -> None:
    command = {"type": "adjustStock", "id": "a1", "room": "r", "saleId": "s1", "itemId": "red:M", "delta": 5}
    done = {"type": "done", "id": "a1", "t": 0}
    at = max(k for k, x in enumerate(lines) if isinstance(x, dict) and x["k"] == "cmd" and x["c"] == 1) + 2
    ms = lines[at - 1]["ms"]
    lines[at:at] = [
        {"k": "cmd", "ms": ms, "c": 1, "m": command},
        {"k": "down", "ms": ms, "c": 1, "m": done},
    ]


def event_not_in_the_stream(lines: Lines) -> None:
    lines.remove(next(x for x in lines if x["k"] == "stream"))


def feed_missing(lines: Lines) -> None:
    lines[:] = [x for x in lines if x["k"] != "feed"]


def counters_missing(lines: Lines) -> None:
    next(x for x in lines if x["k"] == "metrics")["text"] = ""


def state_counter_wrong(lines: Lines) -> None:
    metrics = next(x for x in lines if x["k"] == "metrics")
    metrics["text"] = metrics["text"].replace('fate="updates"} 40', 'fate="updates"} 41')


def exits_unknown(lines: Lines) -> None:
    lines.clear()


# -- the second sale -----------------------------------------------------------------------------------


def adjusted_by_another(lines: Lines) -> None:
    next(feed(lines, "adjust"))["fields"]["actor"] = "mallory"


def adjusted_for_another_reason(lines: Lines) -> None:
    next(feed(lines, "adjust"))["fields"]["reason"] = "没有理由"


def told_paused_before_the_pause(lines: Lines) -> None:
    next(m for _, m in downs(lines, "outcome") if m["outcome"] == "paused")["seq"] = 2


def told_limit_reached_with_room(lines: Lines) -> None:
    told = next(
        m for _, m in downs(lines, "outcome") if m["outcome"] == "limit_reached" and m["saleId"] == "s2"
    )
    told["seq"] = 1


def notice(lines: Lines, kind: str) -> int:
    return next(at for at, m in downs(lines, "notice") if m["kind"] == kind)


def holder_not_told(lines: Lines) -> None:
    del lines[notice(lines, "reservationFrozen")]


def holder_told_twice(lines: Lines) -> None:
    at = notice(lines, "reservationFrozen")
    lines.insert(at, lines[at])


def another_told_of_the_freeze(lines: Lines) -> None:
    told = lines[notice(lines, "reservationFrozen")]
    reservation = {**told["m"]["reservation"], "reservationId": "s2~v0~0"}
    stranger = next(x["c"] for x in lines if isinstance(x, dict) and x["k"] == "open" and x["user"] == "v0")
    lines.insert(lines.index(told), {**told, "c": stranger, "m": {**told["m"], "reservation": reservation}})


def told_frozen_too_early(lines: Lines) -> None:
    next(m for _, m in downs(lines, "outcome") if m["outcome"] == "frozen")["seq"] = 5


def frozen_by_nobody(lines: Lines) -> None:
    command = next(
        x["m"] for x in lines if isinstance(x, dict) and x["k"] == "cmd" and x["m"]["type"] == "freezeSale"
    )
    lines[:] = [x for x in lines if not isinstance(x, dict) or x.get("m", {}).get("id") != command["id"]]


def freeze_not_carried_out(lines: Lines) -> None:
    """A pause in its place."""
    next(feed(lines, "freeze"))["fields"].update(kind="pause")


def paid_after_the_freeze(lines: Lines) -> None:
    """The order service was told so; the feed knows nothing of it."""
    at = next(
        k
        for k, x in enumerate(lines)
        if isinstance(x, dict) and x["k"] == "down" and x["m"].get("outcome") == "frozen"
    )
    asked, c = next(
        (m, x["c"])
        for x in lines
        if isinstance(x, dict) and x["k"] == "cmd" and (m := x["m"])["type"] == "confirm"
    )
    held = lines[notice(lines, "reservationFrozen")]["m"]["reservation"]
    command = {**asked, "id": "late-pay", "reservationId": held["reservationId"]}
    told = {"type": "reservation", "id": "late-pay", "reservation": {**held, "state": "confirmed"}, "t": 0}
    ms = lines[at]["ms"]
    lines[at:at] = [{"k": "cmd", "ms": ms, "c": c, "m": command}, {"k": "down", "ms": ms, "c": c, "m": told}]


def refund_not_told(lines: Lines) -> None:
    del lines[notice(lines, "reservationRefundDue")]


def refund_told_twice(lines: Lines) -> None:
    at = notice(lines, "reservationRefundDue")
    lines.insert(at, lines[at])


def another_end_told_to_the_service(lines: Lines) -> None:
    told = next(m for _, m in downs(lines, "reservation") if m["reservation"]["state"] == "refund_due")
    told["reservation"]["state"] = "released"


def return_not_told(lines: Lines) -> None:
    del lines[notice(lines, "reservationReturned")]


def limit_kept_against_the_order(lines: Lines) -> None:
    next(feed(lines, "return"))["fields"]["limit"] = "kept"


def return_not_in_the_feed(lines: Lines) -> None:
    """Something else in its place."""
    next(feed(lines, "return"))["fields"].update(kind="resume", actor="eve")


def returned_unasked(lines: Lines) -> None:
    ids = [
        x["m"]["id"] for x in lines if isinstance(x, dict) and x["k"] == "cmd" and x["m"]["type"] == "return"
    ]
    lines[:] = [x for x in lines if not isinstance(x, dict) or x.get("m", {}).get("id") != ids[1]]


def another_place_in_line_told(lines: Lines) -> None:
    next(m for _, m in downs(lines, "outcome") if m["outcome"] == "waiting")["ahead"] = 1


def served_not_told(lines: Lines) -> None:
    del lines[notice(lines, "reservationServed")]


def skipped_told_twice(lines: Lines) -> None:
    at = notice(lines, "reservationSkipped")
    lines.insert(at, lines[at])


def more_places_than_asked_for(lines: Lines) -> None:
    list(feed(lines, "open"))[1]["fields"]["waitlist"] = "9"


def fewer_places_than_stood_in_line(lines: Lines) -> None:
    list(feed(lines, "open"))[1]["fields"]["waitlist"] = "2"


OF_THE_FEED = {
    *("no_oversell", "nothing_stranded", "state_equal", "user_limit"),
    *("adjusts", "line", "late_payments", "returns", "freeze"),
}

TAMPERINGS: list[tuple[str, Callable[[Lines], None], set[str], str]] = [
    (STORE, rebuilt_in_the_end, {"no_oversell", "one_outcome"}, "a rebuilt sale is proved by"),
    # What is explained is a critical event: whoever misses it also looks at another room.
    (AUDIENCE, drop_a_critical_event, {"critical_gapless", "conservation", "state_equal"}, "got event"),
    (AUDIENCE, double_a_critical_event, {"critical_gapless", "conservation"}, "got event"),
    (AUDIENCE, another_event_for_one, {"critical_gapless", "state_equal"}, "another event"),
    (AUDIENCE, resume_by_snapshot, {"critical_gapless"}, "and got a snapshot"),
    (AUDIENCE, replay_never_came, {"critical_gapless", "conservation"}, "got event"),
    (AUDIENCE, joined_afresh_without_a_snapshot, {"critical_gapless"}, "before the snapshot"),
    (AUDIENCE, last_event_lost, {"critical_gapless", "conservation"}, "ended at ("),
    (AUDIENCE, snapshot_out_of_the_blue, {"critical_gapless"}, "nobody promised"),
    (AUDIENCE, cart_differs, {"state_equal"}, "has another cart"),
    (AUDIENCE, stock_goes_back, {"state_equal", "critical_gapless"}, "ended at s1 seq"),
    (AUDIENCE, a_wrong_stock_shown, {"state_equal"}, "was shown"),
    (AUDIENCE, never_settled, {"state_equal"}, "never settled"),
    (AUDIENCE, cut_and_not_back, {"state_equal"}, "did not come back"),
    (AUDIENCE, reply_doubled, {"one_outcome"}, "answered 3 times"),
    (AUDIENCE, reply_lost, {"one_outcome"}, "answered 0 times"),
    (AUDIENCE, told_of_a_command_never_sent, {"one_outcome"}, "never sent there"),
    (AUDIENCE, grant_never_told, {"one_outcome"}, "never heard of it"),
    (AUDIENCE, another_reservation_for_the_resend, {"one_outcome", "no_oversell"}, "several reservations"),
    (AUDIENCE, granted_just_now_twice, {"one_outcome"}, "granted just now"),
    (AUDIENCE, refused_after_the_grant, {"one_outcome"}, "then limit_reached"),
    (AUDIENCE, lookup_names_another, {"one_outcome"}, "the lookup says"),
    (AUDIENCE, lookup_knows_of_a_refused_one, {"one_outcome"}, "a lookup knows"),
    (AUDIENCE, answer_stays_pending, {"one_outcome"}, "never came to an end"),
    (AUDIENCE, sold_out_while_units_were_there, {"nothing_stranded"}, "were there for"),
    (AUDIENCE, restocked_without_a_row, {"no_oversell", "adjusts"}, "was adjusted by"),
    (AUDIENCE, danmaku_frame_lost, {"conservation"}, "danmaku paused"),
    (AUDIENCE, danmaku_frame_doubled, {"conservation"}, "after"),
    (AUDIENCE, frame_lost_for_everybody, {"conservation"}, "reached nobody"),
    (AUDIENCE, another_frame_under_the_same_number, {"conservation"}, "was not the same"),
    (AUDIENCE, block_counts_lie, {"conservation"}, "its block has"),
    (AUDIENCE, shown_to_nobody, {"conservation"}, "nobody saw it"),
    (AUDIENCE, closed_by_our_fault, {"clean_exit"}, "code 1011"),
    (AUDIENCE, killed_before_the_end, {"clean_exit"}, "before its end"),
    (AUDIENCE, audience_at_fault, {"clean_exit"}, "KeyError"),
    (STORE, feed_row_removed, {"no_oversell", "nothing_stranded"}, "the next row covers"),
    (STORE, feed_missing, OF_THE_FEED, "has no feed"),
    (STORE, sale_never_closed, {"nothing_stranded", "state_equal"}, "never closed"),
    (STORE, opened_with_more, {"no_oversell", "nothing_stranded", "state_equal"}, "opened with"),
    (STORE, limit_loosened, {"user_limit"}, "was asked for"),
    (STORE, event_not_in_the_stream, {"critical_gapless", "state_equal"}, "the stream does not have"),
    (STORE, written_counted_twice, {"conservation"}, "own sum does not close"),
    (STORE, paused_hides_a_loss, {"conservation"}, "danmaku written"),
    (STORE, critical_counter_wrong, {"conservation"}, "critical: the sum"),
    (STORE, state_counter_wrong, {"conservation"}, "state: the server's sum"),
    (STORE, counters_missing, {"conservation"}, "have no liveserver_danmaku"),
    (STORE, connection_forgotten, {"conservation"}, "connections, of us"),
    (STORE, adjusted_by_another, {"adjusts"}, "was not asked for"),
    (STORE, adjusted_for_another_reason, {"adjusts"}, "the feed has it 0 times"),
    (AUDIENCE, told_paused_before_the_pause, {"adjusts"}, "in no pause"),
    (AUDIENCE, told_limit_reached_with_room, {"user_limit"}, "limit_reached for 2 units"),
    (AUDIENCE, holder_not_told, {"freeze"}, "0 times"),
    (AUDIENCE, holder_told_twice, {"freeze"}, "2 times"),
    (AUDIENCE, another_told_of_the_freeze, {"freeze"}, "which was not held"),
    (AUDIENCE, told_frozen_too_early, {"freeze"}, "before it was"),
    (AUDIENCE, frozen_by_nobody, {"freeze"}, "nobody ordered it"),
    (STORE, freeze_not_carried_out, {"freeze", "adjusts"}, "no such row"),
    (AUDIENCE, paid_after_the_freeze, {"freeze", "no_oversell"}, "after the freeze"),
    (AUDIENCE, refund_not_told, {"late_payments"}, "0 times"),
    (AUDIENCE, refund_told_twice, {"late_payments"}, "2 times"),
    (AUDIENCE, another_end_told_to_the_service, {"late_payments"}, "the order service heard"),
    (AUDIENCE, return_not_told, {"returns"}, "0 times"),
    (STORE, limit_kept_against_the_order, {"returns"}, "limit ['back'], the feed has ['kept']"),
    (
        STORE,
        return_not_in_the_feed,  # so its unit never came back, and was sold all the same
        {"returns", "adjusts", "line", "no_oversell", "state_equal"},
        "the feed has []",
    ),
    (AUDIENCE, returned_unasked, {"returns", "no_oversell"}, "nobody asked for it"),
    (AUDIENCE, another_place_in_line_told, {"line"}, "there were 0"),
    (AUDIENCE, served_not_told, {"line"}, "0 times"),
    (AUDIENCE, skipped_told_twice, {"line"}, "2 times"),
    (STORE, more_places_than_asked_for, {"line"}, "3 asked for"),
    (STORE, fewer_places_than_stood_in_line, {"line"}, "beyond 2 places"),
    (EXITS, exit_code_not_zero, {"clean_exit"}, "ended with -9"),
    (EXITS, exits_unknown, {"clean_exit"}, "nobody noted"),
]


@pytest.mark.parametrize(
    ("name", "tamper", "expected", "says"), TAMPERINGS, ids=[t[1].__name__ for t in TAMPERINGS]
)
def test_a_tampered_journal_turns_the_right_checks_red(
    tmp_path: Path, name: str, tamper: Callable[[Lines], None], expected: set[str], says: str
) -> None:
    rewrite(play(tmp_path), name, tamper)
    checks = judge(load(tmp_path))["checks"]
    assert {check for check, finding in checks.items() if not finding["ok"]} == expected
    assert any(says in line for check in expected for line in checks[check]["detail"]), checks


@pytest.mark.parametrize(
    ("twist", "expected"),
    [
        # Told consistently by server, feed and screens alike, so only the law itself is broken.
        (Twist(stock_granted=5), {"no_oversell"}),
        (Twist(forget_expiry=True), {"nothing_stranded"}),
        (Twist(limit_kept=False), {"user_limit"}),
        (Twist(grant_twice=True), {"one_outcome", "user_limit"}),
        (Twist(refund_wrongly=True), {"late_payments"}),
        (Twist(overtake=True), {"line"}),
        (Twist(grant_past_the_line=True), {"line"}),
        (Twist(keep_from_the_line=True), {"line"}),
        (Twist(skip_wrongly=True), {"line"}),
        (Twist(sell_frozen=True), {"freeze", "no_oversell"}),
    ],
    ids=[
        "a unit oversold",
        "a hold forgotten",
        "the limit exceeded",
        "one command granted twice",
        "money sent back though units were there",
        "a head overtaken",
        "granted past those who wait",
        "a unit kept from the line",
        "skipped with room",
        "sold in a frozen sale",
    ],
)
def test_a_server_that_lies_consistently_is_found_out(
    tmp_path: Path, twist: Twist, expected: set[str]
) -> None:
    assert red(play(tmp_path, twist)) == expected


def test_guests_lift_the_upper_bounds_only(tmp_path: Path) -> None:
    """One more connection, and units written to it: right where guests may come, wrong elsewhere."""

    def one_guest(lines: Lines) -> None:
        text = next(x for x in lines if x["k"] == "metrics")
        for name in ('danmaku_units_total{fate="written"} ', 'danmaku_units_total{fate="offered"} '):
            at = text["text"].index(name) + len(name)
            value = text["text"][at:].partition("\n")[0]
            text["text"] = text["text"].replace(name + value, f"{name}{float(value) + 7}")
        text["text"] = text["text"].replace(
            "handshakes_accepted_total 13.0", "handshakes_accepted_total 14.0"
        )

    rewrite(play(tmp_path), STORE, one_guest)
    assert red(tmp_path) == {"conservation"}
    (tmp_path / "meta.json").write_bytes(b'{"version": 1, "room": "r", "guests": true}')
    assert red(tmp_path) == set()
    rewrite(tmp_path, AUDIENCE, danmaku_frame_doubled)
    assert red(tmp_path) == {"conservation"}


# -- a process killed on purpose ---------------------------------------------------------------------------


def killed(directory: Path, process: str, ms: float) -> None:
    def noted(lines: Lines) -> None:
        lines.insert(0, {"k": "kill", "ms": ms, "name": "worker 0.1", "process": process})
        lines.append({"k": "exit", "name": "worker 0.1", "code": -9})

    rewrite(directory, EXITS, noted)


@pytest.mark.parametrize(
    ("early_ms", "expected"), [(500, set()), (60_000, {"freeze"}), (-60_000, {"freeze"})]
)
def test_a_notice_may_have_gone_with_a_process_killed_just_then(
    tmp_path: Path, early_ms: float, expected: set[str]
) -> None:
    rewrite(play(tmp_path), AUDIENCE, holder_not_told)
    frozen = next(row for row in load(tmp_path).feeds["s2"] if row.fields["kind"] == b"freeze")
    killed(tmp_path, "p2", int(frozen.fields["at"]) - early_ms)
    assert red(tmp_path) == expected


@pytest.mark.parametrize(("late_ms", "expected"), [(500, set()), (60_000, {"conservation"})])
def test_what_a_process_told_one_right_before_it_was_killed_may_have_been_shown_to_nobody(
    tmp_path: Path, late_ms: float, expected: set[str]
) -> None:
    told_ms: list[float] = []

    def tampered(lines: Lines) -> None:
        shown_to_nobody(lines)
        told_ms.append(lines[next(downs(lines, "receipt"))[0]]["ms"])

    rewrite(play(tmp_path), AUDIENCE, tampered)
    killed(tmp_path, "p1", told_ms[0] + late_ms)
    assert red(tmp_path) == expected


# -- the command ---------------------------------------------------------------------------------------


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loadtest", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_says_it_with_its_exit_code(tmp_path: Path) -> None:
    right = run("verdict", str(play(tmp_path / "right")), "--report", str(tmp_path / "r.json"))
    assert right.returncode == 0
    assert "the verdict holds" in right.stdout
    report = orjson.loads((tmp_path / "r.json").read_bytes())
    assert report["ok"] and set(report["checks"]) == set(CHECKS)
    rewrite(play(tmp_path / "wrong"), EXITS, exit_code_not_zero)
    wrong = run("verdict", str(tmp_path / "wrong"))
    assert wrong.returncode == 1
    assert "FAIL clean_exit" in wrong.stdout
    nothing = run("verdict", str(tmp_path / "nowhere"))
    assert nothing.returncode == 2
