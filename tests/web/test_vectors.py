"""The page's session is held to the same recorded scenarios as the Python client's, in a real browser.

Two differences are the browser's own and are taken out before comparing: it sees no pings, so it asks with
``ping``; and what waits for a room is sent after the room's ``joined``, not right behind the ``join``.
Everything else is compared: each step's happenings and mirror, and all that is sent, in order.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

import protocol

from .conftest import OpenPage

pytestmark = pytest.mark.browser
SCENARIOS = json.loads((Path(protocol.__file__).parent / "golden" / "scenarios.json").read_text("utf-8"))

PLAY = """async (steps) => {
  const { Session } = await import("/static/session.js");
  let serial = 0;
  const session = new Session({
    token: "", rooms: ["r1"], random: () => 0.5, newId: () => `s.${++serial}`,
  });
  let now = 0;
  const took = [];
  for (const { feed } of steps) {
    if (feed.connected) session.connected(now);
    if (feed.tick) session.tick(now);
    if ("disconnected" in feed) session.disconnected(feed.disconnected, now);
    if (feed.laterMs) now += feed.laterMs;
    if (feed.received) session.received(JSON.stringify(feed.received), now);
    if (feed.command) {
      const { type, id, ...fields } = feed.command;
      session.command(type, fields, now, id);
    }
    const mirror = session.links.get("r1")?.mirror;
    took.push({
      happenings: session.takeHappenings(),
      sends: session.takeOutput().map((text) => JSON.parse(text)),
      mirror: mirror === undefined || mirror.epoch === null ? null : {
        epoch: mirror.epoch, viewers: mirror.viewers, likes: mirror.likes, ...mirror.snapshot(),
      },
    });
  }
  const link = session.links.get("r1");  // what still waits for a joined that the recording has no more
  if (link !== undefined && link.joinId !== "") {
    const joined = { type: "joined", id: link.joinId, room: "r1", epoch: 1e15, offset: 0, n: 0, me: {} };
    session.received(JSON.stringify({ ...joined, t: 1 }), now);
  }
  return [took, session.takeOutput().map((text) => JSON.parse(text))];
}"""

BROWSER_ONLY = {"command"}  # the page is handed the command itself with its answer


def told(happenings: list[dict[str, Any]]) -> list[Any]:
    return [_bare({k: v for k, v in each.items() if k not in BROWSER_ONLY}) for each in happenings]


def sent(steps: list[dict[str, Any]]) -> list[Any]:
    every = [_bare(command) for step in steps for command in step.get("sends", [])]
    return [command for command in every if command["type"] != "ping"]


def _bare(value: Any) -> Any:
    """Without what is at its default: the wire leaves that out, a browser may write it."""
    if isinstance(value, dict):
        bare = {key: _bare(each) for key, each in value.items()}
        return {
            key: each
            for key, each in bare.items()
            if each not in ("", [], {}, None) and each != 0 and (key, each) != ("status", "live")
        }
    if isinstance(value, list):
        return [_bare(each) for each in value]
    return value


async def test_every_scenario(open_page: OpenPage) -> None:
    page = await open_page()
    await expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    assert len(SCENARIOS) >= 19
    for scenario in SCENARIOS:
        steps = scenario["steps"]
        took, late = await page.evaluate(PLAY, steps)
        mirror: Any = None
        for place, (step, mine) in enumerate(zip(steps, took, strict=True)):
            where = f"{scenario['name']}, step {place}: {step['feed']}"
            assert told(mine["happenings"]) == told(step.get("happenings", [])), where
            mirror = step.get("mirror", mirror)
            if mirror is not None and mine["mirror"] is not None:
                assert _bare(mine["mirror"]) == _bare(mirror), where
        assert sent([*took, {"sends": late}]) == sent(steps), scenario["name"]
