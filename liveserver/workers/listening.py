"""One listening socket per place, all of one address: the kernel deals connections out among them.

They listen from the start, in the parent, and as long as it lives. Nothing is lost while a place has no
worker: its connections wait in the socket's queue until one comes.
"""

from __future__ import annotations

import socket
from typing import Any, Final

from liveserver.edge.listening import tune

BACKLOG: Final = 2_048


def listen(host: str, port: int, places: int) -> list[socket.socket]:
    """``port`` 0: any free one, the same for all. Raises ``OSError``, also where somebody else listens there
    (who shares its address the same way included); then nothing is left open."""
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    opened: list[socket.socket] = []
    try:
        # Alone first: SO_REUSEPORT would also let us in beside another server of the same user.
        with _bound(family, address, shared=False) as alone:
            address = alone.getsockname()
        for _ in range(places):
            opened.append(_bound(family, address, shared=True))
        for listener in opened:
            tune(listener)  # before anybody connects: a connection takes on what its listener has by then
            listener.listen(BACKLOG)
    except OSError:
        close(opened)
        raise
    return opened


def close(listeners: list[socket.socket]) -> None:
    for listener in listeners:
        listener.close()


def _bound(family: int, address: Any, *, shared: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.setblocking(False)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
