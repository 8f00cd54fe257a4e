"""``liveserver ledger verify`` of the sale that was measured, by a process of its own: fast, and right."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, Final

import msgspec
import orjson

from loadtest.bench.stock.loads import WrongAnswerError
from loadtest.bench.stock.store import Store

PROOF_S_MAX: Final = 1_800.0


class Proof(msgspec.Struct, frozen=True):
    """Every law holds, over so much."""

    rows: int
    reservations: int
    buyers: int
    seconds: float


async def prove(store: Store, sale_id: str) -> Proof:
    """Raises ``WrongAnswerError`` with what was found. Its progress goes to our own stderr."""
    began_s = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "liveserver", "ledger", "verify"),
        *("--redis-url", store.url, "--sale", sale_id, "--json"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PROOF_S_MAX):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise WrongAnswerError(f"{store.name}: the ledger does not verify: {said.decode()[:2_000]}")
    (report,) = orjson.loads(said)["sales"]
    return _proof(report, time.monotonic() - began_s)


def _proof(report: dict[str, Any], seconds: float) -> Proof:
    return Proof(report["rows"], report["reservations"], report["buyers"], round(seconds, 1))
