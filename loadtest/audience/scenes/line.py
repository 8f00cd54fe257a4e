"""A line: two kinds of one thing, the second of which is gone at once.

Who waits is served in turn by what a buyer gives back, by what is found in a box, and by a hold that runs
out; one leaves; one who meanwhile has all he may is skipped; and one still stands there when the sale closes.
"""

from __future__ import annotations

from typing import Final

from loadtest.audience.member import Member
from loadtest.audience.scenes.stage import Stage
from protocol.types import HeldReservation

PLENTY, SCARCE = 0, 1  # the sale's items
SERVED_S_MAX: Final = 12.0  # a hold, its sweep, and a slow machine


async def play(stage: Stage) -> None:
    first, eager, patient, changeable = stage.cast
    await stage.open()
    had = await stage.buy(first, SCARCE)
    once, twice = await stage.buy(eager, SCARCE), await stage.buy(eager, SCARCE)
    await stage.pay(await stage.buy(eager, PLENTY))  # one of the two he may have: one place is too many
    waits = await stage.buy(patient, SCARCE)
    await stage.release(changeable, await stage.buy(changeable, SCARCE))  # he leaves the line
    await stage.release(first, had)
    await stage.pay(await _served(stage, eager, once))
    await stage.streamer.adjust(stage.sale, stage.sale.items[SCARCE], +1, "箱底还有一件")
    await _skipped(stage, eager, twice)
    unpaid = await _served(stage, patient, waits)
    again = await stage.buy(changeable, SCARCE)
    await stage.buy(first, SCARCE)  # he will stand there to the end
    if unpaid is not None:
        await stage.shop.overdue(unpaid)
    await stage.pay(await _served(stage, changeable, again))
    await stage.close()


async def _served(stage: Stage, buyer: Member, waits: HeldReservation | None) -> HeldReservation | None:
    if waits is None:
        return None
    served = await buyer.told("reservationServed", waits.reservation_id, SERVED_S_MAX)
    stage.world.figures.scenes["served"] += served is not None
    return served


async def _skipped(stage: Stage, buyer: Member, waits: HeldReservation | None) -> None:
    if waits is not None:
        told = await buyer.told("reservationSkipped", waits.reservation_id, SERVED_S_MAX)
        stage.world.figures.scenes["skipped"] += told is not None
