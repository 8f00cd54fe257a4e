"""A sale with a busy past: what an auditor or an export is tried on."""

from __future__ import annotations

import random

from liveserver.stock.ids import reservation_id
from liveserver.stock.port import LedgerError
from tests.stock.conftest import Bench, order

USERS = 300
CALLS = 60


async def busy(bench: Bench, *, seed: int = 1, calls: int = CALLS, sale_id: str = "s1") -> None:
    """Opens and sells: batches, repeats, all three ends, sweeps, adjusts. The same for the same seed."""
    draw = random.Random(seed)
    await bench.open(bench.spec((400, 50), limit=3, hold_ms=5_000, sale_id=sale_id))
    for number in range(calls):
        await bench.ledger.reserve(
            sale_id,
            [
                order(
                    f"u{draw.randrange(USERS)}",
                    f"c{draw.randrange(9)}",
                    (draw.randrange(2), draw.randint(1, 2)),
                )
                for _ in range(draw.randint(1, 30))
            ],
        )
        for _ in range(4):
            named = reservation_id(sale_id, f"u{draw.randrange(USERS)}", 0)
            end = bench.ledger.confirm if draw.random() < 0.6 else bench.ledger.release
            try:
                await end(named, command_id=f"e{number}")
            except LedgerError:
                pass  # nobody's, or past its end
        if number % 10 == 9:
            await bench.ledger.adjust(
                sale_id,
                "i0",
                draw.choice([-1, 5]),
                actor="eve",
                reason='"新货", more',
                command_id=f"a{number}",
            )
            await bench.ledger.expire(sale_id)
        await bench.advance(draw.randint(1, 900))
