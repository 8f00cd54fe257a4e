"""Every server there is to measure, by name, in the order of the tables."""

from __future__ import annotations

from typing import Final

from loadtest.bench.peers import bun, centrifugo, floor, nats, nchan, ours, websockets, ws
from loadtest.bench.peers.port import Peer

PEERS: Final[dict[str, Peer]] = {
    "c": floor.start,
    "ours": ours.start,
    "ours_python": ours.start_in_python,
    "bun": bun.start,
    "nchan": nchan.start,
    "ws": ws.start,
    "websockets": websockets.start,
    "nats": nats.start,
    "centrifugo": centrifugo.start,
}
