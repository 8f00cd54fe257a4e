"""The page's pure modules, in the browser that runs them: money, countdowns, backoff, the button's table, and
a purchase that isn't answered."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

from .conftest import OpenPage

pytestmark = pytest.mark.browser


@pytest.fixture
async def page(open_page: OpenPage) -> Page:
    return await open_page(token="")  # no connection needed


async def test_money_and_countdowns(page: Page) -> None:
    read = await page.evaluate("""async () => {
      const { yuan, countdown, brief } = await import("/static/format.js");
      return [
        [0, 5, 990, 2900, 12345678].map(yuan), yuan(Number.MAX_SAFE_INTEGER),
        [0, 1, 999, 1000, 61_000, 3_599_001, 3_600_000, 36_061_000, -5].map(countdown),
        [brief(9_999, "zh"), brief(12_345, "zh"), brief(999, "en"), brief(12_999, "en")],
      ];
    }""")
    assert read == [
        ["0.00", "0.05", "9.90", "29.00", "123456.78"],
        "90071992547409.91",
        ["0:00", "0:01", "0:01", "0:01", "1:01", "1:00:00", "1:00:00", "10:01:01", "0:00"],
        ["9999", "1.2万", "999", "12.9k"],
    ]


async def test_backoff_stays_inside_its_window(page: Page) -> None:
    drawn: list[list[float]] = await page.evaluate("""async () => {
      const { delayMs } = await import("/static/backoff.js");
      const draws = [0, 0.5, 0.999999];
      const all = (failures, window) => draws.map((draw) => delayMs(failures, () => draw, window));
      return [all(0), all(3), all(40), all(0, { retryMs: 500, spreadMs: 2_000 }),
              all(9, { retryMs: 500, spreadMs: 2_000 }), all(0, { retryMs: 1e12, spreadMs: -5 })];
    }""")
    bounds = [(0, 1_000), (0, 8_000), (0, 30_000), (500, 2_500), (500, 30_500), (600_000, 600_000)]
    for values, (low, high) in zip(drawn, bounds, strict=True):
        assert all(low <= each <= high for each in values), (values, low, high)
        assert values[0] == low  # full jitter: the whole window is drawn from
        assert low == high or values[2] > low + 0.99 * (high - low)


OFFER = """async (cases) => {
  const { offerOf } = await import("/static/offer.js");
  const { Mirror } = await import("/static/mirror.js");
  const { Reservations } = await import("/static/reservations.js");
  return cases.map((given) => {
    const { at = 500, status = "open", left = 3, limit = 0, none = false, detached = false } = given;
    const { mine = [], purchase = null, line = 0 } = given;
    const mirror = new Mirror("r1");
    const stock = { saleId: "s", epoch: 1, seq: 1, status, available: { i: left } };
    const sale = {
      saleId: "s", listingId: "l", limitPerUser: limit, opensAtMs: 100, closesAtMs: 1_000, holdMs: 9, stock,
      detached, waitlist: line,
    };
    mirror.apply({ t: 1, epoch: 1, snapshot: { offset: 1, sales: none ? [] : [sale] } }, 0);
    const reservations = new Reservations();
    mine.forEach(([state, expiresAtMs = 900, ahead = null, itemId = "i"], place) => reservations.offer({
      reservationId: `r${place}`, saleId: "s", state, expiresAtMs, lines: [{ itemId }],
    }, ahead));
    const { kind, leftMs, ahead } = offerOf({
      mirror, reservations, purchase, listingId: "l", itemId: "i", serverMs: at,
    });
    return ahead === undefined ? [kind, leftMs] : [kind, leftMs, ahead];
  });
}"""


async def test_the_button_says_what_the_room_says(page: Page) -> None:
    cases: list[tuple[dict[str, Any], list[Any]]] = [
        ({"none": True}, ["none", 0]),
        ({"at": 99, "status": "scheduled"}, ["soon", 1]),
        ({"at": 100}, ["open", 900]),
        ({"left": 0}, ["soldOut", 0]),
        ({"status": "paused"}, ["paused", 0]),
        ({"status": "frozen"}, ["frozen", 0]),
        ({"status": "closed"}, ["closed", 0]),
        ({"at": 1_000}, ["closed", 0]),  # by its own clock, before anybody says so
        ({"detached": True}, ["closed", 0]),
        ({"purchase": {"uncertain": False}}, ["buying", 0]),
        ({"purchase": {"uncertain": True}}, ["checking", 0]),
        ({"mine": [["held"]]}, ["reserved", 400]),
        ({"mine": [["held"]], "left": 0, "status": "closed"}, ["reserved", 400]),  # a hold keeps its promise
        ({"mine": [["held", 500]]}, ["open", 500]),  # due: no longer shown as mine
        ({"mine": [["confirmed"]], "limit": 1}, ["confirmed", 0]),
        ({"mine": [["confirmed"]], "limit": 2}, ["open", 500]),
        ({"mine": [["released"], ["expired"]], "limit": 1}, ["open", 500]),
        ({"left": 0, "line": 5}, ["queue", 0]),
        ({"line": 5}, ["open", 500]),  # units first
        ({"left": 0, "line": 5, "status": "paused"}, ["paused", 0]),
        ({"left": 0, "line": 5, "mine": [["confirmed"]], "limit": 2}, ["queue", 0]),
        ({"left": 0, "line": 5, "mine": [["waiting", 0, 0, "j"]], "limit": 2}, ["queue", 0]),
        ({"left": 0, "line": 5, "mine": [["confirmed"], ["waiting", 0, 0, "j"]], "limit": 2}, ["soldOut", 0]),
        ({"left": 0, "line": 5, "mine": [["waiting", 0, 7]]}, ["waiting", 0, 7]),
        ({"left": 0, "line": 5, "mine": [["waiting", 0]]}, ["waiting", 0, None]),
        ({"left": 1, "line": 5, "mine": [["waiting", 0, 7]]}, ["waiting", 0, 7]),  # it comes to the line
        ({"left": 0, "line": 5, "mine": [["waiting", 0, 7]], "purchase": {}}, ["waiting", 0, 7]),
        ({"left": 0, "line": 5, "mine": [["waiting", 0, 7]], "status": "closed"}, ["closed", 0]),
        ({"left": 0, "line": 5, "mine": [["waiting", 0, 7]], "at": 1_000}, ["closed", 0]),
        ({"left": 0, "line": 5, "mine": [["waiting", 0, 7], ["held"]]}, ["reserved", 400]),
    ]
    got = await page.evaluate(OFFER, [case for case, _ in cases])
    for (case, expected), found in zip(cases, got, strict=True):
        assert found == expected, case


async def test_a_booking_buys_once_inside_the_window(page: Page) -> None:
    told = await page.evaluate("""async () => {
      const { Bookings } = await import("/static/booking.js");
      const draws = [0, 0.5, 0.999];
      const bookings = new Bookings(() => draws.shift());
      const stock = { status: "scheduled" };
      const sale = { opensAtMs: 1_000, closesAtMs: 9_000, spreadMs: 100, stock };
      for (const item of ["a", "b", "c"]) bookings.toggle("s", item);
      const told = [];
      for (let at = 900; at <= 1_110; at += 1) {
        for (const { itemId } of bookings.due(() => sale, at)) told.push([itemId, at]);
      }
      bookings.toggle("s", "d");
      bookings.toggle("s", "d");                         // taken back
      draws.push(0, 0);
      bookings.toggle("s", "e");
      const over = bookings.due(() => ({ ...sale, detached: true }), 1_200);
      return [told, bookings.due(() => sale, 8_000), over, bookings.has("s", "e")];
    }""")
    assert told == [[["a", 1_000], ["b", 1_050], ["c", 1_100]], [], [], False]


async def test_a_pending_purchase_is_asked_again_with_the_same_id(page: Page) -> None:
    sent, settled = await page.evaluate("""async () => {
      const { Buying } = await import("/static/buying.js");
      const sent = [], settled = [];
      const buying = new Buying({
        command: (type, fields, id = "c1") => (sent.push([id, fields.attempt]), id),
        settle: (outcome) => settled.push(outcome.outcome),
      });
      buying.start("r1", "s", "i");
      buying.start("r1", "s", "i");                      // a second tap is not a second order
      buying.answered("c1", { type: "outcome", outcome: "pending", retryMs: 300 }, 0);
      buying.tick(600);                                  // not yet
      buying.tick(700);
      buying.unknown("c1", 1_000);                       // no answer at all
      buying.tick(1_000);
      buying.answered("c1", { type: "outcome", outcome: "reserved" }, 1_500);
      buying.tick(9_000);
      buying.start("r1", "s", "i");                      // never answered
      for (let at = 10_000; at < 60_000; at += 700) {
        buying.answered("c1", { type: "error", code: "pending" }, at);
        buying.tick(at + 700);
      }
      return [sent, settled];
    }""")
    assert sent[:3] == [["c1", 0], ["c1", 1], ["c1", 2]]
    assert settled == ["reserved", "unknown"]
    assert len(sent) == 3 + 20


async def test_who_waits_asks_with_his_own_command_and_nothing_is_ordered(page: Page) -> None:
    sent, settled = await page.evaluate("""async () => {
      const { Buying } = await import("/static/buying.js");
      const sent = [], settled = [];
      const buying = new Buying({
        command: (type, fields, id = "new") => (sent.push([id, fields.attempt, fields.lines]), id),
        settle: ({ outcome }, again) => settled.push([outcome, again]),
      });
      const place = { saleId: "s", commandId: "c1", lines: [{ itemId: "i" }] };
      buying.again("r1", place);
      buying.again("r1", place);                         // still asking
      buying.answered("c1", { type: "outcome", outcome: "pending" }, 0);
      buying.tick(700);
      buying.answered("c1", { type: "outcome", outcome: "waiting" }, 800);
      buying.start("r1", "s", "i");
      buying.answered("new", { type: "outcome", outcome: "sold_out" }, 900);
      return [sent, settled];
    }""")
    lines = [{"itemId": "i"}]
    assert sent == [["c1", 1, lines], ["c1", 2, lines], ["new", 0, [{"itemId": "i", "quantity": 1}]]]
    assert settled == [["waiting", True], ["sold_out", False]]


async def test_a_place_in_line_is_asked_about_seldom_and_each_at_its_own_moment(page: Page) -> None:
    told = await page.evaluate("""async () => {
      const { Places } = await import("/static/place.js");
      const draws = [0.5, 0.5, 0.25, 0.75, 0];
      const places = new Places(() => draws.shift());
      const told = [];
      const fresh = { reservationId: "fresh", ahead: 3 }, blank = { reservationId: "blank", ahead: null };
      for (let at = 0; at <= 90_000; at += 250) {
        const waiting = at < 60_000 ? [fresh, blank] : [blank];   // the first is served
        for (const { reservationId } of places.due(waiting, at)) told.push([reservationId, at]);
      }
      return told;
    }""")
    assert told == [["blank", 1_500], ["blank", 39_000], ["fresh", 45_000]]


async def test_a_place_keeps_the_last_number_told_until_another_is(page: Page) -> None:
    ahead = await page.evaluate("""async () => {
      const { Reservations } = await import("/static/reservations.js");
      const mine = new Reservations();
      const place = { reservationId: "r", saleId: "s", state: "waiting", lines: [{ itemId: "i" }] };
      const say = (state, ahead) => {
        mine.offer({ ...place, state }, ahead);
        return [mine.get("r").state, mine.get("r").ahead];
      };
      return [say("waiting"), say("waiting", 4), say("waiting"), say("waiting", 0), say("held"),
              say("waiting", 9), mine.places().length];
    }""")
    assert ahead == [
        *(["waiting", None], ["waiting", 4], ["waiting", 4], ["waiting", 0]),
        *(["held", 0], ["held", 0], 0),
    ]


async def test_a_reservation_that_ended_is_never_held_again(page: Page) -> None:
    states = await page.evaluate("""async () => {
      const { Reservations } = await import("/static/reservations.js");
      const mine = new Reservations();
      const say = (state) => {
        mine.offer({ reservationId: "r", saleId: "s", state, lines: [{ itemId: "i", quantity: 2 }] });
        return [mine.of("s")[0].state, mine.units("s")];
      };
      return ["held", "confirmed", "held", "expired"].map(say);
    }""")
    assert states == [["held", 2], ["confirmed", 2], ["confirmed", 2], ["confirmed", 2]]


async def test_comments_fly_where_there_is_a_line_free(page: Page) -> None:
    took = await page.evaluate("""async () => {
      const { Lines } = await import("/static/ui/lines.js");
      const lines = new Lines();
      const none = lines.take(100, 0);             // no size yet
      lines.resize(2, 400, 100);                   // two lines; a comment crosses in four seconds
      const first = [0, 0, 0, 500].map((at) => lines.take(100, at));
      const later = [1_600, 1_600, 1_600].map((at) => lines.take(1_000, at));
      const longest = lines.take(100, 5_500);      // a long one never keeps its line longer than the crossing
      return [none, first, later, longest];
    }""")
    assert took == [False, [True, True, False, False], [True, True, False], False]
    assert await page.evaluate("""async () => {
      const { Lines } = await import("/static/ui/lines.js");
      const lines = new Lines();
      lines.resize(1, 400, 100);
      return [lines.take(10_000, 0), lines.take(1, 3_999), lines.take(1, 4_000)];
    }""") == [True, False, True]
