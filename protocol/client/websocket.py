"""One WebSocket of the client: the handshake, and what its failure means. No rooms, no commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.protocol import Event
from websockets.typing import Subprotocol

from ..codec import CODECS, Codec
from .limits import FRAME_BYTES_MAX

CLOSE_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Address:
    """Where and how to connect."""

    url: str
    subprotocols: Sequence[str] = tuple(CODECS)  # the client's preference first
    compression: bool = True
    proxy: str | Literal[True] | None = True  # True: what the environment says
    ssl: SSLContext | None = None  # for wss; None: the default context


class Refused(Exception):
    """The handshake came to nothing."""

    def __init__(self, why: str, *, comes_back: bool, retry_ms: int = 0) -> None:
        super().__init__(why)
        self.comes_back = comes_back  # may another attempt succeed?
        self.retry_ms = retry_ms


class HeardConnection(ClientConnection):
    """Tells of every frame heard, pings too: they are the server's keepalive."""

    on_frame: Callable[[], None] | None = None

    def process_event(self, event: Event) -> None:
        if self.on_frame is not None:
            self.on_frame()
        super().process_event(event)


async def open_socket(address: Address, token: str, timeout_ms: float) -> tuple[HeardConnection, Codec]:
    """An open WebSocket and the codec it speaks. ``token`` goes into the ``Authorization`` header unless
    empty. Raises ``Refused``. Cancelled: no socket stays open."""
    deflate = ClientPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
    options: dict[str, Any] = {} if address.ssl is None else {"ssl": address.ssl}
    try:
        websocket = await open_websocket(
            address.url,
            subprotocols=[Subprotocol(each) for each in address.subprotocols],
            extensions=[deflate] if address.compression else None,
            compression=None,
            additional_headers={"Authorization": f"Bearer {token}"} if token else None,
            proxy=address.proxy,
            open_timeout=timeout_ms / 1_000,
            ping_interval=None,  # the server pings; the session watches for silence
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=FRAME_BYTES_MAX,
            create_connection=HeardConnection,
            **options,
        )
    except InvalidStatus as error:
        raise _refused_by_status(error) from error
    except InvalidMessage as error:  # the connection was lost in the middle of the answer
        raise Refused(str(error), comes_back=True) from error
    except (InvalidHandshake, InvalidURI) as error:
        raise Refused(str(error), comes_back=False) from error
    except (OSError, TimeoutError) as error:
        raise Refused(str(error) or type(error).__name__, comes_back=True) from error
    assert isinstance(websocket, HeardConnection)
    codec = CODECS.get(websocket.subprotocol or "")
    if codec is None:
        websocket.transport.abort()
        raise Refused("the server speaks none of our subprotocols", comes_back=False)
    return websocket, codec


def _refused_by_status(error: InvalidStatus) -> Refused:
    status = error.response.status_code
    after = error.response.headers.get("Retry-After", "")
    retry_ms = int(after) * 1_000 if after.isdigit() and len(after) < 7 else 0
    return Refused(f"HTTP {status}", comes_back=status >= 500 or status in (408, 425, 429), retry_ms=retry_ms)
