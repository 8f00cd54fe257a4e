"""conservation: every danmaku offered to a session is accounted for, by the viewers and by the server.

The unit is (danmaku or gift row, session in the list when its frame was composed). Two ledgers are kept
by parties that don't trust each other, and must close alone and agree together.

**The frame's own**: offered = shown + merged + shed, in every block.

**The viewers'** (from ``n`` alone): a frame number comes once, rising, and the same to everyone. Over all
stays, R units received, S units skipped (gaps in ``n`` before the last frame received, their size known
from the viewers who did get that frame), T units that may have been under way when a stay ended (frames
composed after its last one, up to its end; up to two seconds later where the socket was cut).

**The server's**: offered = written + merged + sampled + paused + closed, exactly.

**Together**, U being the units a cut connection may have been handed without reading them (its part of T):

    R         <= written  <= R + U       a frame lost or doubled on the way, or counted twice
    S         <= paused   <= S + T       a frame skipped without being counted, or the reverse
    0         <= closed   <= T           nothing disappears into "closed"
    M         <= merged   <= M + T'      M, T': the same sums over ``merged`` of the blocks, and
    H         <= sampled  <= H + T'      over ``shed``

With no connection cut and all viewers gone before the counters are read, U and T are 0 and the four are
equalities. A frame nobody received though somebody of its variant was reading is a violation by itself.

**Critical**, at close: advanced = written + replayed + covered, and the events received lie between
written + replayed less what cut connections never read, and written + replayed. **State**: updates =
written + superseded + paused + closed.

**Several processes** count each for itself: all of the above holds for each of them, with its own sessions. A
process that was killed on purpose has taken its counters along: of its frames the ledgers above that need no
counter are kept, and nothing is said of its units. One that has ended in order (it was relieved) is judged by
what it had counted at its end. Whose counters are missing otherwise has lost them.

Where the meta says that ``guests`` may come (a demo whose link somebody opens), connections that are
not the audience's, known from the server's count of handshakes, leave the lower bounds and lift the upper
ones. Where it doesn't, there must be none: a connection the journal forgot is found that way.

And every danmaku whose sender was told ``shown`` stands in a frame somebody received (a process that was
killed right then may have told the sender and nobody else).
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from loadtest.verdict.broadcasts import (
    NOTICED_MS_MAX,
    Account,
    Line,
    Variant,
    account,
    lines_of,
    stalled_over,
    variant_of,
)
from loadtest.verdict.case import KILL_NOTICED_MS_MAX, Case, Stay
from loadtest.verdict.metrics import by_fate, by_process, total
from loadtest.verdict.room import envelope_of
from loadtest.verdict.tally import Finding, Tally

DANMAKU: Final = "liveserver_danmaku_units_total"
STATE: Final = "liveserver_state_units_total"
CRITICAL: Final = "liveserver_critical_units_total"
HANDSHAKES: Final = "liveserver_handshakes_accepted_total"


def check(case: Case) -> Finding:
    tally = Tally()
    lines, wrong = lines_of(case)
    for line in lines.values():
        for n, block in line.frames.items():
            closes = block.offered == block.shown + block.merged + block.shed
            tally.expect(closes, f"frame {n}: {block.offered} offered, its block has {block}")
    accounts: list[Account] = []
    for stay in case.stays():
        found, its_wrong = account(stay, lines[variant_of(stay)])
        accounts.append(found)
        wrong += its_wrong
    for what in wrong:
        tally.wrong(what)
    for variant, line in lines.items():
        _nobody_got(tally, variant, line, [a for a in accounts if a.variant == variant])
    for side in _sides(tally, case, accounts):
        guests = _guests(tally, case, side)
        _danmaku(tally, side, lines, guests)
        _critical(tally, case, side, guests)
        _state(tally, side)
    _shown(tally, case, lines)
    return tally.finding()


class Side(NamedTuple):
    """One process's word, and what its sessions say of it."""

    process: str  # as its welcomes name it; empty where there is one alone
    metrics: str
    accounts: list[Account]
    connections: int
    nameless: int  # connections cut before any process welcomed them: anybody's


def _sides(tally: Tally, case: Case, accounts: list[Account]) -> list[Side]:
    counted = by_process(case.metrics)
    for process, text in case.last_words.items():  # asked while it drained, it hadn't counted all
        counted[process] = by_process(text).get(process, "")
    if set(counted) <= {""}:
        return [Side("", case.metrics, accounts, len(case.connections), 0)]
    named = Counter(connection.process for connection in case.connections)
    sides = []
    for process in sorted((counted.keys() | named.keys()) - {""}):
        own = [account for account in accounts if account.stay.connection.process == process]
        if case.kill_of(process) is not None:
            tally.expect(process not in counted, f"{process} was killed, and counts on")
            frames = sum(len(found.received) for found in own)
            tally.remark(f"{process} was killed: the {frames} frames received of it are in no counter")
        elif process not in counted:
            tally.wrong(f"{process} had {named[process]} connections, and its counters are missing")
        else:
            sides.append(Side(process, counted[process], own, named[process], named[""]))
    return sides


def _guests(tally: Tally, case: Case, side: Side) -> int:
    """Connections the server counted beyond the audience's own."""
    handshakes = total(side.metrics, HANDSHAKES)
    if handshakes is None:
        tally.wrong(f"the server's counters have no {HANDSHAKES}")
        return 0
    guests = handshakes - side.connections
    if case.meta.get("guests"):
        if guests > 0:
            tally.remark(f"{guests} connections were guests': their units are the server's word alone")
        return max(guests, 0)
    tally.expect(
        0 <= guests <= side.nameless, f"the server counted {handshakes} connections, of us {side.connections}"
    )
    return 0


def _danmaku(tally: Tally, side: Side, lines: dict[Variant, Line], guests: int) -> None:
    server = by_fate(side.metrics, DANMAKU)
    if not server:
        tally.wrong(f"the server's counters have no {DANMAKU}")
        return
    parts = ("written", "merged", "sampled", "paused", "closed")
    accounted = sum(server.get(fate, 0) for fate in parts)
    tally.expect(server.get("offered", 0) == accounted, f"the server's own sum does not close: {server}")
    received = skipped = merged = shed = 0
    tail = tail_cut = tail_merged = tail_shed = 0
    for found in side.accounts:
        frames = lines[found.variant].frames
        seen = [frames[n] for n in found.received]
        missed = [frames[n] for n in found.skipped if n in frames]
        late = [frames[n] for n in found.tail]
        received += sum(block.shown for block in seen)
        skipped += sum(block.shown for block in missed)
        merged += sum(block.merged for block in (*seen, *missed))
        shed += sum(block.shed for block in (*seen, *missed))
        tail += sum(block.shown for block in late)
        tail_cut += 0 if found.stay.whole else sum(block.shown for block in late)
        tail_merged += sum(block.merged for block in late)
        tail_shed += sum(block.shed for block in late)
    tally.examined += received
    for fate, low, high in (
        ("written", received, received + tail_cut),
        ("paused", skipped, skipped + tail),
        ("closed", 0, tail),
        ("merged", merged, merged + tail_merged),
        ("sampled", shed, shed + tail_shed),
    ):
        counted = server.get(fate, 0)
        says = f"{low}" if low == high else f"{low} to {high}"
        fits = low <= counted and (counted <= high or guests > 0)
        tally.expect(fits, f"danmaku {fate}: the server says {counted}, viewers {says}")
    who = f" of {side.process}" if side.process else ""
    tally.remark(
        f"danmaku units{who}: {received} received, {skipped} skipped, {tail} in doubt ({tail_cut} cut)"
    )


def _nobody_got(tally: Tally, variant: Variant, line: Line, accounts: list[Account]) -> None:
    for found in accounts:
        for n in found.skipped:
            if n in line.frames:
                continue
            before = max((m for m in line.frames if m < n), default=n)
            after = min((m for m in line.frames if m > n), default=n)
            if before == n or after == n:
                continue
            from_ms, to_ms = line.frames[before].t_ms, line.frames[after].t_ms
            reading = any(
                other.stay.joined["t"] < from_ms
                and other.stay.ended_ms > to_ms
                and not stalled_over(other.stay, from_ms - NOTICED_MS_MAX, to_ms)
                for other in accounts
            )
            tally.expect(not reading, f"frame {n} of {variant} reached nobody")


def _critical(tally: Tally, case: Case, side: Side, guests: int) -> None:
    server = by_fate(side.metrics, CRITICAL)
    if not server:
        tally.wrong(f"the server's counters have no {CRITICAL}")
        return
    handed = server.get("written", 0) + server.get("replayed", 0)
    accounted = handed + server.get("covered", 0)
    tally.expect(server.get("advanced", 0) == accounted, f"critical: the sum does not close: {server}")
    appended = [(e.number, envelope_of(e).get("atMs", 0)) for e in case.stream]
    received = in_doubt = 0
    for stay in (found.stay for found in side.accounts):
        received += sum(len(item.body.get("critical", ())) for item in stay.frames())
        if not stay.whole:
            in_doubt += _events_under_way(stay, appended)
    tally.examined += received
    tally.expect(
        received <= handed and (handed <= received + in_doubt or guests > 0),
        f"critical: the server handed out {handed}, viewers got {received}, {in_doubt} in doubt",
    )


def _events_under_way(stay: Stay, appended: list[tuple[int, float]]) -> int:
    """Events a cut connection may have been written without reading them."""
    cursor = stay.asked.get("offset", 0) if stay.joined["mode"] == "replayed" else stay.joined["offset"]
    for item in stay.frames():
        cursor = max([cursor, *(envelope["offset"] for envelope in item.body.get("critical", ()))])
    return sum(offset > cursor and at_ms <= stay.ended_ms + NOTICED_MS_MAX for offset, at_ms in appended)


def _state(tally: Tally, side: Side) -> None:
    server = by_fate(side.metrics, STATE)
    if not server:
        tally.wrong(f"the server's counters have no {STATE}")
        return
    accounted = sum(server.get(fate, 0) for fate in ("written", "superseded", "paused", "closed"))
    tally.expect(server.get("updates", 0) == accounted, f"state: the server's sum does not close: {server}")


def _shown(tally: Tally, case: Case, lines: dict[Variant, Line]) -> None:
    seen: set[str] = set()
    for line in lines.values():
        for frame in line.bodies.values():
            seen.update(row[0] for row in (frame.get("danmaku") or {}).get("danmaku", ()))
    deleted = {event.get("danmakuId") for event in (envelope_of(e)["event"] for e in case.stream) if event}
    for connection in case.connections:
        kill = case.kill_of(connection.process)
        for item in connection.items:
            receipt = item.body
            if kill is not None and item.ms > kill.ms - KILL_NOTICED_MS_MAX:
                continue
            if receipt.get("type") == "receipt" and receipt.get("fate") == "shown":
                danmaku_id = receipt.get("danmakuId", "")
                tally.expect(
                    danmaku_id in seen or danmaku_id in deleted,
                    f"{connection.user} was told that {danmaku_id} is shown; nobody saw it",
                )
