"""One listening socket per place, one address for all."""

from __future__ import annotations

import errno
import socket

import pytest

from liveserver.workers.listening import close, listen


def test_port_0_is_one_port_for_all_and_every_connection_lands_somewhere() -> None:
    listeners = listen("127.0.0.1", 0, 3)
    try:
        assert len({listener.getsockname() for listener in listeners}) == 1
        clients = [socket.create_connection(listeners[0].getsockname(), timeout=5) for _ in range(60)]
        taken = [_taken(listener) for listener in listeners]
        assert sum(taken) == len(clients)
        assert all(taken), "the kernel deals them out"
        for client in clients:
            client.close()
    finally:
        close(listeners)


def _taken(listener: socket.socket) -> int:
    count = 0
    while True:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return count
        connection.close()
        count += 1


@pytest.mark.parametrize("shared", [False, True])
def test_an_address_in_use_is_refused_even_by_one_who_would_share_it(shared: bool) -> None:
    with socket.socket() as other:
        if shared:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OSError, match="in use") as refused:
            listen("127.0.0.1", other.getsockname()[1], 2)
        assert refused.value.errno == errno.EADDRINUSE
