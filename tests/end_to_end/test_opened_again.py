"""Who was answered goes on at once: a listing's next sale behind the close of the last, at any process."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from liveserver.app import Running
from liveserver.commands import close_sale
from liveserver.hub.live_room import LiveRoom
from protocol import commands as c
from protocol.events import SaleClosed
from protocol.replies import Done

from .conftest import StartServer
from .raw import Raw
from .rest import Rest
from .shop import list_oil, open_oil_sale

TIMES = 20


async def close(streamer: Raw, sale_id: str, room: str | None = "r1") -> None:
    await streamer.ask(c.CloseSale(id=streamer.new_id(), room=room, sale_id=sale_id), Done)


@pytest.fixture
def nobody_else_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process learns it has asked for or done itself: the relay brings nothing, and of what the
    ledger says of a sale no room is told beside the command."""
    monkeypatch.setattr(LiveRoom, "receive", lambda live, item: [])
    monkeypatch.setattr(LiveRoom, "observe", lambda live, view: True)


@pytest.mark.usefixtures("nobody_else_tells")
@pytest.mark.parametrize("processes", [1, 2])
async def test_closed_and_opened_again_at_once(start_server: StartServer, processes: int) -> None:
    """With two, the next sale is always opened at the other one."""
    async with AsyncExitStack() as stack:
        eves = []
        for _ in range(processes):
            server = await start_server()
            eves.append(await stack.enter_async_context(Raw(server.url, server.mint("streamer", "eve"))))
        await list_oil(eves[0])
        await open_oil_sale(eves[-1], sale_id="s0")
        for number in range(1, TIMES):
            await close(eves[number % processes], f"s{number - 1}")
            await open_oil_sale(eves[(number + 1) % processes], sale_id=f"s{number}")


@pytest.mark.usefixtures("nobody_else_tells")
async def test_closed_over_rest_without_naming_a_room(start_server: StartServer) -> None:
    one, two = await start_server(), await start_server()
    shop = Rest(two, two.mint("service", "shop"))
    async with Raw(one.url, one.mint("streamer", "eve")) as eve:
        await list_oil(eve)
        await open_oil_sale(eve, sale_id="s0")
        for number in range(1, TIMES):
            await shop.done("POST", f"/v1/sales/s{number - 1}/close", key=f"c{number}")
            await open_oil_sale(eve, sale_id=f"s{number}")


@pytest.mark.usefixtures("nobody_else_tells")
async def test_what_the_rules_refuse_the_room_refuses_as_it_is(start_server: StartServer) -> None:
    """Not as one process has heard of it so far: a listing is withdrawn where its sale's end was not heard,
    and steered where its beginning was not."""
    one, two = await start_server(), await start_server()
    async with (
        Raw(one.url, one.mint("streamer", "eve")) as here,
        Raw(two.url, two.mint("streamer", "eve")) as there,
    ):
        for number in range(TIMES):
            await list_oil(here)
            await open_oil_sale(there, sale_id=f"s{number}")
            await close(here, f"s{number}")
            await there.ask(c.WithdrawListing(id=there.new_id(), room="r1", listing_id="oil"), Done)
        refused = await there.refused(c.WithdrawListing(id=there.new_id(), room="r1", listing_id="oil"))
        assert (refused.code, refused.field) == ("unknown_listing", "listingId")


async def test_a_room_that_can_not_be_told_in_time_hears_it_later(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(close_sale, "TOLD_SECONDS_MAX", 0)
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await eve.join("r1")
        await list_oil(eve)
        await open_oil_sale(eve)
        await close(eve, "s1")
        await eve.see_event(SaleClosed)
        await close(eve, "s1")
        closed = [one for one in eve.events() if isinstance(one.event, SaleClosed)]
        assert len(closed) == 1
