"""A listening socket, and what every connection accepted from it inherits.

Set once here, and not for each connection: on Linux, BSD and macOS an accepted socket has its listener's
options. Measured: setting them one by one was a fifth of a handshake, and kept an object for each viewer.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from typing import Any, Final

NOTSENT_LOWAT_BYTES: Final = 16 * 1024  # Measured: a non-reader swallows 148 KB with it, 3.9 MB without


def bound(host: str, port: int) -> socket.socket:
    """Bound, not yet listening. A name with several addresses: the first one. ``OSError`` if it is taken."""
    found: Sequence[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, number, _, address = found[0]
    listener = socket.socket(family, kind, number)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def tune(listener: socket.socket) -> None:
    """Small writes leave at once, and the kernel takes little from us that it can't send yet, so a viewer who
    doesn't read is noticed early."""
    with contextlib.suppress(OSError):  # not a TCP socket
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES)
