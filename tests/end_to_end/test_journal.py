"""A server notes what it tells its buyers, where it is told to and in its data directory else."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path

from liveserver.app import running
from liveserver.config import Settings
from liveserver.stock.journal import Opened, Told
from liveserver.stock.journal_files import read_journals
from protocol.replies import PurchaseOutcome

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
