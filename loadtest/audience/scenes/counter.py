"""The counter: more there than anybody wants, so that what happens depends on nobody's speed.

Units found broken are taken out; the sale is paused and resumed; a paid order comes back with its limit, and
its buyer buys again, another without, and his buyer may not; one pays late while there is enough, one after
the close, when the money must go back.
"""

from __future__ import annotations

import asyncio

from loadtest.audience.scenes.stage import Stage


async def play(stage: Stage) -> None:
    sale, streamer = stage.sale, stage.streamer
    trusted, strict, *_ = stage.cast
    await stage.open()
    await streamer.adjust(sale, sale.items[0], -3, "三罐漏了，不卖")
    first, second, late, too_late = await asyncio.gather(*map(stage.buy, stage.cast))
    await stage.pay(first)
    await streamer.pause(sale)
    await stage.buy(trusted)  # paused
    await stage.pay(second)  # what is held may be paid all the same
    await streamer.resume(sale)
    await stage.give_back(first, limit_back=True)
    await stage.give_back(second, limit_back=False)
    await stage.pay(await stage.buy(trusted, quantity=2))
    await stage.buy(strict, quantity=2)  # limit_reached
    await stage.pay_late(late)
    await streamer.adjust(sale, sale.items[0], +2, "又找到两罐")
    await stage.close()
    await stage.pay_late(too_late)
