"""What browsers get: the viewer page, its scripts and styles, and the headers that keep them honest.

The page may load scripts, styles and pictures from here and open a WebSocket to here; nothing inline, no
frames, no forms, no other host. Every answer of this server forbids sniffing and tells nobody where its
reader came from.
"""

from __future__ import annotations

import re
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from liveserver.edge.handshake import HOST
from protocol.types import ID_PATTERN

PAGE = "viewer.html"
SAFE = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""What every answer says, unless it says otherwise itself."""
_ROOM = re.compile(ID_PATTERN)


def page_routes(pages_dir: Path) -> list[BaseRoute]:
    """``/r/{room}`` and ``/static/*``. ``FileNotFoundError``/``RuntimeError`` if the pages aren't there."""
    page = (pages_dir / PAGE).read_bytes()

    async def viewer(request: Request) -> Response:
        if not _ROOM.fullmatch(request.path_params["room"]):
            raise HTTPException(404)
        policy = page_policy(request.headers.get("host", ""))
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
        return Response(page, media_type="text/html; charset=utf-8", headers=headers)

    return [
        Route("/r/{room}", viewer, name="viewer"),
        Mount("/static", StaticFiles(directory=pages_dir / "static"), name="static"),
    ]


def page_policy(host: str) -> str:
    """``'self'`` covers WebSockets to the same host in newer browsers only, so they are named as well."""
    sockets = f" ws://{host} wss://{host}" if HOST.fullmatch(host) else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self'{sockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class SafeHeaders:
    """Puts onto every answer what it does not say itself. Static files are revalidated (they have an ETag);
    everything else is not kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kept = "no-cache" if scope["path"].startswith("/static/") else SAFE["Cache-Control"]

        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", kept)
                for name, value in SAFE.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_safe)
