"""Ten thousand buy in one second, a fifth as many units are there.

Everybody sits in the room when the sale opens, and taps once within the second. Whoever's answer is unknown
(a deadline passed, a connection lost) asks again with the same id until he knows. Each has one true answer in
the end, as many units are sold as there were, nobody holds more than one, and the ledger proves itself.

The control is a counter as it is often written: read what is left, and write one less.
"""

from __future__ import annotations

from typing import Final

from loadtest.scenarios import naive
from loadtest.scenarios.stage import Size, Stage

LONG: Final = Size(viewers=10_000, seconds=1)
SHORT: Final = Size(viewers=150, seconds=1)

ROOM: Final = "r1"
SALE: Final = "flash"
BUYERS_A_UNIT: Final = 5
HOLD_MS: Final = 600_000


async def play(stage: Stage) -> None:
    size = stage.size
    stock = max(size.viewers // BUYERS_A_UNIT, 1)
    await stage.open_house()
    staff = await stage.open_staff([ROOM], stock=stock)
    swarm = await stage.open_swarm(size.viewers)
    await swarm.phase("arriving")
    await swarm.come(size.viewers, rooms=[ROOM], group="buyer", over_s=size.viewers / 2_000)
    await stage.arrived(size.viewers, within_s=60)

    await swarm.phase("sale")
    await staff.open_sale(ROOM, SALE, limit=1, hold_ms=HOLD_MS)
    bought = await swarm.all("buy", within_s=120, sale=SALE, item="one", over_s=size.seconds)
    late = await swarm.settle(60)
    await swarm.phase("after")
    naively = await naive.sold(stage.house.store_url, stock=stock, buyers=size.viewers)
    tally = await stage.closing()

    outcomes = tally.counters["outcomes"]
    marks = stage.marks
    marks.law("who tapped", sum(each["bought"] for each in bought), "exactly", size.viewers)
    marks.law("buyers without an answer in the end", late, "exactly", 0)
    said = f"read, then write: {naively} units of {stock} sold"
    marks.law("units sold", outcomes["reserved"], "exactly", stock, note=f"control: {said}")
    marks.law("told sold out", outcomes["sold_out"], "exactly", size.viewers - stock)
    marks.law("reservations, all different", len(set(tally.reservations)), "exactly", stock)
    stage.figures |= {
        "answer_ms": {f"p{p}": tally.ms("buyer", "sale", p, "purchase") for p in (50, 99)},
        "said_again": tally.counters["counts"]["purchases_said_again"],
        "naive_sold": naively,
        "stock": stock,
    }
