"""Who a socket reports to: the hub. Everything is synchronous and called on the loop's own thread.

An exception out of any of these is ours: it is logged with its traceback, closes that one socket 1011 and
harms nobody else. The one exception to that: ``protocol.errors.NotOurs`` out of ``received`` blames the
peer and closes 1007 without a traceback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from liveserver.edge.socket import Socket


class SocketOwner(Protocol):
    def admits(self) -> int:
        """0: there is room for one more. Else the milliseconds after which to try again."""
        ...

    def opened(self, socket: Socket) -> None:
        """The handshake is done, the 101 is written; frames may be written from here on."""
        ...

    def received(self, socket: Socket, payload: bytes) -> None:
        """One whole message of the socket's codec: right kind of frame, right UTF-8, inside the limit.
        Never called once the socket is closed or while its reading is paused."""
        ...

    def paused(self, socket: Socket) -> None:
        """The kernel is full. May be called from inside ``write``; ``socket.paused`` is already true."""
        ...

    def drained(self, socket: Socket) -> None:
        """All that was written has gone to the kernel; ``socket.paused`` is already false."""
        ...

    def closed(self, socket: Socket, code: int) -> None:
        """The connection is gone: once for every ``opened``, the last call about this socket, never from
        inside one of its methods. ``code``: of the close that was decided first, by us or by the peer
        (1005: he gave none); 1006: lost without a word."""
        ...
