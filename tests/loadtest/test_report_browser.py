"""The page of a report in a real Chromium, opened from disk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from loadtest.report import page as pages
from loadtest.report.model import Bar, Bars, Grid, Line, Mark, Plot, Report
from tests.loadtest.reports import report
from tests.web.conftest import NOTE_VIOLATIONS

pytestmark = pytest.mark.browser

INKED = """() => [...document.querySelectorAll(".plot canvas")].map((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set();
  for (let at = 0; at < data.length; at += 4)
    if (data[at + 3] === 255) colours.add(`${data[at]},${data[at + 1]},${data[at + 2]}`);
  return [...colours];
})"""
HOSTILE = (
    "</script><script>window.harmed = 1</script><img src=x onerror='window.harmed = 2'>{{ 7*7 }}\u2028&amp;"
)

Open = Callable[..., Awaitable[Page]]


@pytest.fixture
async def open_report(browser: Browser, tmp_path: Path) -> AsyncIterator[Open]:
    """``await open_report(report, …, **context options)``: from disk. Afterwards: no script error, no
    violation of the page's own policy, and no request but for the file itself."""
    opened: list[tuple[Page, list[str], list[str]]] = []

    async def open_one(*reports: Report, **options: Any) -> Page:
        path = tmp_path / "page.html"
        pages.write(reports, path)
        context = await browser.new_context(**options)
        page = await context.new_page()
        errors: list[str] = []
        requests: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        await page.add_init_script(NOTE_VIOLATIONS)
        await page.goto(path.as_uri())
        opened.append((page, errors, requests))
        return page

    yield open_one
    for page, errors, requests in opened:
        assert errors == []
        assert await page.evaluate("violations") == []
        assert requests == [(tmp_path / "page.html").as_uri()]
        await page.context.close()


async def test_lines_are_drawn_and_marks_are_shown(open_report: Open) -> None:
    page = await open_report(report())
    assert await page.locator(".plot canvas").count() == 3
    colours = await page.evaluate(INKED)
    first, second = "37,99,181", "201,84,11"  # --series-1 and --series-2
    assert {first, second} <= set(colours[0])
    assert all(first in drawn for drawn in colours)
    legend = await page.locator(".plot").first.locator(".u-label").all_text_contents()
    assert legend == ["s", "critical", "replies"]
    marks = page.locator(".marks tbody tr")
    assert await marks.locator(".verdict").all_text_contents() == ["met", "missed", "not judged"]
    assert "≤ 45 ms" in await marks.first.inner_text()
    assert "39.1 to 44" in await marks.first.inner_text()
    assert "NOT COMPARED" in await marks.last.inner_text()
    assert await page.locator(".bars .bar .value").count() == 2  # the third was not measured
    assert "missed" in await page.locator("h1").inner_text()


async def test_the_legend_tells_the_values_under_the_pointer(open_report: Open) -> None:
    page = await open_report(report())
    plot = page.locator(".plot .u-over").nth(1)
    await plot.scroll_into_view_if_needed()
    box = await plot.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 20)
    values = page.locator(".plot").nth(1).locator(".u-value")
    assert await values.all_text_contents() == ["100", "60"]


async def test_colours_follow_dark_and_light(open_report: Open) -> None:
    page = await open_report(report(), color_scheme="light")
    light = await page.evaluate(INKED)
    await page.emulate_media(color_scheme="dark")
    await page.wait_for_function(
        "getComputedStyle(document.body).backgroundColor === 'rgb(21, 23, 26)'",
    )
    dark = await page.evaluate(INKED)
    assert "106,168,247" in dark[0] and "106,168,247" not in light[0]
    assert await page.locator(".plot canvas").count() == 3  # drawn anew, not twice


async def test_it_fits_a_phone_and_a_turned_one(open_report: Open) -> None:
    page = await open_report(report(), report("second"), viewport={"width": 360, "height": 700})
    wide = "document.documentElement.scrollWidth"
    assert await page.evaluate(wide) == 360
    await page.set_viewport_size({"width": 700, "height": 360})
    await page.wait_for_function("document.querySelector('.plot canvas').clientWidth > 500")
    assert await page.evaluate(wide) == 700


async def test_text_stays_text_wherever_it_stands(open_report: Open) -> None:
    page = await open_report(
        Report(
            kind="bench",
            name=HOSTILE,
            prose=HOSTILE,
            command=HOSTILE,
            commit=HOSTILE,
            seed=1,
            machine={HOSTILE: HOSTILE},
            began_ms=0,
            seconds=1,
            ok=True,
            marks=[Mark(name=HOSTILE, value=1, unit=HOSTILE, mark=2, control=HOSTILE, note=HOSTILE)],
            figures={HOSTILE: HOSTILE},
            plots=[
                Plot(
                    title=HOSTILE,
                    x_label=HOSTILE,
                    x=[1, 2],
                    y_label=HOSTILE,
                    lines=[Line(label=HOSTILE, values=[1, 2])],
                    note=HOSTILE,
                )
            ],
            bars=[Bars(title=HOSTILE, unit=HOSTILE, bars=[Bar(label=HOSTILE, value=1, note=HOSTILE)])],
            grids=[Grid(title=HOSTILE, columns=[HOSTILE], rows=[[HOSTILE]], note=HOSTILE)],
            notes=[HOSTILE],
        )
    )
    assert (await page.title()).startswith(HOSTILE.replace("\u2028", " ")[:40])
    assert HOSTILE in (await page.locator("h1").text_content() or "")
    for place in (
        ".prose",
        ".notes li",
        ".grid td",
        ".grid th",
        "figcaption",
        ".bars th",
        ".marks th[scope]",
    ):
        assert await page.locator(place).last.text_content() == HOSTILE
    assert (await page.locator(".u-legend .u-label").all_text_contents()) == [HOSTILE, HOSTILE]
    assert await page.evaluate("window.harmed") is None
    assert await page.locator("img").count() == 0
    assert await page.locator("script").count() == 1 + len(pages.SCRIPTS)


async def test_nothing_that_could_get_in_may_speak_outwards(browser: Browser, tmp_path: Path) -> None:
    pages.write([report()], tmp_path / "page.html")
    page = await (await browser.new_context()).new_page()
    await page.add_init_script(NOTE_VIOLATIONS)
    await page.goto((tmp_path / "page.html").as_uri())
    await page.evaluate("fetch('http://127.0.0.1:9/').catch(() => 0)")
    await page.evaluate("document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:9/' }))")
    await page.wait_for_function("violations.length === 2")
    await page.context.close()
