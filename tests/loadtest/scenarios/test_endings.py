"""Nothing outlives whoever plays a scenario, however he ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from loadtest.scenarios.proc import family
from loadtest.swarm.swarm import Swarm, SwarmError

WAIT_S = 20.0

OPENS_AND_WAITS = """
import asyncio, sys
from pathlib import Path
from loadtest.scenarios.house import House
from loadtest.swarm.swarm import Swarm

async def main():
    house = House(Path(sys.argv[1]), "s" * 48)
    await house.open()
    host, port, path = house.address
    swarm = await Swarm.start(
        1, host=host, port=port, path=path, secret="s" * 48, seed=1, core=None, seconds_max=60
    )
    await swarm.come(3, rooms=["r1"], group="v", over_s=0)
    print("open", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def there(pids: list[int]) -> list[int]:
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z":  # whoever adopted it may take his time
                found.append(pid)
    return found


async def gone(pids: list[int]) -> None:
    async with asyncio.timeout(WAIT_S):
        while there(pids):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own signal")
async def test_a_scenario_killed_outright_takes_server_store_and_swarm_along(tmp_path: Path) -> None:
    scenario = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OPENS_AND_WAITS, str(tmp_path)), stdout=asyncio.subprocess.PIPE
    )
    assert scenario.stdout is not None
    async with asyncio.timeout(WAIT_S):
        assert await scenario.stdout.readline() == b"open\n"
    pids = [pid for pid in family(scenario.pid) if pid != scenario.pid]
    assert len(pids) >= 3  # a server, its store, a process of the swarm
    os.kill(scenario.pid, signal.SIGKILL)
    await scenario.wait()
    await gone(pids)


async def start(seconds_max: float) -> Swarm:
    return await Swarm.start(
        1,
        host="127.0.0.1",
        port=9,
        path="/",
        secret="s" * 48,
        seed=1,
        core=None,
        seconds_max=seconds_max,
    )


async def test_a_swarm_that_takes_too_long_ends_by_itself_and_says_so() -> None:
    swarm = await start(0.2)
    pids = swarm.pids()
    await gone(pids)
    with pytest.raises(SwarmError, match="longer than"):
        await swarm.phase("late")
    await swarm.end()


async def test_an_order_that_fails_says_which_and_why() -> None:
    swarm = await start(30)
    with pytest.raises(SwarmError, match=r"flood.*per_s"):
        await swarm.all("flood", seconds=1, seed=1)
    with pytest.raises(SwarmError, match="no_such_order"):
        await swarm.all("no_such_order")
    await swarm.end()


async def test_who_finds_no_server_is_not_at_the_end() -> None:
    """Port 9 of the loopback: nobody listens. They try again, and are told of as missing."""
    swarm = await start(30)
    await swarm.come(3, rooms=["r1"], group="v", over_s=0)
    assert await swarm.settle(0.3) == 3
    (report,) = await swarm.reports()
    assert report["counts"]["not_connected"] >= 3 and report["at_the_end"] == 0 and report["stay"] == 3
    await swarm.end()
