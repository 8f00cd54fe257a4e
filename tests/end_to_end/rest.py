"""A shop's backend, or a page, that calls the REST: what came, whatever its status."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any, NamedTuple

from liveserver.app import Running


class Heard(NamedTuple):
    status: int
    headers: dict[str, str]  # names in lower case
    body: Any  # None where there is none


class Rest:
    """``server``: one of this process, or a URL. ``token`` empty: nobody in particular."""

    def __init__(self, server: Running | str, token: str = "") -> None:
        self._url = server if isinstance(server, str) else server.http_url
        self._token = token

    async def call(
        self, method: str, path: str, body: object = None, *, key: str = "", known: str = ""
    ) -> Heard:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if key:
            headers["Idempotency-Key"] = key
        if known:
            headers["If-None-Match"] = known
        sent = None if method == "GET" else b"" if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}{path}", sent, headers, method=method)
        return await asyncio.to_thread(_ask, request)

    async def done(self, method: str, path: str, body: object = None, *, key: str = "") -> Any:
        """Of a call that must succeed."""
        heard = await self.call(method, path, body, key=key)
        assert heard.status == 200, heard
        return heard.body

    async def refused(
        self, method: str, path: str, body: object = None, *, key: str = "k"
    ) -> tuple[str, str]:
        """(code, field)."""
        heard = await self.call(method, path, body, key=key)
        assert heard.status >= 400, heard
        return heard.body["code"], heard.body.get("field", "")


def _ask(request: urllib.request.Request) -> Heard:
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return _heard(answer.status, answer)
    except urllib.error.HTTPError as error:
        return _heard(error.code, error)


def _heard(status: int, answer: Any) -> Heard:
    body = answer.read()
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Heard(status, headers, json.loads(body) if body else None)
