"""A freeze: buyer protection stops a small sale in the middle of it. Who paid before has it; who holds is
told, can't pay, and gives it back or sees his money go back; who comes now is refused."""

from __future__ import annotations

import asyncio

from loadtest.audience.scenes.stage import Stage


async def play(stage: Stage) -> None:
    quick, slow, careful, newcomer = stage.cast
    await stage.open()
    paid, held, given_back = await asyncio.gather(*map(stage.buy, (quick, slow, careful)))
    await stage.pay(paid)
    await stage.streamer.freeze(stage.sale)
    await stage.buy(newcomer)
    paying = asyncio.create_task(stage.pay(held))  # refused until the hold is over, then it goes back
    await stage.release(careful, given_back)
    await paying
    await stage.close()
