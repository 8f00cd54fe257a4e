"""A sale is bought in its own rooms, not in any room its buyer happens to be in."""

from __future__ import annotations

from liveserver.app import Running
from protocol import commands as c
from protocol.replies import PurchaseOutcome
from protocol.types import OrderLine

from .raw import Raw
from .shop import list_oil, open_oil_sale


async def test_a_sale_of_another_room_is_unknown_here(server: Running) -> None:
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await eve.join("r1")
        await list_oil(eve)
        await open_oil_sale(eve)
        await ann.join("r1")
        await ann.join("r2")
        await ann.see_available("s1", {"jar": 3})
        jar = [OrderLine(item_id="jar")]
        refused = await ann.refused(c.Purchase(id="b1", room="r2", sale_id="s1", lines=jar))
        assert (refused.code, refused.field) == ("unknown_sale", "saleId")
        bought = await ann.ask(c.Purchase(id="b1", room="r1", sale_id="s1", lines=jar), PurchaseOutcome)
        assert (bought.outcome, bought.replayed) == ("reserved", False)
