"""The figures of ``bench inbound``, from rounds that run in turn: every server in every round, beside each
other, the order turning, judged by the CPU time of the server's process alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import msgspec

from loadtest import machine
from loadtest.bench.child import Child
from loadtest.bench.figures import Figure, at_least, plain, ratios
from loadtest.bench.inbound import load
from loadtest.bench.stock.store import store

TARGET: Final = 90_000.0  # commands a second and core, decoded and validated
TAKEN_S_MAX: Final = 20.0
REST_S: Final = 0.2


class Arm(msgspec.Struct, frozen=True):
    kind: str  # of server
    load: str
    together: int  # commands in one read
    answered: bool

    @property
    def name(self) -> str:
        together = "one_a_read" if self.together == 1 else "sixteen_a_read"
        return f"{self.kind}.{together}" if self.load == "pings" else f"{self.kind}.{self.load}"


ARMS: Final = [
    *(Arm(kind, "pings", 1, False) for kind in ("read", "decoded", "validated", "websockets_decoded")),
    *(Arm(kind, "pings", 1, True) for kind in ("answered", "websockets_answered")),
    *(Arm(kind, "pings", load.TOGETHER, False) for kind in ("decoded", "validated", "websockets_decoded")),
    *(Arm(kind, "pings", load.TOGETHER, True) for kind in ("answered", "websockets_answered")),
    Arm("answered", "mixed", 1, True),
]
KINDS: Final = tuple(dict.fromkeys(arm.kind for arm in ARMS))


class LostCommandsError(Exception):
    """Not everything that was sent was taken in, or answered: nothing is measured."""


class Pair(msgspec.Struct):
    """A server and who send to it."""

    server: Child
    senders: Child

    async def measure(self, arm: Arm) -> float:
        """Commands per second of the server's CPU time."""
        before = await self.server.ask({})
        asked = {"load": arm.load, "together": arm.together, "answered": arm.answered}
        sent = await self.senders.ask(asked)
        after = await self._taken(arm, before, sent)
        if arm.answered and sent["replies"] != sent["sent"]:
            raise LostCommandsError(f"{arm.name}: {sent['replies']} replies to {sent['sent']} commands")
        return float(sent["sent"] / (after["cpu_s"] - before["cpu_s"]))

    async def _taken(self, arm: Arm, before: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
        if arm.kind == "answered":  # its replies are counted
            return await self.server.ask({})
        due = before["received"] + sent["bytes" if arm.kind == "read" else "sent"]
        async with asyncio.timeout(TAKEN_S_MAX):
            while (after := await self.server.ask({}))["received"] < due:  # noqa: ASYNC110  of another process
                await asyncio.sleep(0.01)
        if after["received"] != due:
            raise LostCommandsError(f"{arm.name}: {after['received']} instead of {due}")
        return after


async def run(sockets: int, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Name to commands per second of CPU, a list with one of each round. Gives the cores back."""
    cores = machine.cores()
    theirs, ours = cores[0], cores[-1]
    machine.pin(0, ours)
    try:
        async with AsyncExitStack() as stack:
            kept = await stack.enter_async_context(store("rooms", ours))
            pairs = {}
            for kind in KINDS:
                say(f"{kind}: {sockets:,} sockets")
                pairs[kind] = await _pair(stack, kind, theirs, ours, kept.url, sockets)
            taken: dict[str, list[float]] = {arm.name: [] for arm in ARMS}
            for turn in range(rounds):
                say(f"round {turn + 1} of {rounds}")
                for arm in ARMS[turn % len(ARMS) :] + ARMS[: turn % len(ARMS)]:
                    taken[arm.name].append(await pairs[arm.kind].measure(arm))
                    await asyncio.sleep(REST_S)
            return taken
    finally:
        machine.pin_all(cores)


async def _pair(
    stack: AsyncExitStack, kind: str, theirs: int, ours: int, store_url: str, sockets: int
) -> Pair:
    server = await Child.start("loadtest.bench.inbound.servers", kind, str(theirs), store_url, str(sockets))
    stack.push_async_callback(server.end)
    whom = await server.answer()
    senders = await Child.start("loadtest.bench.inbound.senders", str(ours))
    stack.push_async_callback(senders.end)
    opened = await senders.ask(whom)
    if opened != {"opened": sockets}:
        raise LostCommandsError(f"{kind}: {opened}")
    return Pair(server, senders)


def figures(taken: dict[str, list[float]]) -> dict[str, Figure]:
    """``inbound_per_s`` is the promise; all others stand beside it."""
    found = {"inbound_per_s": at_least(taken["validated.one_a_read"], TARGET)}
    found["inbound_per_s_sixteen_a_read"] = at_least(taken["validated.sixteen_a_read"], TARGET)
    for name, per_s in taken.items():
        found[f"per_s.{name}"] = plain(per_s)
    for together in ("one_a_read", "sixteen_a_read"):
        for ours, theirs in (("validated", "decoded"), ("answered", "answered")):
            found[f"ratio_to_websockets.{ours}.{together}"] = plain(
                ratios(taken[f"{ours}.{together}"], taken[f"websockets_{theirs}.{together}"])
            )
    return found
