"""Ordinary HTTP: health, metrics, pages, and the REST of ``operations``. Every refusal is problem+json.

The order of the checks of a REST call: who (401), may he (403), key, query, body, does this process take
commands still, the command's own fields. While it ends, reads are answered and commands are not carried out,
as on a socket; either way the connection ends, so that the next request may find another process.
"""

from __future__ import annotations

import asyncio
import http
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from liveserver.core.clock import Clock
from liveserver.core.identity import Identity
from liveserver.edge.api import RestApi
from liveserver.edge.every_operation import EVERY_OPERATION
from liveserver.edge.handshake import PATH as SOCKET_PATH
from liveserver.edge.metrics import Metrics
from liveserver.edge.openapi import document
from liveserver.edge.operations import NOBODY, Call, Operation
from liveserver.edge.pages import SAFE, SafeHeaders, page_routes
from liveserver.edge.problem import MEDIA_TYPE, Problem
from liveserver.edge.tokens import TokenError, Tokens
from protocol.codec import JSON
from protocol.errors import CommandError
from protocol.limits import COMMAND_BYTES_MAX
from protocol.types import ID_PATTERN, ID_WORDS

BODY_BYTES_MAX = COMMAND_BYTES_MAX
BODY_SECONDS_MAX = 10.0
KEY_HEADER = "Idempotency-Key"
_ID = re.compile(ID_PATTERN)

Endpoint = Callable[[Request], Awaitable[Response]]


class Refusal(Exception):
    """Carries a problem out of the checks."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def http_app(
    api: RestApi, pages_dir: Path, tokens: Tokens, metrics: Metrics, clock: Clock, *, version: str = "0"
) -> Starlette:
    """The ASGI application behind the door. ``pages_dir`` holds ``viewer.html`` and ``static/``."""
    described = orjson.dumps(document(version))

    async def healthz(_request: Request) -> Response:
        return _json(b'{"alive":true}')

    async def readyz(_request: Request) -> Response:
        reasons = api.ready()
        body = orjson.dumps({"ready": not reasons, "reasons": reasons})
        return _json(body, 503 if reasons else 200)

    async def scraped(_request: Request) -> Response:
        body, media_type = await metrics.scraped()
        return Response(body, headers={"Content-Type": media_type})

    async def openapi(_request: Request) -> Response:
        return _json(described)

    async def socket_only(_request: Request) -> Response:
        detail = "upgrade to WebSocket, with the subprotocol live.v1.json or live.v1.msgpack"
        return _refusal(Problem("websocket_only", detail, headers={"Upgrade": "websocket"}))

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", scraped),
            Route("/v1/openapi.json", openapi),
            Route(SOCKET_PATH, socket_only),
            *[
                Route(operation.path, _endpoint(operation, api, tokens, clock), methods=[operation.method])
                for operation in EVERY_OPERATION
            ],
            *page_routes(pages_dir),
        ],
        middleware=[Middleware(SafeHeaders)],
        exception_handlers={HTTPException: _http_refused, Exception: _failed},
    )


def _endpoint(operation: Operation, api: RestApi, tokens: Tokens, clock: Clock) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        response = await answered(request)
        if api.leaving_ms():
            response.headers["Connection"] = "close"
        return response

    async def answered(request: Request) -> Response:
        try:
            identity = _caller(request, tokens, clock, public=operation.public)
            _may(identity, operation, request.path_params)
            key = _key(request) if operation.method == "POST" else ""
            query = _query(request, operation)
            body = await _body(request, operation)
            if operation.method != "GET" and (leaving_ms := api.leaving_ms()):
                raise CommandError("retry", retry_ms=leaving_ms)
            answer = await operation.handle(api, Call(identity, request.path_params, query, key, body))
        except CommandError as error:
            return _refusal(Problem.of(error))
        except Refusal as refusal:
            return _refusal(refusal.problem)
        headers = operation.headers(answer) if operation.headers is not None else {}
        if "ETag" in headers and headers["ETag"] in _etags(request):
            return Response(status_code=http.HTTPStatus.NOT_MODIFIED, headers=headers)
        return _json(JSON.encode(answer), headers=headers)

    return endpoint


def _etags(request: Request) -> list[str]:
    given = request.headers.get("if-none-match", "")
    return [etag.strip().removeprefix("W/") for etag in given.split(",")]


def _caller(request: Request, tokens: Tokens, clock: Clock, *, public: bool) -> Identity:
    if public and "authorization" not in request.headers:
        return NOBODY
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise CommandError("not_authenticated", "send `Authorization: Bearer <token>`", field="Authorization")
    try:
        return tokens.verify(token.strip(), clock.now_ms())
    except TokenError as error:
        raise CommandError(error.code, error.detail, field="Authorization") from None


def _may(identity: Identity, operation: Operation, path: dict[str, str]) -> None:
    if identity.role not in operation.roles:
        raise CommandError("forbidden", f"for {', '.join(sorted(operation.roles))}, not {identity.role}")
    if "room" in path and not identity.may_enter(path["room"]):
        raise CommandError("forbidden", "the token does not name this room", field="room")


def _key(request: Request) -> str:
    key = request.headers.get(KEY_HEADER, "").strip('"')
    if not key:
        detail = f"send `{KEY_HEADER}: <id>`: the same key takes effect at most once"
        raise Refusal(Problem("missing_field", detail, field=KEY_HEADER, status=400))
    if not _ID.fullmatch(key):
        detail = f"`{KEY_HEADER}` is an id: {ID_WORDS}"
        raise Refusal(Problem("invalid_field", detail, field=KEY_HEADER, status=400))
    return key


def _query(request: Request, operation: Operation) -> dict[str, str]:
    known = {parameter.name for parameter in operation.query}
    for name in request.query_params:
        if name not in known:
            there = ", ".join(f"`{parameter.name}`" for parameter in operation.query)
            detail = f"no such query parameter: {f'there is {there}' if there else 'none is known here'}"
            raise CommandError("unknown_field", detail, field=name[:64])
    return dict(request.query_params)


async def _body(request: Request, operation: Operation) -> dict[str, Any]:
    if operation.method != "POST":
        return {}
    raw = await _read(request)
    if not raw and (operation.body is None or not operation.body_required):
        return {}
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refusal(Problem("wrong_media_type", f"application/json, not {media_type[:64]}"))
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refusal(Problem("malformed_body", str(error))) from None
    if not isinstance(body, dict):
        raise Refusal(Problem("malformed_body", "a body is an object"))
    return body


async def _read(request: Request) -> bytes:
    raw = b""
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for piece in request.stream():
                raw += piece
                if len(raw) > BODY_BYTES_MAX:
                    raise Refusal(_closing("body_too_big", f"{BODY_BYTES_MAX} bytes at most"))
    except TimeoutError:
        raise Refusal(_closing("body_timeout", f"within {BODY_SECONDS_MAX:g} seconds")) from None
    except ClientDisconnect:
        raise Refusal(_closing("body_timeout", "the connection was lost")) from None
    return raw


def _closing(code: str, detail: str) -> Problem:
    """The rest of the body is not read, so this connection can't go on."""
    return Problem(code, detail, headers={"Connection": "close"})


async def _http_refused(_request: Request, error: Exception) -> Response:
    """What the router refuses: no such path, no such method."""
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "malformed_request")
    return _refusal(Problem(code, status=error.status_code, headers=error.headers))


async def _failed(_request: Request, _error: Exception) -> Response:
    """Ours. The traceback is logged by whoever runs this application, after this answer."""
    return _refusal(Problem("internal", headers=SAFE))  # it stands outside of ``SafeHeaders``


def _refusal(problem: Problem) -> Response:
    headers = {**problem.headers, "Content-Type": MEDIA_TYPE}
    return Response(problem.body(), problem.status, headers)


def _json(body: bytes, status: int = http.HTTPStatus.OK, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, media_type="application/json")
