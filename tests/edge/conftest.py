"""A server on a free port with an owner that remembers, and a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from liveserver.edge.handshake import Rules
from liveserver.edge.http import http_app
from liveserver.edge.metrics import Metrics
from liveserver.edge.server import Serving, serve
from tests.clock import ManualClock
from tests.edge.peers import Raw, Recorder
from tests.edge.shop import PAGES, TOKENS, RecordingApi, Site


class Edge:
    """A running server and its tools."""

    def __init__(self, serving: Serving, owner: Recorder, clock: ManualClock) -> None:
        self.serving = serving
        self.owner = owner
        self.clock = clock
        self.raws: list[Raw] = []

    @property
    def port(self) -> int:
        return self.serving.port

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/live"

    async def raw(self, *, receive_bytes: int = 0) -> Raw:
        raw = await Raw.connect(self.port, receive_bytes=receive_bytes)
        self.raws.append(raw)
        return raw

    async def upgraded(self, *, receive_bytes: int = 0, **changed: str) -> Raw:
        raw = await self.raw(receive_bytes=receive_bytes)
        await raw.upgrade(**changed)
        return raw

    async def pass_ms(self, duration_ms: int) -> None:
        """Let the server's time go by, beat by beat."""
        await self.clock.advance(duration_ms)


async def _echo(request: Request) -> JSONResponse:
    body = await request.body()
    return JSONResponse(
        {"method": request.method, "path": request.url.path, "body": body.decode(), "bytes": len(body)}
    )


def echo_app() -> Starlette:
    return Starlette(routes=[Route("/{path:path}", _echo, methods=["GET", "POST"])])


StartEdge = Callable[..., Awaitable[Edge]]


@pytest.fixture
async def start_edge() -> AsyncIterator[StartEdge]:
    """``await start_edge(rules=…, app=…)``: a server of the test's own."""
    started: list[Edge] = []

    async def start(*, rules: Rules | None = None, app: Any = None, owner: Recorder | None = None) -> Edge:
        clock = ManualClock()
        recorder = owner or Recorder()
        serving = await serve(app or echo_app(), recorder, "127.0.0.1", 0, clock=clock, rules=rules)
        edge = Edge(serving, recorder, clock)
        started.append(edge)
        return edge

    yield start
    for edge in started:
        for raw in edge.raws:
            raw.leave()
        await edge.serving.stop()


@pytest.fixture
async def edge(start_edge: StartEdge) -> Edge:
    return await start_edge()


@pytest.fixture
async def site(start_edge: StartEdge) -> Site:
    api = RecordingApi()
    app = http_app(api, PAGES, TOKENS, Metrics(), ManualClock(), version="0.1.0")
    return Site(await start_edge(app=app), api)
