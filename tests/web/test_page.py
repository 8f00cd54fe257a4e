"""The viewer page on the real server, through a real browser: what people see and can do."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from liveserver.app import Running
from protocol.types import HeldReservation, OrderLine

from .conftest import ROOM, Enter, OpenPage
from .shop import SAUCE, SWEATER

pytestmark = pytest.mark.browser

CART = "#listings .listing"


async def test_the_token_leaves_the_address_bar_and_stays_out_of_requests(
    server: Running, open_page: OpenPage
) -> None:
    page = await open_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    assert page.url == f"{server.http_url}/r/{ROOM}"
    await page.reload()  # the tab remembers
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    assert len(asked) > 10 and any(url.startswith("ws://") for url in asked)
    assert not [url for url in asked if "token" in url or "eyJ" in url]


async def test_a_link_without_a_token_says_so(server: Running, open_page: OpenPage) -> None:
    page = await open_page(token="")
    await expect(page.locator("#curtain")).to_contain_text("入场券")


async def test_a_bad_token_is_the_end_and_says_so(open_page: OpenPage) -> None:
    page = await open_page(token="not.a.token")
    await expect(page.locator("#curtain")).to_contain_text("入场券无效")
    await expect(page.locator("#connection")).to_have_attribute("data-state", "over")


async def test_a_danmaku_of_somebody_else_is_seen_and_markup_is_only_text(
    open_page: OpenPage, enter: Enter
) -> None:
    page = await open_page()
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    room = await (await enter(user="u2", name="小雨 <i>x</i>")).join(ROOM)
    evil = "<script>window.hit = 1</script><img src=x onerror='window.hit = 1'>"
    await room.danmaku(evil)
    entry = page.locator("#comments .entry").filter(has_text="onerror")
    await expect(entry.locator(".said")).to_have_text(evil)
    await expect(entry.locator(".who")).to_have_text("小雨 <i>x</i>")
    await expect(page.locator("#danmaku .fly")).to_have_text(evil)  # and over the picture
    assert await page.locator("#comments script, #comments img, #comments i, #danmaku img").count() == 0
    assert await page.evaluate("window.hit") is None


async def test_equal_comments_show_once_with_a_count(open_page: OpenPage, enter: Enter) -> None:
    page = await open_page()
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    room = await (await enter(user="u2")).join(ROOM)
    await room.danmaku("多少钱")
    await expect(page.locator("#comments .entry")).to_have_count(1)
    other = await (await enter(user="u3")).join(ROOM)
    await other.danmaku("多少钱")
    await expect(page.locator("#comments .times")).to_have_text("×2")
    await expect(page.locator("#comments .entry")).to_have_count(1)


async def test_the_sender_is_told_what_became_of_each_comment(open_page: OpenPage, enter: Enter) -> None:
    page = await open_page()
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    await page.evaluate(  # at once: a finger could not be too fast for the server
        """(texts) => {
          for (const text of texts) {
            document.getElementById("chatText").value = text;
            document.getElementById("composer").requestSubmit();
          }
        }""",
        ["第一句", "第二句", "第三句", "第四句 太快"],
    )
    await expect(page.locator("#chatText")).to_have_value("")
    fates = page.locator("#comments .fate")
    await expect(fates).to_have_text(["已展示", "已展示", "已展示", re.compile("^没有展示")])
    # Each once, though the frame brings them as well. The last one never came to the others.
    other = await (await enter(user="u2")).join(ROOM)
    await other.danmaku("轮到我")
    await expect(page.locator("#comments .entry").filter(has_text="轮到我")).to_have_count(1)
    await expect(page.locator("#comments .entry").filter(has_text="第一句")).to_have_count(1)


async def test_what_a_moderator_takes_away_leaves_the_screen(open_page: OpenPage, enter: Enter) -> None:
    page = await open_page()
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    room = await (await enter(user="u2")).join(ROOM)
    mod = await (await enter("moderator", "mod")).join(ROOM)
    receipt = await room.danmaku("加薇信")
    await room.danmaku("好看")
    await expect(page.locator("#comments .entry")).to_have_count(2)
    await mod.delete_danmaku(receipt.danmaku_id)
    await expect(page.locator("#comments .entry")).to_have_text([re.compile("好看")])
    await mod.mute("u2")
    await expect(page.locator("#comments .entry")).to_have_count(0)
    await mod.mute("u1")  # the page's own viewer
    await expect(page.locator("#chatText")).to_be_disabled()
    await expect(page.locator("#chatText")).to_have_attribute("placeholder", re.compile("禁言"))
    await mod.mute("u1", 0)
    await expect(page.locator("#chatText")).to_be_enabled()


async def test_a_listing_its_card_and_its_sale(open_page: OpenPage, enter: Enter) -> None:
    """Listed, explained, opened, bought, counted down, paid: the button says each, as the room does."""
    page = await open_page()
    await expect(page.locator("#cartEmpty")).to_be_visible()
    streamer = await (await enter("streamer", "anna")).join(ROOM)
    await streamer.publish_listing(SWEATER)
    row = page.locator(CART)
    await expect(row.locator(".title")).to_have_text("羊绒圆领毛衣")
    await expect(row.locator(".number")).to_have_text("1")
    await expect(row.locator(".amount")).to_have_text("99.00")
    await expect(row.locator(".buy")).to_have_text("等待开售")
    await expect(row.locator(".buy")).to_be_disabled()
    await row.locator(".variant", has_text="藏青").click()
    await expect(row.locator(".amount")).to_have_text("109.50")
    await row.locator(".variant", has_text="红色").click()

    await streamer.start_explaining("sweater")
    card = page.locator("#popup")
    await expect(card.locator(".title")).to_have_text("羊绒圆领毛衣")
    await card.locator(".popup-close").click()
    await expect(card).to_be_hidden()
    await page.locator("#popupTab").click()
    await expect(card).to_be_visible()

    await streamer.open_sale("sale-1", "sweater", limit_per_user=1)
    await expect(card.locator(".buy")).to_have_text("立即抢购")
    await expect(row.locator(".stock-text")).to_have_text("仅剩 3 件")
    other = await (await enter(user="u2")).join(ROOM)
    await other.purchase("sale-1", [OrderLine(item_id="red-m")])
    await expect(row.locator(".stock-text")).to_have_text("仅剩 2 件")

    await card.locator(".buy").click()
    await expect(page.locator("#toasts")).to_contain_text("抢到了")
    await expect(row.locator(".buy")).to_have_text(re.compile(r"^已抢到 · 待付款 1[45]:\d\d$"))
    await expect(card.locator(".buy")).to_be_disabled()
    await expect(row.locator(".stock-text")).to_have_text("仅剩 1 件")


async def test_paying_and_giving_back(open_page: OpenPage, enter: Enter) -> None:
    streamer = await (await enter("streamer", "anna")).join(ROOM)
    await streamer.publish_listing(SAUCE)
    await streamer.open_sale("sale-1", "sauce", limit_per_user=1)
    page = await open_page()
    row = page.locator(CART)
    await row.locator(".buy").click()
    await expect(row.locator(".give-back")).to_be_visible()
    await row.locator(".give-back").click()
    await expect(row.locator(".buy")).to_have_text("立即抢购")
    await expect(row.locator(".stock-text")).to_have_text("仅剩 2 件")
    await row.locator(".buy").click()
    await expect(row.locator(".give-back")).to_be_visible()
    service = await enter("service", "orders")
    held = [each for each in await _reservations(page) if each["state"] == "held"]
    await service.confirm(held[0]["reservationId"])
    await expect(row.locator(".buy")).to_have_text("已购买 ✓")
    await page.reload()  # and it is the room's own memory, not the page's
    await expect(page.locator(CART).locator(".buy")).to_have_text("已购买 ✓")


async def test_sold_out_restocked_closed(open_page: OpenPage, enter: Enter) -> None:
    streamer = await (await enter("streamer", "anna")).join(ROOM)
    await streamer.publish_listing(SAUCE)
    await streamer.open_sale("sale-1", "sauce")
    page = await open_page()
    button = page.locator(CART).locator(".buy")
    await expect(button).to_be_enabled()
    other = await (await enter(user="u2")).join(ROOM)
    await other.purchase("sale-1", [OrderLine(item_id="sauce-1", quantity=2)])
    await expect(button).to_have_text("抢光了")
    await expect(button).to_be_disabled()
    await streamer.adjust_stock("sale-1", "sauce-1", 5)
    await expect(button).to_have_text("立即抢购")
    await streamer.close_sale("sale-1")
    await expect(button).to_have_text("已结束")


async def test_who_comes_too_late_stands_in_line_and_is_served(open_page: OpenPage, enter: Enter) -> None:
    """候补, on a phone: behind another, his place as it moves, his turn, and out of the line again."""
    streamer = await (await enter("streamer", "anna")).join(ROOM)
    await streamer.publish_listing(SAUCE)
    await streamer.start_explaining("sauce")
    await streamer.open_sale("sale-1", "sauce", waitlist=2)
    service = await enter("service", "orders")
    order = [OrderLine(item_id="sauce-1")]
    other = await (await enter(user="u2")).join(ROOM)
    held = [(await other.purchase("sale-1", order)).reservation for _ in range(2)]
    before = await (await enter(user="u3")).join(ROOM)

    page = await open_page(viewport={"width": 390, "height": 844})
    card = page.locator("#popup")
    await expect(card.locator(".buy")).to_have_text("抢光了 · 排队候补")
    first = await before.purchase("sale-1", order)
    assert first.outcome == "waiting"
    await card.locator(".buy").click()
    await expect(page.locator("#toasts")).to_contain_text("已排队")
    await expect(card.locator(".buy")).to_have_text("候补中 · 前面 1 人")
    await expect(card.locator(".buy")).to_be_disabled()
    late = await (await enter(user="u4")).join(ROOM)
    assert (await late.purchase("sale-1", order)).outcome == "sold_out"

    await service.release(_id(first.reservation))  # u3 leaves the line: nobody is told, the page asks
    await page.reload()
    await expect(card.locator(".buy")).to_have_text("候补中 · 下一位就是你")

    await service.release(_id(held[0]))
    await expect(page.locator("#toasts")).to_contain_text("候补成功")
    await expect(card.locator(".buy")).to_have_text(re.compile(r"^已抢到 · 待付款 1[45]:\d\d$"))
    (mine,) = [each for each in await _reservations(page) if each["state"] == "held"]
    await service.confirm(mine["reservationId"])
    await expect(page.locator("#toasts")).to_contain_text("付款成功")
    await expect(card.locator(".buy")).to_have_text("抢光了 · 排队候补")  # he may have another

    await card.locator(".buy").click()
    await expect(card.locator(".give-back")).to_have_text("退出候补")
    await card.locator(".give-back").click()
    await expect(page.locator("#toasts")).to_contain_text("已退出候补")
    await expect(card.locator(".buy")).to_have_text("抢光了 · 排队候补")
    await service.release(_id(held[1]))  # nobody is in line: it is on sale again
    await expect(card.locator(".buy")).to_have_text("再抢一件")


async def test_a_full_line_says_so(open_page: OpenPage, enter: Enter) -> None:
    streamer = await (await enter("streamer", "anna")).join(ROOM)
    await streamer.publish_listing(SAUCE)
    await streamer.open_sale("sale-1", "sauce", waitlist=1)
    other = await (await enter(user="u2")).join(ROOM)
    order = [OrderLine(item_id="sauce-1")]
    told = [(await other.purchase("sale-1", order)).outcome for _ in range(3)]
    assert told == ["reserved", "reserved", "waiting"]
    page = await open_page(locale="en-US")
    row = page.locator(CART)
    await row.locator(".buy").click()
    await expect(page.locator("#toasts")).to_contain_text("Sold out, and the line is full")
    await streamer.close_sale("sale-1")
    await expect(row.locator(".buy")).to_have_text("Closed")


async def test_a_sale_not_yet_open_counts_down_on_the_servers_clock(
    open_page: OpenPage, enter: Enter
) -> None:
    streamer = await (await enter("streamer", "anna")).join(ROOM)
    await streamer.publish_listing(SAUCE)
    page = await open_page()
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    await page.clock.install(time="2020-01-01T00:00:00")  # a phone whose clock is years behind
    await page.reload()
    await streamer.open_sale("sale-1", "sauce", opens_in_ms=600_000)
    button = page.locator(CART).locator(".buy")
    await page.clock.run_for(2_000)
    await expect(button).to_have_text(re.compile(r"^(10:00|9:\d\d) 后开抢$"))
    await expect(button).to_be_disabled()
    await page.clock.run_for(601_000)
    await expect(button).to_have_text("立即抢购")


async def test_what_is_booked_is_bought_when_it_opens(open_page: OpenPage, enter: Enter) -> None:
    page = await open_page()
    streamer = await (await enter(user="anna", role="streamer")).join(ROOM)
    await streamer.publish_listing(SAUCE)
    ships = 4_102_444_800_000
    await streamer.open_sale("s1", "sauce", opens_in_ms=2_000, spread_ms=300, ships_at_ms=ships)
    card = page.locator(CART)
    await card.locator(".book").click()
    await expect(card.locator(".book")).to_have_attribute("aria-pressed", "true")
    await expect(card.locator(".terms")).to_contain_text("预售")
    await expect(card.locator(".buy")).to_have_attribute("data-kind", "reserved")


async def test_likes_and_viewers(open_page: OpenPage, enter: Enter) -> None:
    page = await open_page()
    other = await (await enter(user="u2")).join(ROOM)
    await expect(page.locator("#viewers")).to_have_text("2 人在看", timeout=10_000)
    await other.like(7)
    await expect(page.locator("#likes")).to_have_text("7 赞", timeout=10_000)
    await page.locator("#likeButton").click()
    await page.locator("#likeButton").click()
    await expect(page.locator("#likes")).to_have_text("9 赞")
    async for _ in other:
        if other.mirror.likes == 9:
            break


async def test_both_languages(open_page: OpenPage, enter: Enter) -> None:
    page = await open_page(locale="en-US")
    await expect(page.locator("#cartTitle")).to_have_text("Cart")
    await page.locator("#languageSwitch").click()
    await expect(page.locator("#cartTitle")).to_have_text("小黄车")
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800), (1000, 700)])
async def test_everything_can_be_reached_at_this_size(
    open_page: OpenPage, enter: Enter, width: int, height: int
) -> None:
    streamer = await (await enter("streamer", "anna")).join(ROOM)
    await streamer.publish_listing(SWEATER)
    await streamer.open_sale("sale-1", "sweater", limit_per_user=1)
    await streamer.start_explaining("sweater")
    await streamer.danmaku("家人们晚上好")
    page = await open_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
    await expect(page.locator("#popup .buy")).to_be_enabled()
    await expect(page.locator("#comments .entry")).to_have_count(1)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    phone = width < 860
    for target in ("#popup .buy", "#chatText", "#likeButton", "#languageSwitch", "#comments .entry"):
        await page.click(target, trial=True)  # in view, still, and nothing over it
    if phone:
        await page.click("#cartOpen")
    await expect(page.locator(f"{CART} .buy")).to_be_visible()
    await page.locator(f"{CART} .buy").click(trial=True)
    if phone:
        await page.keyboard.press("Escape")
        await expect(page.locator(f"{CART} .buy")).to_be_hidden()


def _id(reservation: HeldReservation | None) -> str:
    assert reservation is not None
    return reservation.reservation_id


async def _reservations(page: Page) -> list[dict[str, str]]:
    """What the room tells this viewer on joining, asked by a second session of his own browser."""
    told: list[dict[str, str]] = await page.evaluate(
        """() => new Promise((resolve) => {
          const room = location.pathname.split("/").at(-1);
          const socket = new WebSocket(`ws://${location.host}/v1/live`, ["live.v1.json"]);
          const token = sessionStorage.getItem(`liveserver.token.${room}`);
          socket.onopen = () => {
            socket.send(JSON.stringify({ type: "authenticate", id: "a", token }));
            socket.send(JSON.stringify({ type: "join", id: "j", room }));
          };
          socket.onmessage = ({ data }) => {
            const said = JSON.parse(data);
            if (said.type === "joined") { socket.close(); resolve(said.me.reservations ?? []); }
          };
        })"""
    )
    return told
