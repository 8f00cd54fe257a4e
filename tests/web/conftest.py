"""A real browser on a real server. Every page must end without a script error and without a violation of its
content security policy: both are collected from its first moment, and asserted when the test is over.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright
from redis.asyncio import Redis

from liveserver.app import Running, running
from liveserver.config import Settings
from protocol.client.aio import Live, connect
from protocol.types import Role

ROOM = "r1"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NOTE_VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
  violations.push(`${violatedDirective} ${blockedURI}`);
});
"""

OpenPage = Callable[..., Awaitable[Page]]
Enter = Callable[..., Awaitable[Live]]


@pytest.fixture
async def server(valkey: Redis, valkey_url: str) -> AsyncIterator[Running]:
    async with running(Settings(port=0, redis_url=valkey_url)) as started:
        yield started


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium is not None, "these tests need a Chromium on PATH (Debian: apt install chromium)"
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        await started.close()


@pytest.fixture
async def open_page(server: Running, browser: Browser) -> AsyncIterator[OpenPage]:
    """``await open_page(user="u1", role="viewer", base=…, **context options)``: the room, by its link."""
    pages: list[tuple[Page, list[str]]] = []

    async def open_one(
        user: str = "u1", *, role: str = "viewer", base: str = "", token: str | None = None, **options: Any
    ) -> Page:
        options = {"locale": "zh-CN", "viewport": {"width": 1280, "height": 800}} | options
        context: BrowserContext = await browser.new_context(**options)
        page = await context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.add_init_script(NOTE_VIOLATIONS)
        ticket = server.mint(role, user, [ROOM], name=f"name of {user}") if token is None else token
        await page.goto(f"{base or server.http_url}/r/{ROOM}#token={ticket}")
        pages.append((page, errors))
        return page

    yield open_one
    for page, errors in pages:
        assert errors == []
        assert await page.evaluate("violations") == []
        await page.context.close()


@pytest.fixture
async def enter(server: Running) -> AsyncIterator[Enter]:
    """``await enter(role, user)``: another client of the same server, through the Python client."""
    async with AsyncExitStack() as stack:

        async def enter_as(role: Role | str = "viewer", user: str = "u2", name: str = "") -> Live:
            token = server.mint(role, user, [ROOM], name=name or f"name of {user}")
            return await stack.enter_async_context(connect(server.url, token))

        yield enter_as
