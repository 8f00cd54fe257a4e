"""The page while the store stands still: an uncertain answer is shown as just that, and becomes the truth."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from liveserver.app import Running, running
from liveserver.config import Settings
from liveserver.store.embedded import EmbeddedValkey
from protocol.types import OrderLine
from tests.conftest import StartValkey

from .conftest import ROOM, Enter, OpenPage
from .shop import SWEATER

pytestmark = pytest.mark.browser
CART = "#listings .listing"


@pytest.fixture
async def store(durable_valkey: StartValkey) -> EmbeddedValkey:
    return await durable_valkey()


@pytest.fixture
async def server(store: EmbeddedValkey) -> AsyncIterator[Running]:
    async with running(Settings(port=0, redis_url=store.url)) as started:
        yield started


async def test_a_pending_purchase_is_settled_by_asking_again(
    store: EmbeddedValkey, open_page: OpenPage, enter: Enter
) -> None:
    streamer = await (await enter("streamer", "anna")).join(ROOM)
    await streamer.publish_listing(SWEATER)
    await streamer.open_sale("sale-1", "sweater", limit_per_user=1)
    page = await open_page()
    button = page.locator(f"{CART} .buy")
    await expect(button).to_be_enabled()
    os.kill(store.pid, signal.SIGSTOP)
    try:
        await button.click()
        await expect(button).to_have_text("确认结果中…", timeout=10_000)
        await streamer.danmaku("还在吗")  # talk goes on meanwhile
        await expect(page.locator("#comments .entry")).to_have_count(1)
    finally:
        os.kill(store.pid, signal.SIGCONT)
    await expect(button).to_have_text(re.compile("^已抢到"), timeout=20_000)
    await expect(page.locator(f"{CART} .stock-text")).to_have_text("仅剩 2 件")


async def test_what_is_mine_is_asked_again_until_it_is_known(
    store: EmbeddedValkey, open_page: OpenPage, enter: Enter
) -> None:
    """A viewer who holds a unit comes back while the store stands still: nothing is known of his hold then,
    but the page does not stay ignorant."""
    streamer = await (await enter("streamer", "anna")).join(ROOM)
    await streamer.publish_listing(SWEATER)
    await streamer.open_sale("sale-1", "sweater", limit_per_user=1)
    viewer = await (await enter("viewer", "u1")).join(ROOM)
    outcome = await viewer.purchase("sale-1", [OrderLine(item_id="red-m")])
    assert outcome.outcome == "reserved"
    os.kill(store.pid, signal.SIGSTOP)
    try:
        page = await open_page("u1")
        button = page.locator(f"{CART} .buy")
        await expect(button).to_have_text("立即抢购", timeout=10_000)  # all it can know
    finally:
        os.kill(store.pid, signal.SIGCONT)
    await expect(button).to_have_text(re.compile("^已抢到"), timeout=20_000)
