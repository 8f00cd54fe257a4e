"""A server notes what it tells its buyers, where it is told to and in its data directory else."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path

from typer.testing import CliRunner

from liveserver.app import running
from liveserver.cli import ledger
from liveserver.config import Settings
from liveserver.stock.journal import Opened, Told
from liveserver.stock.journal_files import read_journals
from protocol import commands as c
from protocol.frames import Frame
from protocol.replies import Done, PurchaseOutcome

from .conftest import SECRET, StartServer
from .raw import Raw
from .shop import list_oil, open_oil_sale
from .test_restart import buy


async def test_what_a_buyer_is_told_stands_in_the_journal(start_server: StartServer, tmp_path: Path) -> None:
    server = await start_server(journal_dir=tmp_path)
    async with Raw(server.url, server.mint("streamer", "eve")) as eve:
        await eve.join("r1")
        await list_oil(eve, stock=3)
        await open_oil_sale(eve, limit=1)
        told = await eve.ask(buy("p1"), PurchaseOutcome)
        opened, noted = read_journals([tmp_path], "s1")
    assert told.reservation is not None and isinstance(noted, Told) and isinstance(opened, Opened)
    assert (noted.reservation_id, noted.epoch, noted.seq) == (
        told.reservation.reservation_id,
        told.epoch,
        told.seq,
    )
    text = await asyncio.to_thread(lambda: urllib.request.urlopen(f"{server.http_url}/metrics").read())
    assert b"liveserver_journal_lines_total 2.0" in text and b"liveserver_journal_failed_total 0.0" in text


async def test_the_journal_lies_in_the_data_directory(tmp_path: Path) -> None:
    async with running(Settings(port=0, data_dir=tmp_path, secret=SECRET)):
        (path,) = (tmp_path / "journal").iterdir()
        assert path.read_bytes().startswith(b'{"journal":1,')


async def test_a_room_goes_on_selling_after_a_rebuild_beside_it(
    start_server: StartServer, valkey_url: str, tmp_path: Path
) -> None:
    """The sale was frozen, an operator rebuilds it while the server runs: pages say open, and it sells."""
    server = await start_server(journal_dir=tmp_path)
    async with (
        Raw(server.url, server.mint("streamer", "eve")) as eve,
        Raw(server.url, server.mint("viewer", "ann")) as ann,
    ):
        await eve.join("r1")
        await list_oil(eve, stock=3)
        await open_oil_sale(eve, limit=1)
        await ann.join("r1")
        first = await ann.ask(buy("p1"), PurchaseOutcome)
        await eve.ask(c.FreezeSale(id="f1", room="r1", sale_id="s1"), Done)
        assert (await eve.ask(buy("p1"), PurchaseOutcome)).outcome == "frozen"
        words = ["rebuild", "s1", "--redis-url", valkey_url, "--journal", str(tmp_path), "--yes"]
        done = await asyncio.to_thread(CliRunner().invoke, ledger.app, words)
        assert done.exit_code == 0, done.output
        await ann.until(
            lambda m: (
                isinstance(m, Frame)
                and m.state is not None
                and any(one.epoch > first.epoch and one.status == "open" for one in m.state.stock)
            )
        )
        again = await ann.ask(buy("p1", 1), PurchaseOutcome)
        assert (again.replayed, again.reservation) == (True, first.reservation)
        assert (await eve.ask(buy("p2"), PurchaseOutcome)).outcome == "reserved"
