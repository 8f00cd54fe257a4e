"""After a restart on the same data the room, its offsets and its stock go on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from structlog.testing import capture_logs

from liveserver.app import running
from liveserver.config import Settings
from liveserver.edge.tokens import TokenConfig, Tokens
from protocol import commands as c
from protocol.events import ListingPublished
from protocol.frames import Frame
from protocol.replies import Bye, PurchaseOutcome
from protocol.types import OrderLine, Role
from tests.conftest import StartValkey

from .conftest import SECRET
from .raw import Raw
from .rest import Rest
from .shop import list_oil, open_oil_sale

LIMIT_S = 20.0


def buy(command_id: str, attempt: int = 0) -> c.Purchase:
    line = OrderLine(item_id="jar", quantity=1)
    return c.Purchase(id=command_id, room="r1", sale_id="s1", lines=[line], attempt=attempt)


async def test_room_offsets_and_stock_survive_a_restart(tmp_path: Path) -> None:
    settings = Settings(port=0, data_dir=tmp_path, secret=SECRET)
    async with running(settings) as server, Raw(server.url, server.mint("streamer", "eve")) as eve:
        joined = await eve.join("r1")
        await list_oil(eve, stock=3)
        await open_oil_sale(eve, limit=1)
        first = await eve.ask(buy("p1"), PurchaseOutcome)
        assert (first.outcome, first.durability) == ("reserved", "fsynced")

    async with running(settings) as server, Raw(server.url, server.mint("streamer", "eve")) as eve:
        resumed = await eve.join("r1", joined.epoch, 1)
        assert (resumed.mode, resumed.epoch, resumed.offset) == ("replayed", joined.epoch, 2)
        assert [one.command_id for one in resumed.me.reservations] == ["p1"]
        again = await eve.ask(buy("p1", 1), PurchaseOutcome)
        assert (again.replayed, again.reservation) == (True, first.reservation)
        assert (again.epoch, again.seq) == (first.epoch, first.seq), "the sale's epoch goes on too"
        done = await list_oil(eve, listing_id="soy")
        assert (done.epoch, done.offset) == (joined.epoch, 3)
        await eve.see_available("s1", {"jar": 2})


async def test_the_store_dies_with_a_server_killed_by_9(tmp_path: Path) -> None:
    """And what it had acknowledged is there again afterwards."""
    script = (
        "import asyncio, sys, pathlib\n"
        "from liveserver.app import running\n"
        "from liveserver.config import Settings\n"
        "async def main():\n"
        "    settings = Settings(port=0, data_dir=pathlib.Path(sys.argv[1]), secret=sys.argv[2])\n"
        "    async with running(settings) as server:\n"
        "        print(server.url, flush=True)\n"
        "        await server.wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path), SECRET, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    url = ""
    while not url.startswith("ws://"):
        line = await asyncio.wait_for(parent.stdout.readline(), LIMIT_S)
        assert line, "the server did not start"
        url = line.decode().strip()
    children = _children(parent.pid)
    assert children, "the embedded store is a process of its own"

    token = _mint()
    async with Raw(url, token) as eve:
        joined = await eve.join("r1")
        await list_oil(eve, stock=3)
        await eve.see_event(ListingPublished)
        await open_oil_sale(eve)
        told = await eve.ask(buy("p1"), PurchaseOutcome)
        assert told.outcome == "reserved"
        os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    for _ in range(200):
        if not any(_alive(pid) for pid in children):
            break
        await asyncio.sleep(0.05)
    assert not [pid for pid in children if _alive(pid)], "an orphaned store"

    settings = Settings(port=0, data_dir=tmp_path, secret=SECRET)
    async with running(settings) as server, Raw(server.url, token) as eve:
        resumed = await eve.join("r1", joined.epoch, joined.offset)
        assert (resumed.epoch, resumed.offset) == (joined.epoch, 2)
        await eve.until(lambda m: isinstance(m, Frame) and bool(m.critical))
        assert [envelope.offset for envelope in eve.events()] == [1, 2]
        again = await eve.ask(buy("p1", 1), PurchaseOutcome)
        assert (again.replayed, again.reservation) == (True, told.reservation)


def _mint() -> str:
    tokens = Tokens(TokenConfig(secret=SECRET))
    return tokens.mint("eve", Role.STREAMER, ["*"], now_ms=int(time.time() * 1000), ttl_ms=600_000)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_clean_end_says_goodbye(tmp_path: Path) -> None:
    settings = Settings(port=0, data_dir=tmp_path, secret=SECRET)
    async with running(settings) as server:
        ann = await Raw(server.url, server.mint("viewer", "ann")).__aenter__()
        await ann.join("r1")
    await ann.socket.wait_closed()
    assert ann.socket.close_code == 1001
    byes = [message for message in ann.heard if isinstance(message, Bye)]
    assert [bye.reconnect for bye in byes] == [True]


async def test_a_sale_that_a_restart_of_the_store_froze_is_shown_frozen_though_nobody_touches_it(
    durable_valkey: StartValkey, tmp_path: Path
) -> None:
    """Its last second may be lost (everysec). The next server finds out by itself, and says so."""
    store = await durable_valkey(tmp_path / "data", fsync="everysec")
    async with (
        running(Settings(port=0, redis_url=store.url, secret=SECRET)) as server,
        Raw(server.url, server.mint("streamer", "eve")) as eve,
    ):
        await eve.join("r1")
        await list_oil(eve, stock=3)
        await open_oil_sale(eve)
    await store.stop()
    store = await durable_valkey(tmp_path / "data", fsync="everysec")
    with capture_logs() as logs:
        async with running(Settings(port=0, redis_url=store.url, secret=SECRET)) as server:
            operator = Rest(server, server.mint("service", "ops"))
            async with asyncio.timeout(LIMIT_S):
                while (await operator.done("GET", "/v1/sales"))["sales"][0]["status"] != "frozen":
                    pass
    told = [log for log in logs if log["log_level"] == "error"]
    assert [(log["sale"], log["tells_why"]) for log in told] == [
        ("s1", "liveserver ledger rebuild s1 --dry-run")
    ]
