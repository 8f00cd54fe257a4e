"""A session that comes from another process, and has seen more than this one has heard."""

from __future__ import annotations

import pytest

from liveserver.hub.live_room import LiveRoom
from protocol.events import ListingPublished
from protocol.frames import Frame

from .conftest import StartServer
from .raw import Raw
from .shop import list_oil


async def test_he_resumes_by_replay_at_one_that_lags_behind(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay brings the other process nothing, and no beat heals it."""
    one, other = await start_server(), await start_server()
    receive, heal = LiveRoom.receive, LiveRoom.heal

    def deaf(live: LiveRoom, *given: object) -> list[object]:
        return [] if live.process == other.process else receive(live, *given)  # type: ignore

    def unhealed(live: LiveRoom, *given: int) -> None:
        if live.process != other.process:
            heal(live, *given)

    monkeypatch.setattr(LiveRoom, "receive", deaf)
    monkeypatch.setattr(LiveRoom, "heal", unhealed)
    async with (
        Raw(one.url, one.mint("streamer", "eve")) as eve,
        Raw(other.url, other.mint("viewer", "bob")) as bob,
    ):
        await eve.join("r1")
        await bob.join("r1")
        async with Raw(one.url, one.mint("viewer", "ann")) as ann:
            joined = await ann.join("r1")
            for listing in ("oil", "soy", "tea"):
                await list_oil(eve, listing_id=listing)
            await ann.until(lambda m: isinstance(m, Frame) and any(e.offset == 2 for e in m.critical))
        assert bob.events() == [], "it has heard nothing"
        async with Raw(other.url, other.mint("viewer", "ann")) as ann:
            resumed = await ann.join("r1", joined.epoch, 2)
            assert (resumed.mode, resumed.offset, resumed.replayed) == ("replayed", 3, 1)
            await ann.see_event(ListingPublished)
            assert [envelope.offset for envelope in ann.events()] == [3]
        await bob.until(lambda m: isinstance(m, Frame) and any(e.offset == 3 for e in m.critical))
        assert [envelope.offset for envelope in bob.events()] == [1, 2, 3], "and all the others with him"


async def test_who_claims_more_than_there_is_gets_a_snapshot(start_server: StartServer) -> None:
    server = await start_server()
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        joined = await eve.join("r1")
        await list_oil(eve)
        async with Raw(server.url, server.mint("viewer", "liar")) as liar:
            told = await liar.join("r1", joined.epoch, 1_000_000)
            assert (told.mode, told.offset) == ("snapshot", 1)
