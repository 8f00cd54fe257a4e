"""The page when the connection is cut: it says so, comes back by itself, and misses nothing that matters."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from liveserver.app import Running
from protocol.client.aio import Room
from protocol.types import OrderLine

from .cable import Cable
from .conftest import ROOM, Enter, OpenPage
from .shop import SAUCE, SWEATER

pytestmark = pytest.mark.browser
CART = "#listings .listing"
BACK_MS = 30_000  # a patience, not a promise: the page draws its own moment


@pytest.fixture
async def cable(server: Running) -> AsyncIterator[Cable]:
    async with Cable(server.http_url) as plugged:
        yield plugged


async def test_it_resumes_where_it_was(cable: Cable, open_page: OpenPage, enter: Enter) -> None:
    streamer = await (await enter("streamer", "anna")).join(ROOM)
    await streamer.publish_listing(SAUCE)
    page = await open_page(base=cable.http_url)
    await expect(page.locator(CART)).to_have_count(1)
    joins: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda sent: joins.append(str(sent))))

    cable.pull()
    await expect(page.locator("#connection")).to_have_attribute(
        "data-state", re.compile("waiting|connecting")
    )
    await expect(page.locator("#chatText")).to_be_disabled()
    await streamer.publish_listing(SWEATER)
    await streamer.open_sale("sale-1", "sweater")
    await streamer.start_explaining("sweater")
    other = await (await enter(user="u2")).join(ROOM)
    await other.purchase("sale-1", [OrderLine(item_id="red-m")])
    await expect(page.locator(CART)).to_have_count(1)  # cut is cut
    cable.plug()

    await expect(page.locator("#connection")).to_have_attribute("data-state", "live", timeout=BACK_MS)
    await expect(page.locator(CART)).to_have_count(2)
    await expect(page.locator("#popup .title")).to_have_text("羊绒圆领毛衣")
    await expect(page.locator("#popup .stock-text")).to_have_text("仅剩 2 件")
    resumed = [sent for sent in joins if '"join"' in sent]
    assert resumed and all('"epoch"' in sent and '"offset"' in sent for sent in resumed)


async def test_a_comment_cut_off_is_not_called_sent(cable: Cable, open_page: OpenPage, enter: Enter) -> None:
    """The cable goes in the same turn as the comment: nobody can know, and the page says just that."""
    page = await open_page(base=cable.http_url)
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    await page.evaluate("""() => {
      const send = WebSocket.prototype.send;
      WebSocket.prototype.send = function (text) {
        if (text.includes('"danmaku"')) return;  // lost on the way
        send.call(this, text);
      };
    }""")
    await page.fill("#chatText", "有人听见吗")
    await page.press("#chatText", "Enter")
    await expect(page.locator("#comments .fate")).to_have_text("发送中…")
    cable.pull()
    await expect(page.locator("#comments .fate")).to_have_text("连接中断，不确定是否送达")


async def test_a_purchase_cut_off_is_asked_again_and_buys_once(
    cable: Cable, open_page: OpenPage, enter: Enter
) -> None:
    streamer = await (await enter("streamer", "anna")).join(ROOM)
    await streamer.publish_listing(SWEATER)
    await streamer.open_sale("sale-1", "sweater")
    page = await open_page(base=cable.http_url)
    await page.evaluate("""() => {
      window.purchases = [];
      const send = WebSocket.prototype.send;
      WebSocket.prototype.send = function (text) {
        send.call(this, text);
        const said = JSON.parse(text);
        if (said.type === "purchase") purchases.push(said);
        if (said.type === "purchase" && said.attempt === 0) this.onmessage = null;  // its answer is lost
      };
    }""")
    button = page.locator(f"{CART} .buy")
    await button.click()
    await expect(button).to_have_text(re.compile("抢购中"))
    async with asyncio.timeout(10):
        while _left(streamer) != 2:
            await anext(streamer)
    cable.pull()
    cable.plug()
    await expect(button).to_have_text(re.compile("^已抢到"), timeout=BACK_MS)
    asked = await page.evaluate("purchases")
    assert [each["attempt"] for each in asked] == [0, 1]
    assert asked[0]["id"] == asked[1]["id"]
    assert _left(streamer) == 2


def _left(room: Room) -> int:
    stock = room.mirror.stock("sale-1")
    assert stock is not None
    return stock.available["red-m"]
