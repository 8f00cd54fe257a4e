"""Random programs on both ledgers: model and Valkey must agree on every answer, and on the whole feed.

A program is a small sale and 50 steps; a step is four small integers, so a failing program shrinks to the
few steps that matter (all zeros is a step that does nothing). Both run on one clock that only the program
moves. At the end the feed is read back and folded: it must be equal, and give the counters by itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
import uvloop
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from liveserver.stock.audit import audit
from liveserver.stock.feed import read_feed
from liveserver.stock.fold import fold
from liveserver.stock.ids import reservation_id
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.model import ModelLedger
from liveserver.stock.port import (
    Change,
    Ledger,
    LedgerError,
    Outcome,
    SaleItem,
    SaleSpec,
    StockView,
    Verdict,
    WrongStateError,
)
from liveserver.stock.rows import (
    AnyRow,
    Closed,
    Confirmed,
    ConfirmedLate,
    Expired,
    Frozen,
    RebuildRow,
    Ref,
    RefundDue,
    Released,
    Reserved,
    Returned,
    Served,
    Skipped,
    Waited,
)
from liveserver.stock.scripts import keys_of
from liveserver.stock.transitions import ANSWERED, TRANSITIONS, End
from liveserver.valkey.connect import call_client
from tests.clock import ManualClock
from tests.stock.conftest import order

PROGRAMS = 500
PROGRAMS_LONG = 5_000
STEPS = 50
USERS = 4
HOLD_MS = 10_000

Step = tuple[str, int, int, int]

# How often each step is drawn.
STEP_KINDS = (
    ["nothing"]
    + ["buy"] * 8
    + ["batch"] * 6
    + ["confirm"] * 6
    + ["release"] * 4
    + ["return"] * 3
    + ["wait, buy, restock"] * 3
    + ["wait"] * 3
    + ["wait for due"]
    + [
        "expire",
        "expire",
        "adjust",
        "adjust",
        "adjust",
        "view",
        "lookup",
        "open again",
        "held",
        "pause",
        "go on",
    ]
)
RARE = ["close", "lose", "wait for closing", "freeze"]

small = st.integers(0, 11)
steps = st.tuples(st.sampled_from(STEP_KINDS * 5 + RARE), small, small, small)
programs = st.tuples(
    st.lists(st.integers(0, 6), min_size=1, max_size=3),  # stock
    st.integers(0, 4),  # limit
    st.sampled_from([0, 0, 0, 4_000]),  # opens in ms
    st.sampled_from([0, 2, 9]),  # places in line
    st.lists(steps, min_size=STEPS, max_size=STEPS),
)


class Twins:
    """The model and the real ledger, asked the same."""

    def __init__(self, url: str) -> None:
        self.client = call_client(url)
        self.clock = ManualClock()
        self.real = ValkeyLedger(self.client, self.clock)
        self.model = ModelLedger(self.clock)
        self.steps = 0
        self.programs = 0
        self.outcomes: Counter[str] = Counter()
        self.transitions: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()

    async def run(self, program: tuple[list[int], int, int, int, list[Step]]) -> None:
        stock, limit, opens_in_ms, waitlist, program_steps = program
        self.programs += 1
        self.sale_id = f"p{self.programs}"
        self.items = len(stock)
        now_ms = self.clock.now_ms()
        self.spec = SaleSpec(
            self.sale_id,
            tuple(SaleItem(f"i{number}", units) for number, units in enumerate(stock)),
            limit,
            now_ms + opens_in_ms,
            now_ms + 200_000,
            HOLD_MS,
            waitlist,
        )
        await self._pin()
        await self._both(lambda ledger: ledger.open(self.spec, command_id="open-1"))
        for kind, a, b, c in program_steps:
            self.steps += 1
            await self._step(kind, a, b, c)
        await self._compare_at_the_end()
        await self.client.unlink(*keys_of(self.sale_id))

    async def _step(self, kind: str, a: int, b: int, c: int) -> None:
        user, command = f"u{a % USERS}", f"c{b}"
        match kind:
            case "buy":
                await self._reserve([(a, b, c)])
            case "batch":
                await self._reserve([(a + k, b * k + c, c + k * a) for k in range(2 + c % 5)])
            case "wait, buy, restock":  # who waits for one item reaches his limit with another
                number, other = c % self.items, (c + 1) % self.items
                waits = [order(user, f"l{b}-{k}", (number, 1)) for k in range(2)]
                buys = [order(user, f"m{b}-{k}", (other, 1)) for k in range(4)]
                await self._both(lambda ledger: ledger.reserve(self.sale_id, [*waits, *buys]))
                await self._both(
                    lambda ledger: ledger.adjust(
                        self.sale_id, f"i{number}", 1, actor="eve", reason="", command_id=f"l{b}"
                    )
                )
            case "confirm":
                ref, _ = self._some_reservation(a, b, c)
                await self._end(lambda ledger: ledger.confirm(ref, command_id=command), End.CONFIRM)
            case "release":
                ref, owner = self._some_reservation(a, b, c)
                await self._end(
                    lambda ledger: ledger.release(ref, command_id=command, user_id=owner), End.RELEASE
                )
            case "return":
                ref, _ = self._some_reservation(a, b, c)
                await self._end(
                    lambda ledger: ledger.return_order(ref, command_id=command, limit_back=b % 2 == 0),
                    End.RETURN,
                )
            case "wait":
                await self._wait(1 + a * 350)
            case "wait for due":
                await self._wait(HOLD_MS - a % 2)
            case "wait for closing":
                await self._wait(max(0, self.spec.closes_at_ms - self.clock.now_ms() - a % 2))
            case "expire":
                await self._both(lambda ledger: ledger.expire(self.sale_id))
            case "adjust":
                item = f"i{a % (self.items + (a == 11))}"
                await self._both(
                    lambda ledger: ledger.adjust(
                        self.sale_id, item, b - 4 or 1, actor="eve", reason="r r", command_id=f"a{c}"
                    )
                )
            case "close":
                await self._both(lambda ledger: ledger.close(self.sale_id, actor="eve", command_id=command))
            case "lose":  # this process has heard of more than the store has
                view = await self._both(lambda ledger: ledger.view(self.sale_id))
                assert isinstance(view, StockView)
                ahead = StockView(self.sale_id, view.epoch + a % 2, view.seq + b % 3, view.status, {}, 0, 1)
                self.real.learn(ahead)
                self.model.learn(ahead)
            case "pause":
                await self._both(lambda ledger: ledger.pause(self.sale_id, actor="eve", command_id=f"x{b}"))
            case "go on":  # a few of its ids are a pause's, an adjust's
                known = f"a{b}" if a == 0 else f"x{b + a}"
                await self._both(lambda ledger: ledger.resume(self.sale_id, actor="eve", command_id=known))
            case "freeze":
                await self._both(lambda ledger: ledger.freeze(self.sale_id, actor="eve", command_id=command))
            case "held":
                await self._both(lambda ledger: ledger.held(self.sale_id))
            case "open again":
                await self._both(lambda ledger: ledger.open(self.spec, command_id=command))
            case "view":
                await self._both(lambda ledger: ledger.view(self.sale_id))
            case "lookup":
                await self._both(lambda ledger: ledger.lookup(self.sale_id, user, command))
                await self._both(lambda ledger: ledger.reservations_of(self.sale_id, user))

    def _some_reservation(self, a: int, b: int, c: int) -> tuple[str, str | None]:
        """One that exists, mostly; and whoever asks for it: nobody in particular, its user, a stranger."""
        buyers = self.model.sales[self.sale_id].buyers
        known = [(user, place) for user, records in buyers.items() for place in range(len(records))]
        user, place = known[-1 - (12 * a + b) % len(known)] if known and c < 10 else (f"u{a % USERS}", b)
        return reservation_id(self.sale_id, user, place), [None, user, "stranger"][c % 5 % 3]

    async def _reserve(self, numbers: list[tuple[int, int, int]]) -> None:
        orders = []
        for a, b, c in numbers:
            lines = [(c % self.items, 1 + b % 3 // 2)]
            if c % 4 == 3:
                lines.append(((c + 1) % self.items, 1))
            orders.append(order(f"u{a % USERS}", f"c{b % 7}", *lines))
        answer = await self._both(lambda ledger: ledger.reserve(self.sale_id, orders))
        assert isinstance(answer, tuple)
        verdicts: list[Verdict] = answer[0]
        for verdict in verdicts:
            self.outcomes[verdict.outcome + (" again" if verdict.replayed else "")] += 1

    async def _end(self, ask: Callable[[Ledger], Awaitable[Change]], end: End) -> None:
        answer = await self._both(ask)
        if isinstance(answer, Change) and not answer.changed:
            self.transitions[f"{answer.reservation.state} -{end}-> unchanged"] += 1
        elif isinstance(answer, tuple) and answer[0] is WrongStateError:
            self.transitions[f"{answer[1].state} -{end}-> wrong_state"] += 1

    async def _both(self, ask: Callable[[Ledger], Awaitable[object]]) -> object:
        """The answer, an error being ``(its type, its reservation)``."""
        expected, got = await self._answer(ask, self.model), await self._answer(ask, self.real)
        assert got == expected
        return got

    async def _answer(self, ask: Callable[[Ledger], Awaitable[object]], ledger: Ledger) -> object:
        try:
            return await ask(ledger)
        except LedgerError as error:
            self.refused[error.code] += 1
            return type(error), getattr(error, "reservation", None)

    async def _wait(self, delay_ms: int) -> None:
        await self.clock.advance(delay_ms)
        await self._pin()

    async def _pin(self) -> None:
        await self.client.hset(keys_of(self.sale_id)[0], "pinned_ms", str(self.clock.now_ms()))

    async def _compare_at_the_end(self) -> None:
        view = await self._both(lambda ledger: ledger.view(self.sale_id))  # it may write that time is up
        assert isinstance(view, StockView)
        feed = await read_feed(self.client, self.sale_id, rows_max=10_000)
        assert feed == self.model.sales[self.sale_id].feed
        folded = fold(feed)
        assert folded.seq == view.seq
        for number, item in enumerate(self.spec.items):
            assert folded.available[number] == view.available[item.item_id]
            assert folded.held[number] == view.held[item.item_id]
            assert folded.confirmed[number] == view.confirmed[item.item_id]
            assert folded.adjusted[number] == view.adjusted[item.item_id]
        for user, buyer in folded.buyers.items():
            bought = await self.real.reservations_of(self.sale_id, user)
            assert [one.state for one in bought] == [record.state for record in buyer.records]
        report = await audit(self.client, self.sale_id)
        assert report.findings == [] and (report.epoch, report.seq) == (view.epoch, view.seq)
        self._count(feed)

    def _count(self, feed: list[AnyRow]) -> None:
        state: dict[Ref, str] = {}
        for row in feed:
            self.rows[type(row).__name__] += 1
            match row:
                case Reserved():
                    self.transitions["-> held"] += len(row.orders)
                case Confirmed():
                    self.transitions["held -confirm-> confirmed"] += 1
                case Waited():
                    self.transitions["-> waiting"] += len(row.orders)
                    state.update({order.ref: "waiting" for order in row.orders})
                case Served():
                    self.transitions["waiting -serve-> held"] += len(row.refs)
                    state.update(dict.fromkeys(row.refs, "held"))
                case Skipped():
                    self.transitions["waiting -skip-> released"] += len(row.refs)
                    state.update(dict.fromkeys(row.refs, "released"))
                case Released():
                    self.transitions[f"{state.get(row.ref, 'held')} -release-> released"] += 1
                    state[row.ref] = "released"
                case Expired():
                    self.transitions["held -expire-> expired"] += len(row.refs)
                    state.update(dict.fromkeys(row.refs, "expired"))
                case ConfirmedLate():
                    self.transitions[f"{state[row.ref]} -confirm_late-> confirmed"] += 1
                case RefundDue():
                    self.transitions[f"{state[row.ref]} -refund_due-> refund_due"] += 1
                case Returned():
                    self.transitions["confirmed -return-> returned"] += 1
                    self.rows["limit back" if row.limit_back else "limit kept"] += 1
                case Closed() if not row.actor:
                    self.rows["Closed by the clock"] += 1
                case Frozen():
                    self.rows[f"Frozen: {row.reason}"] += 1


# ``unavailable`` and ``pending`` are said by those who call the scripts.
SAID_BY_SCRIPTS = set(Outcome) - {Outcome.UNAVAILABLE, Outcome.PENDING}


def every_transition() -> set[str]:
    """Every edge of the table, and every end asked for again. (The contract asks for each pair that is no
    edge; some of them are too rare to be demanded of chance.)"""
    pairs = {"-> held", "-> waiting"}
    pairs |= {f"{a} -{end}-> {b}" for end, row in TRANSITIONS.items() for a, b in row.items()}
    pairs |= {f"{state} -{end}-> unchanged" for end, answered in ANSWERED.items() for state in answered}
    return pairs


@pytest.mark.slow
def test_model_and_valkey_agree(valkey_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    agree_on(valkey_url, capsys, PROGRAMS)


@pytest.mark.long
def test_model_and_valkey_agree_at_length(valkey_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    agree_on(valkey_url, capsys, PROGRAMS_LONG)


def agree_on(valkey_url: str, capsys: pytest.CaptureFixture[str], programs_max: int) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        async def start() -> Twins:
            twins = Twins(valkey_url)
            await twins.client.flushall()
            return twins

        twins = runner.run(start())

        @settings(
            max_examples=programs_max,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(programs)
        def agree(program: tuple[list[int], int, int, int, list[Step]]) -> None:
            runner.run(twins.run(program))

        agree()
        runner.run(twins.client.aclose())
    with capsys.disabled():
        print(f"\n{twins.programs} programs, {twins.steps} steps")
        for name in ("outcomes", "transitions", "refused", "rows"):
            counted: Counter[str] = getattr(twins, name)
            print(f"  {name}: " + ", ".join(f"{key} {count}" for key, count in counted.most_common()))
    assert twins.programs >= programs_max and twins.steps >= programs_max * STEPS
    assert {outcome.value for outcome in SAID_BY_SCRIPTS} <= set(twins.outcomes)
    assert {"reserved again", "waiting again"} <= set(twins.outcomes)
    assert every_transition() <= set(twins.transitions)
    rows = set(AnyRow.__args__) - set(RebuildRow.__args__)  # the model is never rebuilt
    assert {row.__name__ for row in rows} <= set(twins.rows)
    assert {"Frozen: behind", "Frozen: ordered"} <= set(twins.rows)
    assert {"limit back", "limit kept"} <= set(twins.rows)
    assert twins.rows["Closed by the clock"] >= 1
    assert {"wrong_state", "unknown_reservation", "below_held", "sale_conflict", "closed", "frozen"} <= set(
        twins.refused
    )
