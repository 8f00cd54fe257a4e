"""Judging an upgrade: a request's head in, a verdict out. No sockets, no clock, no state between calls.

The order of the checks is the order in which a developer gets things wrong: path, token in the address,
method, Host, version, origin, subprotocol. What is left (key, Connection, Upgrade, extensions) is judged
by ``websockets``' Sans-I/O ``ServerProtocol.accept``. Every refusal is a ``Problem`` that says what to do.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Generator, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from websockets.datastructures import Headers, MultipleValuesError
from websockets.exceptions import HeaderLineTooLong, NegotiationError, RequestLineTooLong, TooManyHeaders
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.headers import parse_subprotocol
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from liveserver.edge.problem import Problem
from protocol.codec import CODECS, Codec

PATH = "/v1/live"
_UPGRADE = re.compile(rb"\n[ \t]*upgrade[ \t]*:[^\n]*websocket", re.IGNORECASE)
_TOKEN_KEYS = frozenset({"token", "access_token", "accesstoken", "jwt", "auth", "authorization", "bearer"})
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(:\d{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
FORWARDED_HOPS_MAX = 16

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Rules(msgspec.Struct, frozen=True):
    """What the operator sets. ``origins``: exact values beside the server's own host (``https://shop.cn``,
    ``null`` for sandboxed pages), or ``*``. ``trusted``: networks whose X-Forwarded-For is believed."""

    origins: frozenset[str] = frozenset()
    trusted: tuple[Network, ...] = ()
    deflate: bool = True

    @classmethod
    def of(cls, origins: Sequence[str] = (), trusted: Sequence[str] = (), deflate: bool = True) -> Rules:
        """From plain strings; ``ValueError`` for what is no network."""
        return cls(
            frozenset(origin.rstrip("/").lower() for origin in origins),
            tuple(ipaddress.ip_network(network) for network in trusted),
            deflate,
        )


class Accepted(msgspec.Struct, frozen=True):
    response: bytes  # the 101, whole
    codec: Codec
    deflate: bool
    bearer: str | None
    origin: str | None
    peer: str  # the client's address: the transport's, or what a trusted proxy says


class SharedDeflateFactory(ServerPerMessageDeflateFactory):
    """No context takeover both ways, so one compressed frame serves everybody. An offer that limits our
    window is declined: the shared frame is made with 15 bits."""

    def __init__(self) -> None:
        super().__init__(server_no_context_takeover=True, client_no_context_takeover=True)

    def process_request_params(
        self, params: Sequence[Any], accepted_extensions: Sequence[Any]
    ) -> tuple[list[Any], PerMessageDeflate]:
        if any(name == "server_max_window_bits" and value != "15" for name, value in params):
            raise NegotiationError("server_max_window_bits under 15")
        return super().process_request_params(params, accepted_extensions)


def is_upgrade(head: bytes) -> bool:
    """Does this request ask for WebSocket, rightly or wrongly?"""
    return _UPGRADE.search(head) is not None


class Handshake:
    """The judge of one process; keeps nothing of the requests it has seen."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._protocol = ServerProtocol(
            extensions=[SharedDeflateFactory()] if rules.deflate else [],
            subprotocols=[Subprotocol(name) for name in CODECS],
        )

    def judge(self, head: bytes, address: str) -> Accepted | Problem:
        """``head`` ends with the empty line; ``address`` is where the connection comes from."""
        try:
            request = _parsed(head)
        except (RequestLineTooLong, HeaderLineTooLong, TooManyHeaders) as error:
            return Problem("head_too_big", str(error))
        except (ValueError, NotImplementedError, EOFError) as error:
            return Problem("malformed_request", str(error))
        try:
            return self._judged(request, address)
        except MultipleValuesError as error:
            return Problem("malformed_request", f"more than one {error} header", field=str(error).strip("'"))

    def _judged(self, request: Request, address: str) -> Accepted | Problem:
        headers = request.headers
        path, _, query = request.path.partition("?")
        if path != PATH:
            return Problem("not_found", f"WebSocket is spoken at {PATH}, not at {path[:200]}")
        if _names_token(query):
            return Problem(
                "token_in_query",
                "addresses end up in logs, histories and referrers: send `Authorization: Bearer <token>` "
                "with the handshake, or `authenticate` as the first command",
            )
        if request.method != "GET":
            return Problem("malformed_request", "a WebSocket handshake is a GET", field="method")
        if HOST.fullmatch(headers.get("Host") or "") is None:
            return Problem("malformed_request", "one valid Host header is needed", field="Host")
        version = headers.get("Sec-WebSocket-Version")
        if version is not None and version.strip() != "13":
            return Problem(
                "wrong_version",
                f"version {version[:20]!r} was offered",
                field="Sec-WebSocket-Version",
                headers={"Sec-WebSocket-Version": "13", "Upgrade": "websocket"},
            )
        origin = headers.get("Origin")
        if origin is not None and not self._may_come_from(origin, headers["Host"]):
            return Problem(
                "wrong_origin",
                f"{origin[:200]!r} is neither this host nor on the list of allowed origins",
                field="Origin",
            )
        if self._offered(headers).isdisjoint(CODECS):
            return Problem(
                "wrong_subprotocol",
                f"offer one of: {', '.join(CODECS)}",
                field="Sec-WebSocket-Protocol",
            )
        response = self._protocol.accept(request)
        if response.status_code != 101:
            detail = response.body.decode(errors="replace").partition("\n")[0]
            return Problem(
                "malformed_request", detail.removeprefix("Failed to open a WebSocket connection: ")
            )
        subprotocol = self._protocol.subprotocol
        assert subprotocol is not None
        return Accepted(
            response=response.serialize(),
            codec=CODECS[subprotocol],
            deflate=bool(self._protocol.extensions),
            bearer=bearer_of(headers.get("Authorization") or ""),
            origin=origin,
            peer=self.peer(",".join(headers.get_all("X-Forwarded-For")), address),
        )

    def _may_come_from(self, origin: str, host: str) -> bool:
        lowered = origin.lower()
        if "*" in self._rules.origins or lowered in self._rules.origins:
            return True
        scheme, _, rest = lowered.partition("://")
        port = _DEFAULT_PORTS.get(scheme)
        return port is not None and rest.removesuffix(port) == host.lower().removesuffix(port)

    @staticmethod
    def _offered(headers: Headers) -> set[str]:
        try:
            return {
                str(name)
                for value in headers.get_all("Sec-WebSocket-Protocol")
                for name in parse_subprotocol(value)
            }
        except Exception:  # its header errors; none of ours can be in what can't be read
            return set()

    def peer(self, forwarded: str, address: str) -> str:
        """The rightmost address of X-Forwarded-For that is no proxy of ours, each hop being trusted."""
        hops = [hop.strip() for hop in forwarded.split(",")[-FORWARDED_HOPS_MAX:]] if forwarded else []
        peer = address
        while hops and self._trusts(peer):
            claimed = _address(hops.pop())
            if claimed is None:
                break
            peer = str(claimed)
        return peer

    def _trusts(self, peer: str) -> bool:
        address = _address(peer)
        return address is not None and any(address in network for network in self._rules.trusted)


def _parsed(head: bytes) -> Request:
    """``websockets``' own parser of requests, run over bytes that are all there."""
    at = 0

    def read_line(limit: int, too_long: type[Exception] = ValueError) -> Generator[None, None, bytes]:
        nonlocal at
        end = head.find(b"\n", at) + 1
        if end == 0:
            raise EOFError("the head ends in mid-line")
        if end - at > limit:
            raise too_long(f"a line of more than {limit} bytes")
        line, at = head[at:end], end
        yield from ()  # it is a generator by contract, and never has to wait
        return line

    parsing = Request.parse(read_line)
    try:
        next(parsing)
    except StopIteration as done:
        request: Request = done.value
        return request
    raise AssertionError("the head is all there")


def _names_token(query: str) -> bool:
    if not query:
        return False
    pairs = parse_qsl(query, keep_blank_values=True)
    return any(key.lower() in _TOKEN_KEYS or _JWT.search(value) for key, value in pairs) or bool(
        _JWT.search(query)
    )


def bearer_of(authorization: str) -> str | None:
    """The token of an Authorization header's value."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An IPv4 address as a dual-stack listener shows it (``::ffff:10.0.0.1``) is that IPv4 address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
