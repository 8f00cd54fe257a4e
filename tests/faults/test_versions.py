"""Old and new versions of the scripts at work on one sale at once, as while a fleet is upgraded.

``older/`` has the scripts as they were before there was a waitlist (format 1): other texts, other arguments
of ``reserve``, and keys without what came later.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from liveserver.stock import limits, scripts
from liveserver.stock.feed import read_feed
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import LedgerUnavailableError, Outcome, ReservationState
from liveserver.valkey.scripts import Script
from tests.conftest import StartValkey
from tests.faults.conftest import Clients
from tests.faults.rush import Rush, WallClock, judge, sale
from tests.stock.conftest import order

FOLDER = Path(__file__).parent / "older"
COMMON = (FOLDER / "common.lua").read_text("utf-8")
NAMES = ("open.lua", "reserve.lua", "confirm.lua", "release.lua", "expire.lua", "adjust.lua", "view.lua")
OLDER = {name: Script.read(FOLDER, name, prelude=COMMON) for name in NAMES}
FENCES = 6
ANSWERS = {"reserve.lua": 6, "confirm.lua": 6, "release.lua": 6, "expire.lua": 5, "adjust.lua": 3}


class OlderLedger(ValkeyLedger):
    """A process of the version before: its scripts and its five keys. What they answer is completed here by
    the empty lists its Python didn't ask for."""

    async def _call(self, script: Script, sale_id: str, arguments: Sequence[str | int]) -> list[Any]:
        if script is scripts.RESERVE:
            own = arguments[FENCES:]
            half = len(own) // 2
            pairs = zip(own[:half], own[half:], strict=True)
            arguments = [*arguments[:FENCES], *(part for pair in pairs for part in pair)]
        reply: list[Any] = await OLDER[script.name].call(
            self._client, scripts.keys_of(sale_id)[:5], arguments
        )
        if reply[0] != b"ok":
            return reply
        if script is scripts.VIEW:
            reply[2].append(None)
        return reply + [[] for _ in range(ANSWERS.get(script.name, 0) - len(reply))]


@pytest.mark.parametrize("opened_by", ["older", "newer"])
async def test_old_and_new_scripts_sell_one_sale_at_once(
    opened_by: str, durable_valkey: StartValkey, clients: Clients
) -> None:
    store = await durable_valkey(fsync="no")
    client = clients.client(store.url)
    older, newer = OlderLedger(clients.client(store.url), WallClock()), clients.ledger(store.url)
    await (older if opened_by == "older" else newer).open(sale(600, limit=4), command_id="open-1")
    rush = Rush([older, newer], users=120)
    await rush.run(250)
    assert rush.answers[Outcome.RESERVED] > 100 and rush.answers[Outcome.LIMIT_REACHED] > 0
    for number, named in enumerate(rush.told.values()):
        first, then = (older, newer) if number % 2 else (newer, older)
        if number % 3:
            assert (await first.confirm(named, command_id="p")).changed
            assert not (await then.confirm(named, command_id="p")).changed
        else:
            assert (await first.release(named, command_id="r")).changed
            gone = (await then.release(named, command_id="r")).reservation
            assert gone.state is ReservationState.RELEASED
    for key, named in list(rush.told.items())[:20]:  # whoever granted it, either knows it again
        asked = [order(*key, (0, 1)), order(*key, (0, 2))]
        for ledger in (older, newer):
            verdicts, _ = await ledger.reserve("s1", asked)
            assert {one.outcome for one in verdicts} == {Outcome.RESERVED, Outcome.CONFLICT}
            assert [one.reservation.reservation_id for one in verdicts if one.reservation] == [named]
    await older.adjust("s1", "i0", 5, actor="eve", reason="", command_id="a1")
    assert (await newer.adjust("s1", "i0", 5, actor="eve", reason="", command_id="a1")).adjusted == {"i0": 5}
    report = await judge(client, rush)
    assert report.available["i0"] + report.held["i0"] + report.confirmed["i0"] == 605
    assert len(await read_feed(client, "s1", rows_max=10_000)) > 100


async def test_a_version_leaves_a_sale_of_a_newer_one_alone(
    durable_valkey: StartValkey, clients: Clients
) -> None:
    """What it doesn't know of the sale it can't keep true: nothing is done, and it says so."""
    store = await durable_valkey(fsync="no")
    client, ledger = clients.client(store.url), clients.ledger(store.url)
    await ledger.open(sale(), command_id="open-1")
    rush = Rush([ledger])
    await rush.run(5)
    meta = scripts.keys_of("s1")[0]
    assert await client.hget(meta, "format") == str(limits.OPENED_FORMAT).encode()
    await client.hset(meta, "format", str(limits.FORMAT + 1))
    before = await client.dump(meta)
    for act in (
        ledger.reserve("s1", [order("ann", "c1")]),
        ledger.confirm(next(iter(rush.told.values())), command_id="p"),
        ledger.release(next(iter(rush.told.values())), command_id="r"),
        ledger.expire("s1"),
        ledger.close("s1", actor="eve", command_id="x"),
    ):
        with pytest.raises(LedgerUnavailableError, match="newer version"):
            await act
    assert await client.dump(meta) == before
    await client.hset(meta, "format", str(limits.OPENED_FORMAT))
    await rush.run(5)
    await judge(client, rush)
